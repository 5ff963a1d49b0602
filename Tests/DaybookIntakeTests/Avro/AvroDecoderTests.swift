import Avro
import DaybookCatalog
import Foundation
import TestSupport
import Testing

@testable import DaybookIntake

@Suite("Avro files as batches")
struct AvroDecoderTests {
    private static let schema = AvroFiles.record(
        ("sensor", #""string""#), ("note", #"["null","string"]"#), ("extra", #""int""#))

    private func rows(_ count: Int, _ random: inout SeededGenerator) -> [AvroValue] {
        (0..<count).map { index in
            let text = String(repeating: "x", count: Int.random(in: 0...40, using: &random))
            let isAbsent = Bool.random(using: &random)
            return .record([
                .string("sensor \(index)"), isAbsent ? .union(0, .null) : .union(1, .string(text)),
                .int(Int32(index)),
            ])
        }
    }

    private func summary(_ found: [(firstLine: Int64, batch: JudgedBatch)]) -> [[String]] {
        found.map { line, batch in ["\(line)"] + batch.summary }
    }

    @Test("Batches are cut by the content alone, whatever the pieces and the blocks' bounds")
    func cutting() throws {
        var random = SeededGenerator()
        let rows = rows(1_000, &random)
        let limits = IntakeLimits(rowByteCount: 200, batchByteCount: 6_000)
        let judge = try makeJudge("readings", limits: limits)
        var expected: [[String]]?
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            for blockByteCount in [1, 500, 1 << 20] {
                let file = try AvroFiles.file(
                    Self.schema, rows, codec: codec, blockByteCount: blockByteCount)
                for pieceMax in [3, 1_000, 1 << 20] {
                    if pieceMax == 3 && blockByteCount == 1 { continue }
                    let found = try AvroFiles.batches(file, judge, rowLimit: 77) {
                        Int.random(in: 1...pieceMax, using: &random)
                    }
                    let lines = found.map(\.firstLine)
                    #expect(lines.first == 1)
                    #expect(zip(lines, lines.dropFirst()).allSatisfy { $0 < $1 })
                    #expect(found.map(\.batch.rows.count).reduce(0, +) == rows.count)
                    let early = found.dropLast().filter { $0.batch.rows.count < 77 }
                    #expect(!early.isEmpty, "batches are cut by bytes")
                    #expect(found.allSatisfy { $0.batch.rows.count <= 77 })
                    expected = expected ?? summary(found)
                    #expect(summary(found) == expected, "seed \(random.seed)")
                }
            }
        }
    }

    @Test("A batch has as many rows as it may; one row more begins the next")
    func rowLimit() throws {
        var random = SeededGenerator()
        for (count, limit, sizes) in [(10, 5, [5, 5]), (11, 5, [5, 5, 1]), (4, 5, [4])] {
            let file = try AvroFiles.file(Self.schema, rows(count, &random), blockByteCount: 60)
            let found = try AvroFiles.batches(file, makeJudge("readings"), rowLimit: limit)
            #expect(found.map(\.batch.rows.count) == sizes)
        }
        let empty = try AvroFiles.file(Self.schema, [])
        #expect(try AvroFiles.batches(empty, makeJudge("readings")).isEmpty)
    }

    @Test("A row that is too long is a batch by itself, refused, its values cut")
    func longRow() throws {
        let limits = IntakeLimits(rowByteCount: 3_000, batchByteCount: 100_000)
        let long = String(repeating: "é", count: 2_000)
        func row(_ text: String) -> AvroValue {
            .record([.string(text), .union(1, .string("n")), .int(1)])
        }
        let file = try AvroFiles.file(Self.schema, [row("a"), row(long), row("b"), row("c")])
        let found = try AvroFiles.batches(file, makeJudge("readings", limits: limits))
        #expect(found.map(\.firstLine) == [1, 2, 3])
        #expect(found.map(\.batch.rows.count) == [1, 1, 2])
        #expect(found[1].batch.codes(0) == ["malformed_row"])
        let raw = String(decoding: found[1].batch.raw(ofRow: 0), as: UTF8.self)
        let kept = String(repeating: "é", count: 128)
        #expect(raw == #"{"sensor":"\#(kept)…","note":"n","extra":1}"#)
    }

    @Test("A rejected row is kept as JSON, names as in the file, values as the interface has them")
    func rawText() throws {
        let schema = #"""
            {"type":"record","name":"R","fields":[
              {"name":"bank","type":"null"},{"name":"number","type":"string"},
              {"name":"whole","type":"long"},{"name":"half","type":"double"},
              {"name":"none","type":"double"},{"name":"flag","type":"boolean"},
              {"name":"raw","type":"bytes"},
              {"name":"amount",
               "type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
              {"name":"day","type":{"type":"int","logicalType":"date"}},
              {"name":"time","type":{"type":"long","logicalType":"timestamp-micros"}},
              {"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
              {"name":"reference","type":{"type":"fixed","name":"U","size":16}},
              {"name":"kind","type":{"type":"enum","name":"K","symbols":["A","B"]}},
              {"name":"list","type":{"type":"array","items":["null","int"]}},
              {"name":"table","type":{"type":"map","values":"string"}},
              {"name":"self","type":["null","R"]}]}
            """#
        func row(_ next: AvroValue) -> AvroValue {
            .record([
                .null, .string("a \"q\" \\ \n\u{1}é"), .long(.max), .double(0.1), .double(.nan),
                .boolean(false), .bytes([1, 2, 3, 4]), .bytes([0xFB, 0x2E]), .int(18_938),
                .long(1_636_253_322_500_000), .long(0), .fixed(Array(0..<16)), .enumeration("B"),
                .array([.union(0, .null), .union(1, .int(-1))]), .map([.init("k", .string("v"))]),
                next,
            ])
        }
        let batch = try AvroFiles.judge(
            "payments", schema, [row(.union(1, row(.union(0, .null))))])
        #expect(batch.codes(0).contains("wrong_type(number)"))
        func text(_ reference: String, _ next: String) -> String {
            #"{"bank":null,"number":"a \"q\" \\ \n\u0001é","whole":9223372036854775807,"#
                + #""half":0.1,"none":"nan","flag":false,"raw":"AQIDBA==","amount":"-12.34","#
                + #""day":"2021-11-07","time":"2021-11-07T02:48:42.5Z","#
                + #""local":"1970-01-01T00:00:00","reference":"\#(reference)","kind":"B","#
                + #""list":[null,-1],"table":{"k":"v"},"self":\#(next)}"#
        }
        // Only for a column of UUIDs are sixteen bytes one.
        let inner = text("AAECAwQFBgcICQoLDA0ODw==", "null")
        let raw = String(decoding: batch.raw(ofRow: 0), as: UTF8.self)
        #expect(raw == text("00010203-0405-0607-0809-0a0b0c0d0e0f", inner))
        _ = try JSONSerialization.jsonObject(with: Data(batch.raw(ofRow: 0)))
    }

    @Test("The text of a row that swells is abbreviated: depth, items without bytes, escapes")
    func swelling() throws {
        let nulls = AvroFiles.record(
            ("note", #""int""#), ("many", #"{"type":"array","items":"null"}"#))
        let many = AvroValue.array(Array(repeating: .null, count: 60_000))
        let first = try AvroFiles.judge("readings", nulls, [.record([.int(1), many])])
        #expect(String(decoding: first.raw(ofRow: 0), as: UTF8.self) == #"{"note":1,"many":"…"}"#)

        let control = String(repeating: "\u{1}", count: 5_000)
        let second = try AvroFiles.judge(
            "readings", AvroFiles.record(("other", #""string""#), ("note", #""int""#)),
            [.record([.string(control), .int(1)])])
        let escaped = String(repeating: "\\u0001", count: 256)
        #expect(
            String(decoding: second.raw(ofRow: 0), as: UTF8.self)
                == #"{"other":"\#(escaped)…","note":1}"#)

        let list = #"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#
        var deep = AvroValue.record([.union(0, .null)])
        for _ in 0..<100 { deep = .record([.union(1, deep)]) }
        let third = try AvroFiles.judge(
            "readings", AvroFiles.record(("note", #""int""#), ("list", list)),
            [.record([.int(1), deep])])
        #expect(String(decoding: third.raw(ofRow: 0), as: UTF8.self) == #"{"note":1,"list":"…"}"#)
        // So long a row that its text may be long, and yet not so deep.
        let pad = String(repeating: "x", count: 5_000)
        let fourth = try AvroFiles.judge(
            "readings",
            AvroFiles.record(("pad", #""string""#), ("note", #""int""#), ("list", list)),
            [.record([.string(pad), .int(1), deep])])
        let kept = pad.prefix(256)
        #expect(
            String(decoding: fourth.raw(ofRow: 0), as: UTF8.self)
                == #"{"pad":"\#(kept)…","note":1,"list":"…"}"#)
    }

    private func fault(_ file: [UInt8], table: String = "readings") throws -> IntakeError? {
        do {
            _ = try AvroFiles.batches(file, makeJudge(table))
            return nil
        } catch let error as IntakeError {
            return error
        }
    }

    @Test("What is no Avro file, or has nothing for the table, is said before any row is taken")
    func unusable() throws {
        #expect(try fault([]) == .notAvro)
        #expect(try fault(Array("Obj".utf8)) == .notAvro)
        #expect(try fault(Array("id,name\n1,a\n".utf8)) == .notAvro)
        #expect(
            try fault(AvroFiles.file(#""string""#, []))
                == .unusableFile("its values are of type string, not records"))
        #expect(
            try fault(AvroFiles.file(AvroFiles.record(("a", #""int""#), ("b", #""int""#)), []))
                == .unusableFile("none of its fields is a column of readings; it has a, b"))
        let twice = AvroFiles.record(("at", #""string""#), ("hired_at", #""string""#))
        #expect(try fault(AvroFiles.file(twice, []), table: "hires") == .repeatedColumn("hired_at"))
        var file = try AvroFiles.file(Self.schema, [])
        let place = try #require(file.indices.first { file[$0...].starts(with: "null".utf8) })
        // The codec's name is the first `null` behind its key.
        let before = "\u{8}cedoc.orva".utf8
        let codec = try #require(
            file[place...].indices.first { file[..<$0].reversed().starts(with: before) })
        file.replaceSubrange(codec..<(codec + 4), with: "lzma".utf8)
        guard case .unusableFile(let what) = try fault(file) else {
            Issue.record("the codec was taken")
            return
        }
        #expect(what.contains("lzma"))
    }

    @Test("A file cut anywhere is whole so far, or damaged where the block begins")
    func cut() throws {
        var random = SeededGenerator()
        let rows = rows(40, &random)
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            let file = try AvroFiles.file(Self.schema, rows, codec: codec, blockByteCount: 200)
            var wholeCount = 0
            for count in 4..<file.count {
                let error = try fault(Array(file[..<count]))
                guard case .damaged(let offset, _) = error else {
                    #expect(error == nil)
                    wholeCount += 1
                    continue
                }
                #expect(offset < count)
            }
            #expect(wholeCount > 3 && wholeCount < 15)
        }
    }

    @Test("A file damaged anywhere is read or refused, never a crash")
    func changed() throws {
        var random = SeededGenerator()
        let rows = rows(30, &random)
        for codec in [ContainerCodec.null, .deflate, .zstandard] {
            let file = try AvroFiles.file(Self.schema, rows, codec: codec, blockByteCount: 300)
            for place in file.indices {
                var changed = file
                changed[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                var decoder: [(firstLine: Int64, batch: JudgedBatch)] = []
                do {
                    decoder = try AvroFiles.batches(changed, makeJudge("readings"), rowLimit: 7)
                } catch is IntakeError {}
                for (_, batch) in decoder {
                    for row in batch.rows.indices {
                        let raw = batch.raw(ofRow: row)
                        #expect(
                            (try? JSONSerialization.jsonObject(with: Data(raw))) != nil,
                            "seed \(random.seed), place \(place)")
                    }
                }
            }
        }
    }

    @Test("A block that says it has more or fewer rows than its bytes are is damaged")
    func wrongCount() throws {
        let row = AvroValue.record([.string("s"), .union(0, .null), .int(1)])
        let file = try AvroFiles.file(Self.schema, [row, row])
        let header = file.count - SyncMarker.byteCount - 8 - 2
        for (count, what) in [(1, "left behind"), (3, "inside a value"), (63, "63 rows")] {
            var changed = file
            #expect(changed[header] == 4)
            changed[header] = UInt8(count * 2)
            guard case .damaged(let offset, let text) = try fault(changed) else {
                Issue.record("\(count) rows were taken")
                continue
            }
            #expect(offset == header && text.contains(what), "\(text)")
        }
    }

    @Test("Rows without bytes cannot fill the log")
    func endlessRows() throws {
        let schema = AvroFiles.record(("note", #""null""#))
        let file = try AvroFiles.file(schema, [.record([.null]), .record([.null])])
        guard case .damaged = try fault(file) else {
            Issue.record("rows came out of nothing")
            return
        }
    }
}
