import Avro
import DaybookLog
import Postgres

/// Turns batches and rejections into the binary COPY rows of `daybook.batches` and
/// `daybook.rejections`.
enum AuditTranscoder {
    static let batchColumns = [
        "position", "id", "received_at", "source", "principal", "idempotency_key", "table_name",
        "format", "rows", "accepted", "rejected", "dictionary", "first_line",
    ]
    static let rejectionColumns = [
        "position", "batch_id", "table_name", "source", "line", "received_at", "principal", "raw",
        "raw_length", "reasons", "raw_digest", "retry_of",
    ]
    static let codeColumns = ["code", "position", "columns"]
    static let closingColumns = [
        "rejection", "state", "position", "batch_id", "received_at", "principal", "note",
    ]

    static let retractionColumns = [
        "first_position", "end_position", "position", "batch_id", "received_at", "principal",
        "note",
    ]

    static func appendBatch(
        _ facts: BatchFacts, rowCount: Int, rejectedCount: Int, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        precondition(rejectedCount <= rowCount, "rows = accepted + rejected")
        sink.append(bigEndian: Int16(batchColumns.count))
        append(facts.position, to: &sink)
        try UUIDText.append(facts.id.utf8, to: &sink)
        append(facts.receivedAt - PostgresEpoch.microseconds, to: &sink)
        append(text: facts.source, to: &sink)
        append(text: facts.principal, to: &sink)
        append(text: facts.idempotencyKey, to: &sink)
        append(text: facts.table, to: &sink)
        append(text: facts.format, to: &sink)
        append(count: rowCount, to: &sink)
        append(count: rowCount - rejectedCount, to: &sink)
        append(count: rejectedCount, to: &sink)
        append(text: facts.dictionary, to: &sink)
        append(facts.firstLine, to: &sink)
    }

    static func appendRejection(
        _ rejection: Rejection, of facts: BatchFacts, row: Int, retryOf earlier: Position?,
        to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(rejectionColumns.count))
        append(facts.position + Position(row), to: &sink)
        try UUIDText.append(facts.id.utf8, to: &sink)
        append(text: facts.table, to: &sink)
        append(text: facts.source, to: &sink)
        append(facts.line(ofRow: row), to: &sink)
        append(facts.receivedAt - PostgresEpoch.microseconds, to: &sink)
        append(text: facts.principal, to: &sink)
        sink.append(bigEndian: Int32(rejection.raw.count))
        sink.append(raw: rejection.raw)
        append(rejection.rawLength ?? Int64(rejection.raw.count), to: &sink)
        appendReasons(rejection.reasons, to: &sink)
        if let digest = rejection.digest {
            sink.append(bigEndian: Int32(digest.count))
            sink.append(raw: digest)
        } else {
            sink.append(bigEndian: Int32(-1))
        }
        append(earlier, to: &sink)
    }

    /// A code that a rejected row got, with the columns that its reasons name.
    static func appendCode(
        _ code: String, at position: Position, columns: [String], to sink: inout ByteSink
    ) {
        sink.append(bigEndian: Int16(codeColumns.count))
        append(text: code, to: &sink)
        append(position, to: &sink)
        append(array: Set(columns).sorted(), to: &sink)
    }

    static func appendClosing(
        _ closing: RejectionClosing, of facts: BatchFacts, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(closingColumns.count))
        append(closing.rejection, to: &sink)
        append(text: closing.state.rawValue, to: &sink)
        append(closing.position, to: &sink)
        try UUIDText.append(facts.id.utf8, to: &sink)
        append(facts.receivedAt - PostgresEpoch.microseconds, to: &sink)
        append(text: closing.principal, to: &sink)
        append(text: closing.note, to: &sink)
    }

    static func append(
        _ retraction: Retraction, of span: Range<Position>, at position: Position,
        of facts: BatchFacts, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(retractionColumns.count))
        append(span.lowerBound, to: &sink)
        append(span.upperBound, to: &sink)
        append(position, to: &sink)
        try UUIDText.append(facts.id.utf8, to: &sink)
        append(facts.receivedAt - PostgresEpoch.microseconds, to: &sink)
        append(text: retraction.principal, to: &sink)
        append(text: retraction.note, to: &sink)
    }

    /// A `text[]` of one dimension. (PostgreSQL, `array_recv` in `arrayfuncs.c`.)
    private static func append(array: [String], to sink: inout ByteSink) {
        let start = sink.count
        sink.append(bigEndian: Int32(0))
        sink.append(bigEndian: Int32(array.isEmpty ? 0 : 1))
        sink.append(bigEndian: Int32(0))
        sink.append(bigEndian: TypeOID.text)
        if !array.isEmpty {
            sink.append(bigEndian: Int32(array.count))
            sink.append(bigEndian: Int32(1))
            for text in array { append(text: text, to: &sink) }
        }
        let count = Int32(sink.count - start - 4).bigEndian
        sink.unsafeMutableBytes.storeBytes(of: count, toByteOffset: start, as: Int32.self)
    }

    private static func append(count: Int, to sink: inout ByteSink) {
        sink.append(bigEndian: Int32(4))
        sink.append(bigEndian: Int32(count))
    }

    private static func append(_ value: Int64?, to sink: inout ByteSink) {
        guard let value else { return sink.append(bigEndian: Int32(-1)) }
        sink.append(bigEndian: Int32(8))
        sink.append(bigEndian: value)
    }

    /// A text; NUL cannot be stored and becomes U+FFFD (the log keeps what was sent).
    private static func append(text: String?, to sink: inout ByteSink) {
        guard var text else { return sink.append(bigEndian: Int32(-1)) }
        if text.utf8.contains(0) { text = text.replacing("\0", with: "\u{FFFD}") }
        text.withUTF8 { bytes in
            sink.append(bigEndian: Int32(bytes.count))
            sink.append(raw: UnsafeRawBufferPointer(bytes))
        }
    }

    /// `jsonb_recv` takes a version byte and the text: `[{"code","column","message"}, …]`.
    private static func appendReasons(_ reasons: [Rejection.Reason], to sink: inout ByteSink) {
        let start = sink.count
        sink.append(bigEndian: Int32(0))
        sink.append(byte: 1)
        sink.append(byte: UInt8(ascii: "["))
        for (index, reason) in reasons.enumerated() {
            if index > 0 { sink.append(byte: UInt8(ascii: ",")) }
            append("{\"code\":", reason.code, to: &sink)
            if let column = reason.column { append(",\"column\":", column, to: &sink) }
            append(",\"message\":", reason.message, to: &sink)
            sink.append(byte: UInt8(ascii: "}"))
        }
        sink.append(byte: UInt8(ascii: "]"))
        let count = Int32(sink.count - start - 4).bigEndian
        sink.unsafeMutableBytes.storeBytes(of: count, toByteOffset: start, as: Int32.self)
    }

    private static func append(_ key: StaticString, _ value: String, to sink: inout ByteSink) {
        key.withUTF8Buffer { sink.append(raw: UnsafeRawBufferPointer($0)) }
        sink.append(byte: UInt8(ascii: "\""))
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                sink.append(byte: UInt8(ascii: "\\"))
                sink.append(byte: byte)
            case 0:
                // jsonb stores no U+0000.
                sink.append(raw: Array("\u{FFFD}".utf8))
            case 0..<0x20:
                let digits = Array("0123456789abcdef".utf8)
                sink.append(raw: Array("\\u00".utf8))
                sink.append(byte: digits[Int(byte >> 4)])
                sink.append(byte: digits[Int(byte & 15)])
            default:
                sink.append(byte: byte)
            }
        }
        sink.append(byte: UInt8(ascii: "\""))
    }
}
