import CDeflate

/// Compresses blocks to raw deflate, one after the other, with memory taken once.
///
/// Source: libdeflate's `libdeflate_deflate_compress`. It works on whole blocks, which is what a
/// container file has; docs/performance.md has it beside zlib.
struct Deflater: ~Copyable {
    private let compressor: OpaquePointer

    /// `level` from 1 (fast) to 9 (small).
    init(level: Int32) {
        guard let compressor = libdeflate_alloc_compressor(level) else {
            preconditionFailure("libdeflate has memory and a level from 1 to 9")
        }
        self.compressor = compressor
    }

    deinit { libdeflate_free_compressor(compressor) }

    /// Appends the compressed `input`.
    func compress(_ input: UnsafeRawBufferPointer, into output: inout ByteSink) {
        let bound = libdeflate_deflate_compress_bound(compressor, input.count)
        output.appendUninitialized(upTo: bound) { room in
            let count = libdeflate_deflate_compress(
                compressor, input.baseAddress, input.count, room.baseAddress, room.count)
            precondition(count > 0, "the bound is enough room")
            return count
        }
    }
}

/// Decompresses blocks of raw deflate, with memory taken once.
///
/// Source: libdeflate's `libdeflate_deflate_decompress_ex`.
struct Inflater: ~Copyable {
    private let decompressor: OpaquePointer
    /// What the block before had: the next is about as large.
    private var lastByteCount = 0

    /// The official Python package leaves bytes of zlib's checksum behind the deflated data.
    private static let trailingByteCountMax = 4

    init() {
        guard let decompressor = libdeflate_alloc_decompressor() else {
            preconditionFailure("libdeflate has memory")
        }
        self.decompressor = decompressor
    }

    deinit { libdeflate_free_decompressor(decompressor) }

    /// What was compressed to `input`, if it has at most `byteCountMax` bytes.
    ///
    /// The size is not told, so the room is doubled until it is enough: memory stays within the
    /// limit, and the work within twice that of the limit, whatever the bytes say.
    mutating func decompress(
        _ input: UnsafeRawBufferPointer, byteCountMax: Int
    ) throws(AvroContainerError) -> Bytes {
        var room = min(max(input.count * 4, lastByteCount + lastByteCount / 4, 4096), byteCountMax)
        while true {
            var output = ByteSink(capacity: room)
            var used = 0
            var status = LIBDEFLATE_SUCCESS
            output.appendUninitialized(upTo: room) { room in
                var count = 0
                status = libdeflate_deflate_decompress_ex(
                    decompressor, input.baseAddress, input.count, room.baseAddress, room.count,
                    &used, &count)
                return status == LIBDEFLATE_SUCCESS ? count : 0
            }
            if status == LIBDEFLATE_SUCCESS {
                guard input.count - used <= Self.trailingByteCountMax else {
                    throw .badCompression
                }
                lastByteCount = output.count
                return output.finish()
            }
            guard status == LIBDEFLATE_INSUFFICIENT_SPACE else { throw .badCompression }
            guard room < byteCountMax else { throw .contentTooLarge }
            room = min(room * 2, byteCountMax)
        }
    }
}
