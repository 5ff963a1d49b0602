import Avro
import DaybookLog
import Foundation
import TestSupport
import Testing

@Suite("Batches") struct BatchTests {
    /// One batch with everything that a batch can have.
    private static let facts: BatchFacts = {
        var facts = Sample.facts(position: 1 << 40, receivedAt: 1_767_225_600_000_001)
        facts.clock = -1
        facts.source = "csv:Zähler ✓.csv"
        facts.idempotencyKey = "key \u{0} 1"
        facts.requestDigest = Array(0...255)
        facts.firstLine = 2
        facts.lineSkips = [LineSkip(row: 1, lines: 3), LineSkip(row: 4, lines: 1)]
        facts.corrects = [Correction(row: 0, position: 12), Correction(row: 5, position: 0)]
        return facts
    }()

    private static let rejection = Rejection(
        raw: [0, 0xFF, 0x80] + Array("é".utf8), rawLength: 1 << 33,
        reasons: [
            .init(code: "missing_field", column: "job", message: "job is missing"),
            .init(code: "malformed_row", column: nil, message: ""),
        ])

    private static let control = Control(
        kind: "waiver", refersTo: [0..<1, 5..<5, 7..<(1 << 40)], text: Array("{}".utf8))

    /// A block of two batches: the rich one, and a plain one.
    private func block(sync: [UInt8]) throws -> (content: [UInt8], builder: [Digest]) {
        var builder = BlockBuilder(schema: try Sample.schema(), capacity: 16)
        let first = builder.append(Self.facts, rowCount: 5, rejectedCount: 1) { sink in
            sink.append(long: 0)
            sink.append(long: .min)
            sink.append(long: 0)
            sink.append(rejection: Self.rejection, branch: 2)
            sink.append(control: Self.control, branch: 3)
            sink.append(long: 1)
            sink.append(string: "✓")
            sink.append(double: -0.5)
            sink.append(long: 20_000)
            sink.append(long: 1)
            sink.append(boolean: true)
            sink.append(bytes: [0xCF, 0xC7])
            sink.append(control: Control(kind: "", text: []), branch: 3)
        }
        let second = Sample.append(
            jobs: 3,
            Sample.facts(
                position: (1 << 40) + 5, receivedAt: Self.facts.receivedAt + 1), to: &builder)
        #expect(builder.entries.map(\.eventCount) == [5, 3])
        #expect(builder.entries.map(\.rejectedCount) == [1, 0])
        let finished = builder.finish(sync: sync).content
        let content = finished.bytes.array(in: finished.start..<finished.bytes.count)
        return (content, [try #require(first), try #require(second)])
    }

    @Test("fastavro reads a container of them field by field")
    func fastavro() throws {
        let sync = [UInt8](repeating: 9, count: 16)
        let schema = try AvroSchema(json: Sample.schema().json)
        let container = bytes { sink in
            ContainerHeader(schema: schema, codec: .null, syncMarker: SyncMarker(sync))
                .encode(into: &sink)
        } + (try block(sync: sync).content)
        let script = """
            import datetime, decimal, fastavro, hashlib, io, sys
            reader = fastavro.reader(sys.stdin.buffer, return_record_name=True)
            first, second = list(reader)
            utc = datetime.timezone.utc
            rows = first.pop("rows")
            assert str(first.pop("id")) == "019b76da-a800-7000-8000-000000000001"
            assert first == {
                "position": 1 << 40,
                "received_at": datetime.datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=utc),
                "clock": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=utc),
                "source": "csv:Zähler ✓.csv", "principal": "clerk",
                "idempotency_key": "key \\0 1", "request_digest": bytes(range(256)),
                "dictionary": "v1", "table": "jobs", "format": "json", "first_line": 2,
                "line_skips": [{"row": 1, "lines": 3}, {"row": 4, "lines": 1}],
                "corrects": [{"row": 0, "position": 12}, {"row": 5, "position": 0}]}, first
            assert rows == [
                ("daybook.jobs", {"id": -(1 << 63), "job": None}),
                ("daybook.Rejection", {
                    "raw": b"\\0\\xff\\x80\\xc3\\xa9", "raw_length": 1 << 33, "reasons": [
                        {"code": "missing_field", "column": "job", "message": "job is missing"},
                        {"code": "malformed_row", "column": None, "message": ""}]}),
                ("daybook.Control", {"kind": "waiver", "text": b"{}", "refers_to": [
                    {"first": 0, "end": 1}, {"first": 5, "end": 5},
                    {"first": 7, "end": 1 << 40}]}),
                ("daybook.readings", {
                    "sensor": "✓", "celsius": -0.5, "on": datetime.date(2024, 10, 4), "ok": True,
                    "price": decimal.Decimal("-123.45")}),
                ("daybook.Control", {"kind": "", "refers_to": [], "text": b""})], rows
            assert second["idempotency_key"] is None and second["first_line"] is None
            assert [row for _, row in second["rows"]] == [
                {"id": n, "job": f"job {n}"} for n in range(3)]
            """
        let result = try runTool(pythonPath, ["-c", script], input: Data(container))
        #expect(result.status == 0, "\(result.errorText)")
    }

    @Test("BatchReader gives every fact and row back, and the record's own bytes")
    func reader() throws {
        let (content, leaves) = try block(sync: [UInt8](repeating: 9, count: 16))
        let schema = try Sample.schema()
        try content.withUnsafeBytes { raw in
            var cursor = ByteCursor(raw)
            #expect(try cursor.readLong() == 2)
            #expect(try cursor.readLong() == Int64(cursor.remaining - 16))
            var reader = try BatchReader(at: cursor, schema: schema)
            #expect(reader.facts == Self.facts && reader.rowCount == 5)
            #expect(try reader.nextBranch() == 0)
            #expect(try reader.readRow(0).count == 11)
            #expect(try reader.nextBranch() == schema.rejectionBranch)
            #expect(try reader.readRejection() == Self.rejection)
            #expect(try reader.nextBranch() == schema.controlBranch)
            #expect(try reader.readControl() == Self.control)
            #expect(try reader.nextBranch() == 1)
            #expect(try reader.readRow(1).count == 4 + 8 + 3 + 1 + 1 + 3)
            let record = try reader.finish()
            #expect(MerkleFrontier.leaf(of: record) == leaves[0])
            #expect(try reader.finish().count == record.count, "it may be called again")

            var second = try BatchReader(at: reader.cursor, schema: schema)
            #expect(second.facts.position == (1 << 40) + 5)
            #expect(MerkleFrontier.leaf(of: try second.finish()) == leaves[1])
            #expect(second.cursor.remaining == 16)
        }
    }

    @Test("Every row knows its line in the file")
    func lines() {
        let lines = (0..<6).map { Self.facts.line(ofRow: $0) }
        #expect(lines == [2, 6, 7, 8, 10, 11])
        #expect(Sample.facts().line(ofRow: 3) == nil)
    }

    @Test("A record cut anywhere is refused, and none with a flipped bit reads past its end")
    func damaged() throws {
        let content = try block(sync: []).content
        let schema = try Sample.schema()
        func walk(_ bytes: UnsafeRawBufferPointer) throws {
            var cursor = ByteCursor(bytes)
            _ = try cursor.readLong()
            _ = try cursor.readLong()
            for _ in 0..<2 {
                var reader = try BatchReader(at: cursor, schema: schema)
                #expect(try reader.finish().count <= bytes.count)
                cursor = reader.cursor
            }
        }
        try content.withUnsafeBytes { try walk($0) }
        for count in content.indices {
            #expect(throws: AvroDecodingError.self, "\(count) bytes") {
                // A copy of its own, so that a sanitizer sees a read beyond it.
                try Array(content.prefix(count)).withUnsafeBytes { try walk($0) }
            }
        }
        var refused = 0
        for place in content.indices {
            for bit in 0..<8 {
                var bytes = content
                bytes[place] ^= 1 << UInt8(bit)
                do { try bytes.withUnsafeBytes { try walk($0) } } catch { refused += 1 }
            }
        }
        // Values are no business of the encoding; lengths, counts and branches are.
        #expect(refused > 0 && refused < content.count * 8)
    }

    @Test("Arrays in several blocks, which Avro allows and this format does not, are refused")
    func arrayBlocks() throws {
        let schema = try LogSchema(recordSchemas: [])
        let facts = bytes { sink in
            for value: Int64 in [0, 1, 1] { sink.append(long: value) }
            for text in ["id", "system", "system"] { sink.append(string: text) }
            sink.append(long: 0)
            for text in ["", "v1", "", "control"] { sink.append(string: text) }
            sink.append(long: 0)
        }
        let row = bytes { sink in sink.append(control: Control(kind: "a", text: []), branch: 1) }
        func read(_ arrays: (inout ByteSink) -> Void) throws {
            try (facts + bytes(arrays)).withUnsafeBytes { raw in
                var reader = try BatchReader(at: ByteCursor(raw), schema: schema)
                _ = try reader.finish()
                #expect(reader.cursor.isAtEnd)
            }
        }
        try read { sink in
            for count: Int64 in [0, 0, 1] { sink.append(long: count) }
            sink.append(raw: row)
            sink.append(long: 0)
        }
        #expect(throws: AvroDecodingError.self, "rows in two blocks") {
            try read { sink in
                for count: Int64 in [0, 0, 1] { sink.append(long: count) }
                sink.append(raw: row)
                sink.append(long: 1)
                sink.append(raw: row)
                sink.append(long: 0)
            }
        }
        #expect(throws: AvroDecodingError.self, "a negative count with a size") {
            try read { sink in
                for count in [0, 0, -1, Int64(row.count)] { sink.append(long: count) }
                sink.append(raw: row)
                sink.append(long: 0)
            }
        }
        #expect(throws: AvroDecodingError.self, "no rows") {
            try read { sink in for _ in 0..<3 { sink.append(long: 0) } }
        }
        #expect(throws: AvroDecodingError.self, "more items than bytes") {
            try read { sink in sink.append(long: .max) }
        }
    }
}
