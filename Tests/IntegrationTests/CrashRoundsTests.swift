import Foundation
import Synchronization
import TestSupport
import Testing

extension Integration {
    @Suite("Crash rounds") struct CrashRounds {
        /// `DAYBOOK_CRASH_ROUNDS` raises it; each round is a kill under load and a restart.
        static let roundCount =
            ProcessInfo.processInfo.environment["DAYBOOK_CRASH_ROUNDS"].flatMap(Int.init) ?? 10
        static let connectionCount = 8

        @Test("kill -9 under load: what was acknowledged is there once, no batch is there in part")
        func rounds() async throws {
            var generator = SeededGenerator()
            try await withDaybook { daybook in
                var batches: [Batch] = []
                for round in 0..<Self.roundCount {
                    let pauseMilliseconds = Int.random(in: 60...600, using: &generator)
                    var sent = try await load(
                        daybook, round: round, pauseMilliseconds: pauseMilliseconds,
                        seed: generator.next())
                    try await daybook.start()
                    // Half are tried again; what became of the others is for the end to tell.
                    for index in sent.indices where !sent[index].isAcknowledged {
                        guard Bool.random(using: &generator) else { continue }
                        try await retry(&sent[index], daybook.client)
                    }
                    batches += sent
                }
                try await daybook.waitUntilProjected("jobs", timeoutSeconds: 120)
                try await expectEach(batches, in: daybook, "seed \(generator.seed)")
            }
        }

        /// What one connection sent in one request.
        struct Batch: Sendable {
            let key: String
            let firstID: Int
            let rowCount: Int
            var isAcknowledged = false

            var body: String {
                let rows = (firstID..<firstID + rowCount).map { #"{"id":\#($0),"job":"\#(key)"}"# }
                return "[" + rows.joined(separator: ",") + "]"
            }
        }

        /// Appends over all connections until the server is killed in their midst.
        private func load(
            _ daybook: DaybookServer, round: Int, pauseMilliseconds: Int, seed: UInt64
        ) async throws -> [Batch] {
            let client = (port: daybook.client.port, key: daybook.client.key)
            return try await withThrowingTaskGroup(of: [Batch].self) { group in
                for connection in 0..<Self.connectionCount {
                    let first = (round * Self.connectionCount + connection) * 1_000_000
                    group.addTask {
                        await Self.send(
                            through: HTTPClient(port: client.port, key: client.key),
                            firstID: first, seed: seed &+ UInt64(connection))
                    }
                }
                try await Task.sleep(for: .milliseconds(pauseMilliseconds))
                daybook.kill()
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }

        /// One connection: batch after batch until the first that gets no answer.
        private static func send(
            through client: HTTPClient, firstID: Int, seed: UInt64
        ) async -> [Batch] {
            var generator = SeededGenerator(seed: seed)
            var sent: [Batch] = []
            var nextID = firstID
            while true {
                let rowCount = Int.random(in: 1...200, using: &generator)
                var batch = Batch(key: "key \(nextID)", firstID: nextID, rowCount: rowCount)
                nextID += rowCount
                let answer = try? await client.append(
                    batch.body, to: "jobs", idempotencyKey: batch.key)
                batch.isAcknowledged = answer?.status == 200
                sent.append(batch)
                guard batch.isAcknowledged else { return sent }
            }
        }

        /// The same key again: whether it was in the log or not, all its rows are accepted, once.
        private func retry(_ batch: inout Batch, _ client: HTTPClient) async throws {
            let answer = try await client.append(batch.body, to: "jobs", idempotencyKey: batch.key)
            #expect(answer.status == 200, "\(answer.text.prefix(500))")
            #expect(try answer.verdicts().accepted == batch.rowCount)
            batch.isAcknowledged = answer.status == 200
        }

        private func expectEach(
            _ batches: [Batch], in daybook: DaybookServer, _ seed: String
        ) async throws {
            #expect(batches.count { $0.isAcknowledged } > Self.roundCount, "\(seed)")
            let projected = try daybook.sql("SELECT job, min(id), count(*) FROM jobs GROUP BY job")
            try expect(projected.split(separator: "\n").map(String.init), hold: batches, seed)
            try daybook.stop()
            let logged = try StockReaders.batches(of: daybook.segments).map { batch in
                "\(batch.idempotency_key ?? ""),\(batch.accepted.first?["id"] ?? ""),"
                    + "\(batch.accepted.count)"
            }
            #expect(Set(logged).count == logged.count, "a batch is in the log twice; \(seed)")
            try expect(logged, hold: batches, seed)
            let verified = try daybook.run(["log", "verify"])
            #expect(verified.status == 0, "\(verified.errorText)")
        }

        /// Lines of `key,first id,row count`: every acknowledged batch, whole, and none in part.
        private func expect(_ found: [String], hold batches: [Batch], _ seed: String) throws {
            let whole = { (batch: Batch) in "\(batch.key),\(batch.firstID),\(batch.rowCount)" }
            let missing = Set(batches.filter(\.isAcknowledged).map(whole)).subtracting(found)
            #expect(missing.isEmpty, "acknowledged and lost; \(seed)")
            let strange = Set(found).subtracting(batches.map(whole))
            #expect(strange.isEmpty, "in part, or never sent; \(seed)")
        }
    }
}
