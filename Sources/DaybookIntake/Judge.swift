import Avro
import CSimdjson
import DaybookCatalog

/// Judges the rows of one table: bytes in, Avro rows and rejections out.
///
/// A judge is made once for a table and used by any number of threads. It looks at every row by
/// itself; what needs the other rows (`duplicate_key`, `unknown_reference`) is the ledger's part.
public struct Judge: Sendable {
    let plan: TablePlan
    var limits: IntakeLimits
    let probe: RowProbe?

    /// The table whose rows are judged.
    public var table: Table { plan.table }
    /// How the keys of its rows are computed.
    public var slots: KeySlots { plan.slots }

    /// A judge for `table`; `constraints` are those of its catalog, `fingerprintKey` the ledger's.
    public init(
        table: Table, constraints: [KeyConstraint], fingerprintKey: FingerprintKey,
        limits: IntakeLimits = IntakeLimits()
    ) {
        self.init(
            table: table, constraints: constraints, fingerprintKey: fingerprintKey,
            limits: limits, probe: nil)
    }

    init(
        table: Table, constraints: [KeyConstraint], fingerprintKey: FingerprintKey,
        limits: IntakeLimits, probe: RowProbe?
    ) {
        plan = TablePlan(table: table, constraints: constraints, key: fingerprintKey)
        self.limits = limits
        self.probe = probe
    }

    /// Judges a JSON array of objects, or one object. `body` is kept as the batch's original.
    public func judgeJSON(_ body: Bytes) -> JudgedBatch {
        judgeParsed(body, format: .json, read: djs_rows)
    }

    /// Judges one JSON object a line; blank lines are passed over. `body` is kept as the batch's
    /// original.
    public func judgeNDJSON(_ body: Bytes) -> JudgedBatch {
        judgeParsed(body, format: .ndjson, read: djs_lines)
    }

    /// Judges rows of an Avro file again, by the JSON objects that were kept of them.
    func judgeAvroText(_ body: Bytes) -> JudgedBatch {
        judgeParsed(body, format: .avro, read: djs_rows)
    }

    private typealias Read = (
        OpaquePointer?, UnsafePointer<UInt8>?, Int, Int, UnsafeMutablePointer<djs_batch>?
    ) -> Int32

    private func judgeParsed(_ body: Bytes, format: BatchFormat, read: Read) -> JudgedBatch {
        JSONParserPool.shared.withParser { parser in
            body.withUnsafeBytes { bytes in
                var parsed = djs_batch()
                let start = bytes.bindMemory(to: UInt8.self).baseAddress
                let status = djs_status(
                    UInt32(read(parser, start, bytes.count, limits.rowCount, &parsed)))
                guard status == DJS_OK, let base = bytes.baseAddress else {
                    return malformed(body, format, message(status, parsed))
                }
                return judge(parsed, body, base, format)
            }
        }
    }

    private func judge(
        _ parsed: djs_batch, _ body: Bytes, _ base: UnsafeRawPointer, _ format: BatchFormat
    ) -> JudgedBatch {
        var builder = BatchBuilder(
            plan: plan, probe: probe, rowCount: parsed.row_count, byteCount: body.count,
            isFromAvro: format == .avro)
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: plan.columns.count) { places in
            guard let placeOf = places.baseAddress else { return }
            var nextLine: UInt32 = 0
            for index in 0..<parsed.row_count {
                let row = parsed.rows[index]
                let skip = format == .ndjson ? Int(row.line &- nextLine) : 0
                nextLine = row.line &+ 1
                builder.judge(
                    row, fields: parsed.fields + Int(row.first_field), body: base,
                    placeOf: placeOf, lineSkip: skip)
            }
        }
        return builder.finish(format: format, original: body)
    }

    private func message(_ status: djs_status, _ parsed: djs_batch) -> String {
        switch status {
        case DJS_TOO_MANY_ROWS:
            return "the batch has more than \(limits.rowCount) rows; send them in several"
        case DJS_NO_ROWS:
            return "the batch has no rows"
        case DJS_NO_MEMORY:
            return "the batch needs more memory than there is"
        default:
            let fault = parsed.fault.map { String(cString: $0) } ?? "the text is not JSON"
            return parsed.fault_place == 0
                ? "not a JSON array of objects: \(fault)"
                : "not a JSON array of objects: \(fault), near byte \(parsed.fault_place)"
        }
    }

    /// A body that is no batch: one rejected row with the body's start.
    func malformed(_ body: Bytes, _ format: BatchFormat, _ message: String) -> JudgedBatch {
        // Of a body that is not kept there is a digest, which is of all of it.
        let kept =
            table.rejectedRaw == .digest
            ? body.count : min(body.count, IntakeLimits.malformedByteCount)
        let original =
            kept == body.count
            ? body : body.withUnsafeBytes(in: 0..<kept) { Bytes(copying: $0) }
        return JudgedBatch(
            table: table, format: format, original: original,
            rows: [
                JudgedRow(
                    originalStart: 0, originalCount: UInt32(kept), encodedStart: 0, encodedCount: 0,
                    reasonsStart: 0, reasonsCount: 1, lineSkip: 0)
            ],
            encoded: Bytes([]), reasons: [Reason(.malformedBatch, ReasonText.cut(message))],
            slots: ContiguousArray(repeating: .absent, count: table.slots.count),
            malformedByteCount: body.count)
    }
}
