import Avro
import DaybookLog
import Testing

@Suite("Batches gone over as bytes") struct BatchSkimTests {
    /// The record of one batch that has everything a batch can have.
    private func record(keepsDigests: Bool) throws -> (bytes: [UInt8], schema: LogSchema) {
        let schema = try LogSchema(
            recordSchemas: [Sample.jobs, Sample.readings], keepsDigests: keepsDigests)
        var facts = Sample.facts(position: 1 << 40, receivedAt: 1_767_225_600_000_001)
        facts.idempotencyKey = "key"
        facts.requestDigest = Array(0..<32)
        facts.firstLine = 2
        facts.lineSkips = [LineSkip(row: 1, lines: 300), LineSkip(row: 2, lines: 1)]
        facts.corrects = [Correction(row: 0, position: 1 << 30)]
        let kept = Rejection(
            raw: [0, 0xFF], rawLength: 1 << 33,
            reasons: [
                .init(code: "missing_field", column: "job", message: "job is missing"),
                .init(code: "malformed_row", column: nil, message: ""),
            ])
        let digest = Digest(of: UnsafeRawBufferPointer(start: nil, count: 0)).bytes
        let second =
            keepsDigests
            ? Rejection(raw: [], rawLength: 7, reasons: kept.reasons, digest: digest) : kept
        var builder = BlockBuilder(schema: schema)
        _ = builder.append(facts, rowCount: 5, rejectedCount: 2) { sink in
            sink.append(long: 0)
            sink.append(long: .min)
            sink.append(long: 0)
            sink.append(rejection: kept, branch: 2, keepsDigests: keepsDigests)
            sink.append(rejection: second, branch: 2, keepsDigests: keepsDigests)
            sink.append(
                control: Control(kind: "waiver", refersTo: [0..<1, 7..<(1 << 40)], text: [1]),
                branch: 3)
            sink.append(long: 0)
            sink.append(long: 5)
            sink.append(long: 1)
            sink.append(string: "✓")
        }
        let recordByteCount = builder.byteCount
        let finished = builder.finish(sync: []).content
        let end = finished.bytes.count
        return (finished.bytes.array(in: (end - recordByteCount)..<end), schema)
    }

    @Test("The place, the table, the rows and the end are those that a reader finds",
        arguments: [false, true])
    func alike(keepsDigests: Bool) throws {
        let (bytes, schema) = try record(keepsDigests: keepsDigests)
        try bytes.withUnsafeBytes { bytes in
            let cursor = ByteCursor(bytes)
            var skim = try BatchSkim(at: cursor, schema: schema)
            var reader = try skim.reader()
            #expect(skim.position == 1 << 40 && reader.facts.position == skim.position)
            #expect(skim.table.elementsEqual("jobs".utf8) && skim.rowCount == reader.rowCount)
            #expect(skim.cursor.remaining == reader.cursor.remaining)
            while let branch = try reader.nextBranch() {
                #expect(try skim.nextBranch() == branch)
                try skim.skipRow(branch)
                switch branch {
                case schema.rejectionBranch: _ = try reader.readRejection()
                case schema.controlBranch: _ = try reader.readControl()
                default: _ = try reader.readRow(branch)
                }
                #expect(skim.cursor.remaining == reader.cursor.remaining)
            }
            #expect(try skim.nextBranch() == nil)
            var whole = try BatchSkim(at: cursor, schema: schema)
            try whole.finish()
            #expect(whole.cursor.isAtEnd)
        }
    }

    @Test("A record that is cut anywhere is an error, never a read beyond its end")
    func cut() throws {
        let (bytes, schema) = try record(keepsDigests: true)
        for count in bytes.indices {
            // A buffer of its own, so that a read beyond its end would be one.
            let part = Array(bytes[..<count])
            _ = part.withUnsafeBytes { part in
                #expect(throws: AvroDecodingError.self, "\(count)") {
                    var skim = try BatchSkim(at: ByteCursor(part), schema: schema)
                    try skim.finish()
                }
            }
        }
    }
}
