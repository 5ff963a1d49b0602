import Avro
import DaybookIntake
import DaybookLog
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Imports")
struct ImportTests {
    struct Stop: Error {}

    /// A file of 12,345 rows, of which some are bad, with blank lines.
    private func file(_ random: inout SeededGenerator) -> [UInt8] {
        var text = ""
        for id in 0..<12_345 {
            switch Int.random(in: 0..<50, using: &random) {
            case 0: text += "\(id),too,many\n"
            case 1: text += "\(id / 2),\"a \"\"quoted\"\"\nname\"\r\n"
            case 2: text += "\n\(id),plain\n"
            default: text += "\(id),name \(id)\n"
            }
        }
        return Array(text.utf8)
    }

    private func request(
        _ bytes: [UInt8], principal: String = "local:ann", nonce: String? = nil
    ) -> ImportRequest {
        ImportRequest(
            file: "d.csv", table: "departments", format: .csv(.absent),
            digest: bytes.withUnsafeBytes { Digest(of: $0) }, principal: principal, nonce: nonce)
    }

    /// Imports in pieces of a size; stops with an error after so many pieces.
    private func run(
        _ bytes: [UInt8], _ request: ImportRequest, on bench: Bench, piece: Int = 65_536,
        stopAfter: Int = .max
    ) async throws -> ImportSummary {
        guard let table = bench.catalog.table(named: "departments") else { throw Stop() }
        let judge = Judge(
            table: table, constraints: bench.catalog.constraints,
            fingerprintKey: bench.ledger.fingerprintKey)
        let importer = Importer(
            ledger: bench.ledger, judge: judge, dictionary: bench.catalog.version)
        var place = 0
        var count = 0
        return try await importer.run(request) {
            if count == stopAfter { throw Stop() }
            count += 1
            if place == bytes.count { return nil }
            let end = min(place + piece, bytes.count)
            defer { place = end }
            return Bytes(Array(bytes[place..<end]))
        }
    }

    /// Line and verdict of every imported row in the log, in order.
    private func verdicts(_ bench: Bench) throws -> [String] {
        var found: [String] = []
        for block in bench.log.allBlocks {
            try block.forEachBatch { reader in
                guard reader.facts.source == "csv:d.csv" else { return }
                let facts = reader.facts
                var row = 0
                while let branch = try reader.nextBranch() {
                    let line = facts.line(ofRow: row) ?? -1
                    if branch == reader.schema.rejectionBranch {
                        let rejection = try reader.readRejection()
                        found.append("\(line) \(rejection.reasons[0].code) \(rejection.raw)")
                    } else {
                        found.append("\(line) \(Array(try reader.readRow(branch)))")
                    }
                    row += 1
                }
            }
        }
        return found
    }

    @Test("A file becomes rows, rejections and blank lines; imported again, nothing happens")
    func again() async throws {
        var random = SeededGenerator()
        let bytes = file(&random)
        let bench = try Bench()
        let first = try await run(bytes, request(bytes), on: bench)
        #expect(first.rows == 12_345, "seed \(random.seed)")
        #expect(first.rejected > 0 && first.blank > 0 && !first.isAlreadyImported)
        #expect(first.codes.values.reduce(0, +) >= first.rejected)
        #expect(first.firstRejections.count == 10)
        #expect(first.firstPosition == 2 && first.lastPosition == 2 + 12_345 - 1)
        let lines = try verdicts(bench).count
        #expect(lines == 12_345)

        let position = bench.log.durable.position
        try bench.open()
        var second = try await run(bytes, request(bytes, principal: "local:bob"), on: bench)
        #expect(second.isAlreadyImported)
        second.isAlreadyImported = false
        second.firstRejections = first.firstRejections
        #expect(second == first)
        #expect(bench.log.durable.position == position)

        let forced = try await run(bytes, request(bytes, nonce: "1"), on: bench)
        #expect(forced.accepted == 0 && forced.rows == 12_345)
        #expect(forced.codes["duplicate_key"] ?? 0 > 10_000)
    }

    @Test("An import whose rows were retracted says so, all or some; forced, it comes again")
    func retracted() async throws {
        var random = SeededGenerator()
        let bytes = file(&random)
        let bench = try Bench()
        func retract(_ target: RetractionRequest.Target) async throws -> RetractionOutcome {
            try await bench.ledger.retract(
                RetractionRequest(
                    targets: [target], retraction: Retraction(note: "n", principal: "ann")),
                isDryRun: false, blocking: { $0() })
        }
        let first = try await run(bytes, request(bytes), on: bench)
        _ = try await bench.append("departments", #"{"id":-1,"name":"other"}"#)
        _ = try await retract(.row(table: "departments", key: ["-1"]))
        #expect(try await run(bytes, request(bytes), on: bench).retraction == nil)

        let accepted = try #require(try verdicts(bench).first { $0.hasSuffix("]") })
        let line = try #require(accepted.split(separator: " ").first.flatMap { Int($0) })
        let key = String(decoding: bytes, as: UTF8.self).split(separator: "\n")[line - 1]
            .split(separator: ",")[0]
        let one = try await retract(.row(table: "departments", key: [String(key)]))
        let part = try await run(bytes, request(bytes), on: bench)
        #expect(part.isAlreadyImported && part.retraction?.isWhole == false, "\(random.seed)")
        #expect(part.retraction?.position == one.receipt?.position)
        #expect(part.retraction?.receivedAt == one.receipt?.receivedAt)

        let all = try await retract(.importDigest(request(bytes).digest))
        #expect(all.plan.rowCount == first.accepted - 1, "\(random.seed)")
        for _ in 0..<2 {
            let whole = try await run(bytes, request(bytes), on: bench)
            #expect(whole.isAlreadyImported && whole.retraction?.isWhole == true)
            #expect(whole.retraction?.position == all.receipt?.position)
            try bench.open()
        }
        let forced = try await run(bytes, request(bytes, nonce: "1"), on: bench)
        #expect(forced.accepted == first.accepted && forced.retraction == nil)
    }

    @Test("An interrupted import, run again, ends as if it had never stopped")
    func resume() async throws {
        var random = SeededGenerator()
        let bytes = file(&random)
        let whole = try Bench()
        let expected = try await run(bytes, request(bytes), on: whole)
        let piece = 4096
        for _ in 0..<3 {
            let bench = try Bench()
            let stop = Int.random(in: 0..<(bytes.count / piece), using: &random)
            await #expect(throws: ImportError.source("Stop()")) {
                try await run(bytes, request(bytes), on: bench, piece: piece, stopAfter: stop)
            }
            try bench.open()
            let size = Int.random(in: 1000...400_000, using: &random)
            let summary = try await run(bytes, request(bytes), on: bench, piece: size)
            #expect(summary == expected, "seed \(random.seed), stopped after \(stop)")
            #expect(try verdicts(bench) == verdicts(whole), "seed \(random.seed)")
        }
    }

    @Test("A full queue delays an import, and does not change the order of its rows")
    func fullQueue() async throws {
        var random = SeededGenerator()
        let bytes = file(&random)
        let whole = try Bench()
        let expected = try await run(bytes, request(bytes), on: whole)
        let bench = try Bench { $0.queueByteLimit = 4096 }
        #expect(try await run(bytes, request(bytes), on: bench) == expected)
        #expect(try verdicts(bench) == verdicts(whole), "seed \(random.seed)")
    }

    @Test("A file that is not the one of its digest is not called imported")
    func changed() async throws {
        let bench = try Bench()
        let promised = request(Array("1,a\n".utf8))
        await #expect(throws: ImportError.fileChanged) {
            try await run(Array("1,b\n".utf8), promised, on: bench)
        }
        #expect(try await bench.ledger.control(idempotencyKey: promised.key("done")) == nil)
    }

    @Test("A header that was not announced is an error, and nothing is recorded")
    func unannouncedHeader() async throws {
        let bench = try Bench()
        let bytes = Array("id,name\n1,a\n".utf8)
        await #expect(throws: ImportError.intake(.unannouncedHeader)) {
            try await run(bytes, request(bytes), on: bench)
        }
        #expect(bench.log.durable.position == 2)
    }

    @Test("An empty file is imported, and has no positions")
    func empty() async throws {
        let bench = try Bench()
        let summary = try await run([], request([]), on: bench)
        #expect(summary.rows == 0 && summary.firstPosition == nil)
        let object =
            try JSONSerialization.jsonObject(with: Data(summary.json)) as? [String: Any] ?? [:]
        #expect(
            Set(object.keys) == [
                "file", "table", "rows", "accepted", "rejected", "blank", "first_position",
                "last_position", "already_imported",
            ])
        #expect(object["first_position"] is NSNull)
        #expect(object["already_imported"] as? Bool == false)
    }
}
