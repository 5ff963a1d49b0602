/// What a decoder takes before it calls bytes malformed. Counts and lengths need no limit of their
/// own: they are held against the bytes that are left.
public struct AvroLimits: Hashable, Sendable {
    /// How deep values may nest, in schema nodes.
    public var depth: Int
    /// How many items without bytes (as in an array of nulls) one value may have in all.
    public var emptyItemCount: Int

    /// Limits that no honest data meets.
    public init(depth: Int = 256, emptyItemCount: Int = 65_536) {
        precondition(depth > 0 && emptyItemCount >= 0, "a limit is never negative")
        self.depth = depth
        self.emptyItemCount = emptyItemCount
    }
}
