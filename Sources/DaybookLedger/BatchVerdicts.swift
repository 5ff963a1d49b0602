import Avro
import DaybookIntake
import DaybookLog

/// The final verdicts of a batch's rows: which are rejected, and why; all others are accepted.
struct BatchVerdicts {
    let batch: JudgedBatch
    /// In row order.
    let rejections: [(row: Int, rejection: Rejection)]

    /// Brings together what intake found and what the ledger found (`faults`, in row order).
    init(_ batch: JudgedBatch, faults: [RowFault], isAtomic: Bool) {
        self.batch = batch
        let isAnyRejected = !faults.isEmpty || batch.rows.contains { !$0.isCandidate }
        guard isAnyRejected else {
            rejections = []
            return
        }
        var rejections: [(row: Int, rejection: Rejection)] = []
        var rest = faults[...]
        for row in batch.rows.indices {
            let end = rest.firstIndex { $0.row != row } ?? rest.endIndex
            let own = rest[rest.startIndex..<end]
            rest = rest[end...]
            if own.isEmpty, batch.rows[row].isCandidate, !isAtomic { continue }
            let reasons = Self.reasons(batch, row, own)
            rejections.append((row, Self.rejection(batch, row, reasons)))
        }
        self.rejections = rejections
    }

    /// Every reason in order of precedence, at most as many as a row may have.
    private static func reasons(
        _ batch: JudgedBatch, _ row: Int, _ faults: ArraySlice<RowFault>
    ) -> [Reason] {
        let place = batch.rows[row]
        let start = Int(place.reasonsStart)
        let found =
            Array(batch.reasons[start..<(start + Int(place.reasonsCount))]) + faults.map(\.reason)
        guard !found.isEmpty else {
            let message = "the row is good, but another of this atomic batch was rejected"
            return [Reason(.atomicBatch, message)]
        }
        // Stable: the order of intake's and of the dictionary's rules stays among equal codes.
        let ordered = found.enumerated().sorted { left, right in
            (left.element.code, left.offset) < (right.element.code, right.offset)
        }
        return ordered.prefix(IntakeLimits.reasonCount).map(\.element)
    }

    private static func rejection(
        _ batch: JudgedBatch, _ row: Int, _ reasons: [Reason]
    ) -> Rejection {
        let raw = batch.raw(ofRow: row)
        return Rejection(
            raw, byteCount: batch.malformedByteCount ?? raw.count, of: batch.table,
            reasons: reasons.map {
                Rejection.Reason(code: $0.code.name, column: $0.column, message: $0.message)
            })
    }

    /// Writes all rows with their branches; a run of accepted rows is one copy.
    func write(to sink: inout ByteSink, schema: LogSchema) {
        var next = 0
        for (row, rejection) in rejections {
            writeAccepted(next..<row, to: &sink)
            sink.append(
                rejection: rejection, branch: schema.rejectionBranch,
                keepsDigests: schema.keepsDigests)
            next = row + 1
        }
        writeAccepted(next..<batch.rows.count, to: &sink)
    }

    private func writeAccepted(_ rows: Range<Int>, to sink: inout ByteSink) {
        if rows.isEmpty { return }
        let first = batch.rows[rows.lowerBound]
        let last = batch.rows[rows.upperBound - 1]
        let start = Int(first.encodedStart) - branchByteCount
        let end = Int(last.encodedStart) + Int(last.encodedCount)
        batch.encoded.withUnsafeBytes(in: start..<end) { sink.append(raw: $0) }
    }

    /// The branch's number stands before every encoded row, as an Avro long.
    private var branchByteCount: Int {
        var rest = batch.table.index >> 6
        var count = 1
        while rest > 0 {
            rest >>= 7
            count += 1
        }
        return count
    }
}
