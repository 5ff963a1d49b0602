import CZstd

/// Compresses blocks to a Zstandard frame each, with memory taken once.
///
/// Source: zstd's `ZSTD_compressCCtx`, which writes the content's size into the frame.
struct ZstandardCompressor: ~Copyable {
    private let context: OpaquePointer
    private let level: Int32

    /// `level` from 1 (fast) to 22 (small).
    init(level: Int32) {
        guard let context = ZSTD_createCCtx() else {
            preconditionFailure("zstd has memory")
        }
        self.context = context
        self.level = level
    }

    deinit { ZSTD_freeCCtx(context) }

    /// Appends the compressed `input`.
    func compress(_ input: UnsafeRawBufferPointer, into output: inout ByteSink) {
        output.appendUninitialized(upTo: ZSTD_compressBound(input.count)) { room in
            let count = ZSTD_compressCCtx(
                context, room.baseAddress, room.count, input.baseAddress, input.count, level)
            precondition(ZSTD_isError(count) == 0, "the bound is enough room")
            return count
        }
    }
}

/// Decompresses blocks of Zstandard frames, with memory taken once.
///
/// Source: RFC 8878; zstd's `ZSTD_decompressStream`. Writers may leave the content's size out of a
/// frame (Java's do) and may write several frames, so the size that is stated only says how much
/// room to begin with. A frame's window is at most 128 MiB, zstd's own limit.
struct ZstandardDecompressor: ~Copyable {
    private let context: OpaquePointer

    init() {
        guard let context = ZSTD_createDCtx() else {
            preconditionFailure("zstd has memory")
        }
        self.context = context
    }

    deinit { ZSTD_freeDCtx(context) }

    /// What was compressed to `input`, if it has at most `byteCountMax` bytes.
    mutating func decompress(
        _ input: UnsafeRawBufferPointer, byteCountMax: Int
    ) throws(AvroContainerError) -> Bytes {
        let reset = ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
        precondition(ZSTD_isError(reset) == 0, "a context can be used again")
        // The two largest values say that the size is not stated, or that this is no frame.
        let stated = ZSTD_getFrameContentSize(input.baseAddress, input.count)
        let isStated = stated < UInt64.max - 1
        guard !isStated || stated <= UInt64(byteCountMax) else { throw .contentTooLarge }
        let expected = isStated ? Int(stated) : min(input.count * 4, byteCountMax)
        var output = ByteSink(capacity: expected)
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        while true {
            // Room for one byte more than allowed shows whether there is one.
            let wanted = output.count == 0 ? expected : output.count
            let room = min(max(wanted, 4096), byteCountMax + 1 - output.count)
            let before = (output.count, source.pos)
            var status = 0
            output.appendUninitialized(upTo: room) { room in
                var target = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
                status = ZSTD_decompressStream(context, &target, &source)
                return target.pos
            }
            guard ZSTD_isError(status) == 0 else { throw .badCompression }
            guard output.count <= byteCountMax else { throw .contentTooLarge }
            if status == 0 && source.pos == source.size { return output.finish() }
            // Nothing more comes out of it: the data end inside a frame.
            guard before != (output.count, source.pos) else { throw .badCompression }
        }
    }
}
