import CZlib

/// Compresses blocks to raw deflate, one after the other, with memory taken once.
///
/// Source: zlib's `deflateInit2`, `deflateReset`, `deflate`.
struct Deflater: ~Copyable {
    /// zlib keeps a pointer back to its stream, so the stream must not move.
    private let stream: UnsafeMutablePointer<z_stream>

    /// `level` from 1 (fast) to 9 (small).
    init(level: Int32) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = deflateInit2_(
            stream, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has memory and a level from 1 to 9")
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    /// Replaces what `output` holds by the compressed `input`.
    mutating func compress(_ input: UnsafeRawBufferPointer, into output: inout ByteSink) {
        precondition(input.count <= Int(UInt32.max), "a block has less than 4 GiB")
        output.removeAll()
        let status = deflateReset(stream)
        precondition(status == Z_OK, "a stream can be used again")
        let bound = Int(deflateBound(stream, UInt(input.count)))
        output.appendUninitialized(upTo: bound) { room in
            stream.pointee.next_in = UnsafeMutablePointer(
                mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
            stream.pointee.avail_in = UInt32(input.count)
            stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
            stream.pointee.avail_out = UInt32(room.count)
            let status = deflate(stream, Z_FINISH)
            precondition(status == Z_STREAM_END, "deflateBound is enough room")
            return room.count - Int(stream.pointee.avail_out)
        }
    }
}

/// Decompresses blocks of raw deflate, with memory taken once.
///
/// Source: zlib's `inflateInit2`, `inflateReset`, `inflate`.
struct Inflater: ~Copyable {
    private let stream: UnsafeMutablePointer<z_stream>

    /// The official Python package leaves bytes of zlib's checksum behind the deflated data.
    private static let trailingByteCountMax = 4

    init() {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = inflateInit2_(
            stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has memory")
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    /// What was compressed to `input`, if it has at most `byteCountMax` bytes.
    mutating func decompress(
        _ input: UnsafeRawBufferPointer, byteCountMax: Int
    ) throws(AvroContainerError) -> Bytes {
        precondition(input.count <= Int(UInt32.max), "a block has less than 4 GiB")
        let reset = inflateReset(stream)
        precondition(reset == Z_OK, "a stream can be used again")
        stream.pointee.next_in = UnsafeMutablePointer(
            mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
        stream.pointee.avail_in = UInt32(input.count)
        var output = ByteSink(capacity: min(input.count * 4, byteCountMax))
        while true {
            // Room for one byte more than allowed shows whether there is one.
            let room = min(max(output.count, 4096), byteCountMax + 1 - output.count)
            var status = Z_OK
            output.appendUninitialized(upTo: room) { room in
                stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
                stream.pointee.avail_out = UInt32(room.count)
                status = inflate(stream, Z_NO_FLUSH)
                return room.count - Int(stream.pointee.avail_out)
            }
            guard output.count <= byteCountMax else { throw .contentTooLarge }
            if status == Z_STREAM_END { break }
            guard status == Z_OK, stream.pointee.avail_out == 0 else { throw .badCompression }
        }
        guard stream.pointee.avail_in <= Self.trailingByteCountMax else { throw .badCompression }
        return output.finish()
    }
}
