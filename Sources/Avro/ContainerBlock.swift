/// How much of a container file is held in memory before it is called malformed; in bytes.
public struct ContainerLimits: Hashable, Sendable {
    /// A header's bytes.
    public var headerByteCount: Int
    /// A block's bytes as they stand in the file.
    public var blockByteCount: Int
    /// A block's bytes when decompressed.
    public var contentByteCount: Int

    /// Limits that files of other programs stay far below.
    public init(
        headerByteCount: Int = 16 << 20, blockByteCount: Int = 64 << 20,
        contentByteCount: Int = 256 << 20
    ) {
        precondition(
            headerByteCount > 0 && blockByteCount > 0 && contentByteCount > 0
                && max(headerByteCount, blockByteCount, contentByteCount) <= 1 << 30,
            "a limit is between one byte and a gibibyte")
        self.headerByteCount = headerByteCount
        self.blockByteCount = blockByteCount
        self.contentByteCount = contentByteCount
    }
}

/// A block of a container file: encoded values, decompressed.
public struct ContainerBlock: Sendable {
    /// How many values there are.
    public let count: Int
    /// The values, one behind the other.
    public let bytes: Bytes
    /// Where the block begins in the file, in bytes.
    public let offset: Int

    /// The values as trees. Throws where the block has other than `count` values, and
    /// `.tooManyEmptyItems` for more values without bytes than `limits` allow.
    public func decode(
        with decoder: ResolvingDecoder, limits: AvroLimits = AvroLimits()
    ) throws(AvroDecodingError) -> [AvroValue] {
        try bytes.withUnsafeBytes { raw throws(AvroDecodingError) in
            guard count <= raw.count || count <= limits.emptyItemCount else {
                throw .tooManyEmptyItems
            }
            var values: [AvroValue] = []
            var cursor = ByteCursor(raw)
            for _ in 0..<count { values.append(try decoder.decode(&cursor)) }
            guard cursor.isAtEnd else { throw .bytesLeft(cursor.remaining) }
            return values
        }
    }
}
