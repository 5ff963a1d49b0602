import Avro
import DaybookCatalog

extension Judge {
    /// Judges a CSV body as one batch. The original that is kept goes from the first row to the
    /// last; the first row's `lineSkip` counts the lines before it, a header's among them.
    ///
    /// Throws `IntakeError` if the first line is not the header that it should (or should not) be.
    public func judgeCSV(_ body: Bytes, header: CSVHeader) throws(IntakeError) -> JudgedBatch {
        var limits = limits
        limits.batchByteCount = 1 << 30
        var whole = self
        whole.limits = limits
        var decoder = try CSVDecoder(judge: whole, header: header)
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(IntakeError) in
                let step = try decoder.next(bytes, isLast: true, rowLimit: limits.rowCount)
                let rest = UnsafeRawBufferPointer(rebasing: bytes[step.consumedByteCount...])
                let more = try decoder.next(rest, isLast: true, rowLimit: 1)
                return (step, isComplete: more.batch == nil)
            }
        }
        let (step, isComplete) = try result.get()
        guard let batch = step.batch else { return malformed(body, .csv, "the batch has no rows") }
        guard isComplete else {
            return malformed(
                body, .csv, "the batch has more than \(limits.rowCount) rows; send them in several")
        }
        return batch.skippingLines(Int(step.firstLine) - 1)
    }
}

extension JudgedBatch {
    /// The same batch, its first row `count` lines further down.
    fileprivate func skippingLines(_ count: Int) -> JudgedBatch {
        if count == 0 { return self }
        var rows = rows
        rows[0].lineSkip += UInt32(count)
        return JudgedBatch(
            table: table, format: format, original: original, rows: rows, encoded: encoded,
            reasons: reasons, slots: slots)
    }
}
