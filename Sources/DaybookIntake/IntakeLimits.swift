/// What intake takes at most. Everything that a client can make grow has a name here.
public struct IntakeLimits: Sendable {
    /// Rows in one body; a body with more is no batch.
    public var rowCount: Int
    /// Bytes of one CSV row or NDJSON line in a stream; a longer one is cut there and rejected.
    public var rowByteCount: Int
    /// Bytes of rows in one batch cut from a stream, unless a single row has more.
    public var batchByteCount: Int

    /// Bytes that are kept of a body that is no batch.
    public static let malformedByteCount = 64 << 10
    /// Reasons that are kept for one row.
    public static let reasonCount = 16
    /// Bytes of a reason's column name and of its message.
    public static let reasonByteCount = 256

    /// The limits of the interface, unless others are given.
    public init(
        rowCount: Int = 1_000, rowByteCount: Int = 1 << 20, batchByteCount: Int = 4 << 20
    ) {
        precondition(rowCount > 0 && rowByteCount > 0, "a limit lets at least one through")
        precondition(rowByteCount <= batchByteCount, "a row within its limit fits a batch")
        precondition(batchByteCount <= 1 << 30, "places in a batch are 32-bit numbers")
        self.rowCount = rowCount
        self.rowByteCount = rowByteCount
        self.batchByteCount = batchByteCount
    }

    /// As many rows as the body has: for local imports.
    public static let local = IntakeLimits(rowCount: .max)
}
