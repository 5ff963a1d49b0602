/// What a decoder made of the bytes it was shown.
///
/// A batch is cut by the file's bytes alone, never by how much of it was read at a time. So an
/// import that was interrupted cuts the same batches when it is run again.
public struct IntakeStep: Sendable {
    /// The rows, or nil: there was nothing but blank lines, or too little to fill a batch. If not a
    /// byte was consumed either, show the same bytes again with more behind them.
    public let batch: JudgedBatch?
    /// How many bytes of the buffer are done with.
    public let consumedByteCount: Int
    /// How many of the lines consumed were blank.
    public let blankLineCount: Int
    /// The physical line on which the batch's first row starts, from 1. Without a batch, the line
    /// that comes next.
    public let firstLine: Int64
}
