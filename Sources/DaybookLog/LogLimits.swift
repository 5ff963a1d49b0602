/// The sizes that nest: a body fits a record, a record a block, a block a segment.
///
/// The relation is asserted when the first block is built (`assertNesting`). All are bytes.
public enum LogLimits {
    /// A request's body, or an import's chunk.
    public static let bodyByteCount = 8 << 20
    /// One batch's Avro record. What would outgrow it becomes one `malformed_batch`.
    public static let recordByteCount = 24 << 20
    /// A block's content before compression.
    public static let blockByteCount = 32 << 20
    /// A block as stored: LZ4 may add a little to what it can't compress.
    public static let storedByteCount = blockByteCount + (1 << 20)
    /// A segment rolls when it has grown to this.
    public static let segmentByteCount = 64 << 20
    /// The Avro header of a segment, which holds the schema.
    public static let schemaByteCount = 4 << 20
    /// A footer or a control frame other than a block.
    public static let frameByteCount = 8 << 20

    /// Positions, numbers and counts in frames are below this.
    public static let numberEnd: Int64 = 1 << 62
    /// How long the writer waits without work before it attests the last block.
    public static let quietSeconds = 0.02

    static func assertNesting() {
        precondition(bodyByteCount < recordByteCount, "a body fits a record")
        precondition(recordByteCount < blockByteCount, "a record fits a block")
        precondition(storedByteCount < segmentByteCount, "a block fits a segment")
    }
}
