import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Imports of Avro files")
struct AvroImportTests {
    struct Stop: Error {}

    /// 12,345 rows in blocks of random sizes, of which some are bad: a text for an id, an id that
    /// was there before.
    private func file(
        _ random: inout SeededGenerator, codec: ContainerCodec = .deflate
    ) throws -> [UInt8] {
        let schema = try AvroSchema(
            json: #"""
                {"type":"record","name":"R","fields":[{"name":"ledger_position","type":"long"},
                 {"name":"name","type":["string","null"]},{"name":"id","type":["long","string"]}]}
                """#)
        let header = ContainerHeader(
            schema: schema, codec: codec, syncMarker: SyncMarker(using: &random))
        var file: [UInt8] = []
        try withUnsafeMutablePointer(to: &file) { file in
            var writer = ContainerWriter(header: header) { file.pointee.append(contentsOf: $0) }
            for id in 0..<12_345 {
                let key: AvroValue =
                    switch Int.random(in: 0..<50, using: &random) {
                    case 0: .union(1, .string("x\(id)"))
                    case 1: .union(0, .long(Int64(id / 2)))
                    default: .union(0, .long(Int64(id)))
                    }
                try writer.append(
                    .record([.long(-1), .union(0, .string("name \(id)")), key]))
                if Int.random(in: 0..<1_000, using: &random) == 0 { writer.flush() }
            }
            writer.finish()
        }
        return file
    }

    private func request(_ bytes: [UInt8], nonce: String? = nil) -> ImportRequest {
        ImportRequest(
            file: "d.avro", table: "departments", format: .avro,
            digest: bytes.withUnsafeBytes { Digest(of: $0) }, principal: "local:ann", nonce: nonce)
    }

    private func run(
        _ bytes: [UInt8], on bench: Bench, nonce: String? = nil, piece: Int = 65_536,
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
        return try await importer.run(request(bytes, nonce: nonce)) {
            if count == stopAfter { throw Stop() }
            count += 1
            if place == bytes.count { return nil }
            let end = min(place + piece, bytes.count)
            defer { place = end }
            return Bytes(Array(bytes[place..<end]))
        }
    }

    /// Batch, number and verdict of every imported row in the log, in order.
    private func verdicts(_ bench: Bench) throws -> [String] {
        var found: [String] = []
        for block in bench.log.allBlocks {
            try block.forEachBatch { reader in
                guard reader.facts.source == "avro:d.avro" else { return }
                let facts = reader.facts
                #expect(facts.format == "avro")
                var row = 0
                while let branch = try reader.nextBranch() {
                    let place = "\(facts.idempotencyKey ?? "") \(facts.line(ofRow: row) ?? -1)"
                    if branch == reader.schema.rejectionBranch {
                        let rejection = try reader.readRejection()
                        let raw = String(decoding: rejection.raw, as: UTF8.self)
                        found.append("\(place) \(rejection.reasons[0].code) \(raw)")
                    } else {
                        found.append("\(place) \(Array(try reader.readRow(branch)))")
                    }
                    row += 1
                }
            }
        }
        return found
    }

    @Test("A file becomes rows and rejections with their numbers; again, nothing happens")
    func again() async throws {
        var random = SeededGenerator()
        let bytes = try file(&random)
        let bench = try Bench()
        let first = try await run(bytes, on: bench)
        #expect(first.rows == 12_345 && first.blank == 0, "seed \(random.seed)")
        #expect(first.codes["wrong_type"] ?? 0 > 50 && first.codes["duplicate_key"] ?? 0 > 50)
        let lines = try verdicts(bench)
        #expect(lines.count == 12_345)
        let numbers = lines.map { $0.split(separator: " ")[1] }
        #expect(numbers == (1...12_345).map { "\($0)"[...] })
        let wrong = try #require(lines.first { $0.contains("wrong_type") })
        #expect(wrong.contains(#"{"ledger_position":-1,"name":"name "#) && wrong.hasSuffix("\"}"))
        let double = try #require(lines.first { $0.contains("duplicate_key") })
        #expect(double.hasSuffix("}") && double.contains(#""id":"#))

        let position = bench.log.durable.position
        try bench.open()
        #expect(try await run(bytes, on: bench).isAlreadyImported)
        #expect(bench.log.durable.position == position)
        let forced = try await run(bytes, on: bench, nonce: "1")
        #expect(forced.accepted == 0 && forced.rows == 12_345)
    }

    @Test("An interrupted import, run again in other pieces, ends as if it had never stopped")
    func resume() async throws {
        var random = SeededGenerator()
        let bytes = try file(&random)
        let whole = try Bench()
        let expected = try await run(bytes, on: whole)
        let piece = 2048
        for _ in 0..<3 {
            let bench = try Bench()
            let stop = Int.random(in: 0..<(bytes.count / piece), using: &random)
            await #expect(throws: ImportError.source("Stop()")) {
                try await run(bytes, on: bench, piece: piece, stopAfter: stop)
            }
            try bench.open()
            let size = Int.random(in: 500...400_000, using: &random)
            #expect(
                try await run(bytes, on: bench, piece: size) == expected,
                "seed \(random.seed), stopped after \(stop)")
            #expect(try verdicts(bench) == verdicts(whole), "seed \(random.seed)")
        }
    }

    @Test("Of a damaged file the batches before the damage stay, and it is not called imported")
    func damaged() async throws {
        var random = SeededGenerator()
        for codec in [ContainerCodec.null, .zstandard] {
            var bytes = try file(&random, codec: codec)
            bytes[bytes.count - 5] ^= 1
            let bench = try Bench()
            var caught: ImportError?
            do { _ = try await run(bytes, on: bench) } catch { caught = error as? ImportError }
            guard case .intake(.damaged(let offset, _)) = caught else {
                Issue.record("\(String(describing: caught))")
                continue
            }
            #expect(offset > 1_000 && offset < bytes.count)
            try bench.open()
            var whole = 0
            var reader = try ContainerReader(Bytes(bytes))
            while let block = try? reader.nextBlock() { whole += block.count }
            let seed = "seed \(random.seed)"
            #expect(try verdicts(bench).count == whole / 5_000 * 5_000, "\(seed)")
            let key = request(bytes).key("done")
            #expect(try await bench.ledger.control(idempotencyKey: key) == nil)
        }
    }

    @Test("A rejected row is judged again by its text, as a row of an Avro file")
    func judgedAgain() async throws {
        let old = try Bench(Self.visits(noteLength: 3))
        let schema = try AvroSchema(
            json: #"""
                {"type":"record","name":"R","fields":[{"name":"other","type":"int"},
                 {"name":"at","type":"string"},{"name":"note","type":"string"}]}
                """#)
        var bytes: [UInt8] = []
        try withUnsafeMutablePointer(to: &bytes) { bytes in
            var writer = ContainerWriter(
                header: ContainerHeader(schema: schema, syncMarker: .random())
            ) { bytes.pointee.append(contentsOf: $0) }
            for note in ["abc", "abcd", "abcdefgh"] {
                try writer.append(
                    .record([.int(1), .string("2021-11-07 02:48:42.0"), .string(note)]))
            }
            writer.finish()
        }
        let table = try #require(old.catalog.table(named: "visits"))
        let importer = Importer(
            ledger: old.ledger,
            judge: Judge(
                table: table, constraints: old.catalog.constraints,
                fingerprintKey: old.ledger.fingerprintKey), dictionary: old.catalog.version)
        let file = ImportRequest(
            file: "v.avro", table: "visits", format: .avro,
            digest: bytes.withUnsafeBytes { Digest(of: $0) }, principal: "local:ann")
        var pieces = [Bytes(bytes)]
        let summary = try await importer.run(file) { pieces.popLast() }
        #expect(summary.accepted == 1 && summary.codes == ["too_long": 2])

        let folder = try TemporaryFolder()
        var judgement = try PastJudgement(
            by: CatalogLoader.load(text: Self.visits(noteLength: 4)), over: old.log,
            scratchFolder: folder.path("scratch"))
        let verdicts = try #require(try judgement.run { _ in }.first)
        #expect(verdicts.acceptedCount == 1 && verdicts.rejectedCount == 2)
        #expect(verdicts.acceptedNow.rowCount == 1 && verdicts.rejectedNow.rowCount == 0)
    }

    private static func visits(noteLength: Int) -> String {
        """
        table: visits
        key: []
        columns:
          - {name: at, type: timestamp}
          - {name: note, type: string, maxLength: \(noteLength)}
        """
    }
}
