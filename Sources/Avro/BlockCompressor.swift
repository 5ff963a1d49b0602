/// Compresses the blocks of container files, one after the other, with memory taken once.
///
/// A compressor has one owner and may go from one thread to another: so blocks can be compressed
/// beside the thread that fills them, and framed (`SyncMarker.frame`) by whoever writes the file.
public struct BlockCompressor: ~Copyable {
    /// How blocks are compressed.
    public let codec: ContainerCodec
    private let deflater: Deflater?
    private let zstandard: ZstandardCompressor?

    /// A compressor for blocks of `codec`.
    ///
    /// `level` is deflate's from 1 (fast) to 9 (small), 6 if nil, or Zstandard's from 1 to 22, 3
    /// if nil; `null` has none.
    public init(codec: ContainerCodec, level: Int? = nil) {
        self.codec = codec
        switch codec {
        case .null:
            deflater = nil
            zstandard = nil
        case .deflate:
            let level = level ?? 6
            precondition((1...9).contains(level), "levels of deflate go from 1 to 9")
            deflater = Deflater(level: Int32(level))
            zstandard = nil
        case .zstandard:
            let level = level ?? 3
            precondition((1...22).contains(level), "levels of Zstandard go from 1 to 22")
            deflater = nil
            zstandard = ZstandardCompressor(level: Int32(level))
        }
    }

    /// Appends one block's content as it stands in a file: compressed, without a frame.
    public mutating func compress(
        _ content: UnsafeRawBufferPointer, into output: inout ByteSink
    ) {
        switch codec {
        case .null: output.append(raw: content)
        case .deflate: deflater?.compress(content, into: &output)
        case .zstandard: zstandard?.compress(content, into: &output)
        }
    }
}

// @unchecked: the libraries' contexts have one owner, the compressor, and it can be moved but not
// copied; neither library ties a context to a thread.
extension BlockCompressor: @unchecked Sendable {}

extension SyncMarker {
    /// Appends a block as it stands in a file: how many values it has, its data as
    /// `BlockCompressor` made them, and this marker.
    public func frame(
        count: Int, compressed: UnsafeRawBufferPointer, into sink: inout ByteSink
    ) {
        precondition(count >= 0, "a count is never negative")
        sink.append(long: Int64(count))
        sink.append(bytes: compressed)
        encode(into: &sink)
    }
}

/// Decompresses the blocks of container files, with memory taken once.
struct BlockDecompressor: ~Copyable {
    private let codec: ContainerCodec
    private var inflater: Inflater?
    private var zstandard: ZstandardDecompressor?

    init(codec: ContainerCodec) {
        self.codec = codec
        switch codec {
        case .null:
            inflater = nil
            zstandard = nil
        case .deflate:
            inflater = Inflater()
            zstandard = nil
        case .zstandard:
            inflater = nil
            zstandard = ZstandardDecompressor()
        }
    }

    /// The content of a block that stands in the file as `stored`.
    mutating func decompress(
        _ stored: UnsafeRawBufferPointer, byteCountMax: Int
    ) throws(AvroContainerError) -> Bytes {
        let content: Bytes?
        switch codec {
        case .null: content = Bytes(copying: stored)
        case .deflate: content = try inflater?.decompress(stored, byteCountMax: byteCountMax)
        case .zstandard: content = try zstandard?.decompress(stored, byteCountMax: byteCountMax)
        }
        guard let content else { preconditionFailure("a codec has its decompressor") }
        return content
    }
}
