import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Reading the log without us") struct LogReading {
        @Test("lz4 and stock Avro readers list every batch of every segment, as it was sent")
        func stockReaders() async throws {
            try await withDaybook { daybook in
                for round in 0..<5 {
                    let answer = try await daybook.client.append(
                        Self.body(round), to: "jobs", idempotencyKey: "round \(round)")
                    #expect(answer.status == 200)
                }
                // The active segment of a running server is readable once the writer is quiet.
                try await Task.sleep(for: .milliseconds(300))
                try expectBatches(0..<5, of: daybook)

                // Another dictionary is another schema, and that starts another segment.
                try daybook.stop()
                daybook.use(
                    catalog: try OtherTrade.catalog(beside: packageRoot, in: daybook.folder))
                try await daybook.start()
                for round in 5..<8 {
                    let answer = try await daybook.client.append(
                        Self.body(round), to: "jobs", idempotencyKey: "round \(round)")
                    #expect(answer.status == 200)
                }
                try daybook.stop()
                #expect(try daybook.segments.count == 2)
                try expectBatches(0..<8, of: daybook)
                for segment in try daybook.segments {
                    let count = try StockReaders.recordCount(of: segment)
                    #expect(try StockReaders.avrocatRecordCount(of: segment) == count)
                }
            }
        }

        /// Twenty jobs and a stranger.
        private static func body(_ round: Int) -> String {
            let jobs = (0..<20).map { #"{"id":\#(round * 20 + $0),"job":"Jöb \#($0) \u2713"}"# }
            return "[" + (jobs + [#"{"id":-1}"#]).joined(separator: ",") + "]"
        }

        private func expectBatches(_ rounds: Range<Int>, of daybook: DaybookServer) throws {
            let batches = try StockReaders.batches(of: daybook.segments)
            #expect(batches.map(\.idempotency_key) == rounds.map { "round \($0)" })
            for (round, batch) in zip(rounds, batches) {
                #expect(batch.table == "jobs" && batch.source == "http")
                #expect(
                    batch.rows.map(\.kind) == Array(repeating: "jobs", count: 20) + ["Rejection"])
                #expect(batch.accepted.map { $0["id"] } == (0..<20).map { "\(round * 20 + $0)" })
                #expect(batch.accepted.map { $0["job"] } == (0..<20).map { "Jöb \($0) ✓" })
                let raw = #"{"id":-1}"#.utf8.map { String(format: "%02x", $0) }.joined()
                #expect(batch.rows.last?.fields["raw"] == raw)
            }
            let positions = batches.map(\.position)
            #expect(zip(positions, positions.dropFirst()).allSatisfy { $1 == $0 + 21 || $1 > $0 })
        }
    }
}
