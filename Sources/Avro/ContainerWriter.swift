/// Writes an object container file to an output that the caller provides.
///
/// Values are gathered into a block until it has `blockByteCount` bytes; then the block goes out in
/// one call. `finish()` must be called at the end: what is still gathered goes out there.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files".
public struct ContainerWriter<Failure: Error>: ~Copyable {
    /// Takes the file's next bytes; they are valid only during the call.
    public typealias Output = (UnsafeRawBufferPointer) throws(Failure) -> Void

    /// The header that was written.
    public let header: ContainerHeader
    private let output: Output
    @usableFromInline let blockByteCount: Int
    private let encoder: AvroEncoder
    @usableFromInline var content: ByteSink
    @usableFromInline var valueCount = 0
    /// A block as it goes out: front, data, sync marker.
    private var block = ByteSink()
    private var compressor: BlockCompressor
    private var compressed = ByteSink()

    /// Writes the header at once, in one call of `output`.
    ///
    /// `blockByteCount` is how many bytes before compression make a block full;
    /// `compressionLevel` is `BlockCompressor`'s.
    public init(
        header: ContainerHeader, blockByteCount: Int = 64 * 1024, compressionLevel: Int? = nil,
        output: @escaping Output
    ) throws(Failure) {
        precondition(blockByteCount > 0, "a block holds something")
        self.header = header
        self.output = output
        self.blockByteCount = blockByteCount
        encoder = AvroEncoder(header.schema)
        content = ByteSink(capacity: blockByteCount + blockByteCount / 4)
        compressor = BlockCompressor(codec: header.codec, level: compressionLevel)
        header.encode(into: &block)
        try output(block.unsafeBytes)
    }

    /// Adds one value that is encoded already.
    @inlinable public mutating func append(encoded value: UnsafeRawBufferPointer) throws(Failure) {
        content.append(raw: value)
        try countValue()
    }

    /// Adds the one value that `encode` writes: the way without a copy.
    @inlinable public mutating func append(
        _ encode: (inout ByteSink) throws(Failure) -> Void
    ) throws(Failure) {
        let start = content.count
        do throws(Failure) {
            try encode(&content)
        } catch {
            content.truncate(to: start)
            throw error
        }
        try countValue()
    }

    /// Adds one value. Throws `AvroEncodingError`, or what the output throws.
    public mutating func append(_ value: AvroValue) throws {
        try encoder.encode(value, into: &content)
        try countValue()
    }

    @inlinable mutating func countValue() throws(Failure) {
        valueCount += 1
        if content.count >= blockByteCount { try flush() }
    }

    /// Ends the block, so that all values so far have gone out.
    public mutating func flush() throws(Failure) {
        guard valueCount > 0 else { return }
        block.removeAll()
        if header.codec == .null {
            header.syncMarker.frame(
                count: valueCount, compressed: content.unsafeBytes, into: &block)
        } else {
            compressed.removeAll()
            compressor.compress(content.unsafeBytes, into: &compressed)
            header.syncMarker.frame(
                count: valueCount, compressed: compressed.unsafeBytes, into: &block)
        }
        content.removeAll()
        valueCount = 0
        try output(block.unsafeBytes)
    }

    /// Ends the file.
    public consuming func finish() throws(Failure) {
        try flush()
    }
}
