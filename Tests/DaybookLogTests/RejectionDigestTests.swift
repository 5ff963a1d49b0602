import Avro
import DaybookLog
import Foundation
import TestSupport
import Testing

@Suite("Digests of rejected bytes") struct RejectionDigestTests {
    private static let withheld = Rejection(
        raw: [], rawLength: 6, reasons: [.init(code: "wrong_type", column: "id", message: "no")],
        digest: Array("secret".utf8).withUnsafeBytes { Digest(of: $0).bytes })
    private static let bare = Rejection(
        raw: [], rawLength: 0, reasons: [], digest: [UInt8](repeating: 7, count: 32))
    private static let kept = Rejection(raw: [1], rawLength: nil, reasons: [])

    private func schema() throws -> LogSchema {
        try LogSchema(recordSchemas: [Sample.jobs], keepsDigests: true)
    }

    private func content(_ sync: [UInt8]) throws -> [UInt8] {
        let schema = try schema()
        var builder = BlockBuilder(schema: schema, capacity: 16)
        let facts = Sample.facts(position: 3, receivedAt: 5)
        _ = builder.append(facts, rowCount: 3, rejectedCount: 3) { sink in
            for rejection in [Self.withheld, Self.bare, Self.kept] {
                sink.append(
                    rejection: rejection, branch: schema.rejectionBranch, keepsDigests: true)
            }
        }
        let finished = builder.finish(sync: sync).content
        return finished.bytes.array(in: finished.start..<finished.bytes.count)
    }

    @Test("A schema has the field or it has not, and is read back as the one it is")
    func schemas() throws {
        let schema = try schema()
        #expect(schema.keepsDigests)
        #expect(try LogSchema(json: schema.json) == schema)
        #expect(try LogSchema(json: schema.json).keepsDigests)
        let plain = try LogSchema(recordSchemas: [Sample.jobs])
        #expect(try !LogSchema(json: plain.json).keepsDigests && !plain.json.contains("digest\",["))
        let other = schema.json.replacingOccurrences(
            of: #""name":"digest""#, with: #""name":"hash""#)
        #expect(other != schema.json)
        #expect(throws: SchemaFault.self) { try LogSchema(json: other) }
    }

    @Test("Rejections with a digest are read and passed over, whole to the last byte")
    func reading() throws {
        let content = try content([UInt8](repeating: 9, count: 16))
        let schema = try schema()
        for skips in [false, true] {
            try content.withUnsafeBytes { raw in
                var cursor = ByteCursor(raw)
                _ = try cursor.readLong()
                _ = try cursor.readLong()
                var reader = try BatchReader(at: cursor, schema: schema)
                for rejection in [Self.withheld, Self.bare, Self.kept] {
                    let branch = try #require(try reader.nextBranch())
                    if skips {
                        try reader.skipRow(branch)
                    } else {
                        #expect(try reader.readRejection() == rejection)
                    }
                }
                _ = try reader.finish()
                #expect(reader.cursor.remaining == 16)
            }
        }
    }

    @Test("fastavro reads them, and sha256sum agrees")
    func stock() throws {
        let sync = [UInt8](repeating: 9, count: 16)
        let schema = try AvroSchema(json: try schema().json)
        let container =
            bytes { sink in
                ContainerHeader(schema: schema, codec: .null, syncMarker: SyncMarker(sync))
                    .encode(into: &sink)
            } + (try content(sync))
        let script = """
            import fastavro, sys
            rows = next(fastavro.reader(sys.stdin.buffer))["rows"]
            print(rows[0]["digest"].hex())
            assert rows[0]["raw"] == b"" and rows[0]["raw_length"] == 6, rows
            assert rows[2] == {"raw": b"\\1", "raw_length": None, "reasons": [], "digest": None}
            """
        let result = try runTool(pythonPath, ["-c", script], input: Data(container))
        #expect(result.status == 0, "\(result.errorText)")
        let sum = try runTool("sha256sum", [], input: Data("secret".utf8))
        #expect(sum.text == result.text.trimmingCharacters(in: .newlines) + "  -\n")
    }
}
