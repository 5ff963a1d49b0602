import Avro
import CLZ4

/// LZ4 frames by liblz4: content size and content checksum on, so that stock `lz4` tests them.
///
/// Source: LZ4 frame format 1.6. A compressor keeps its working memory and has one user.
public struct LZ4Compressor: ~Copyable {
    private let context: OpaquePointer

    /// Makes the working memory (about 16 KiB, more when used).
    public init() {
        var context: OpaquePointer?
        let code = LZ4F_createCompressionContext(&context, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(code) == 0, let context else {
            preconditionFailure("liblz4 gives a compression context")
        }
        self.context = context
    }

    deinit { LZ4F_freeCompressionContext(context) }

    /// Appends one frame with the content `bytes` to `sink`; fast mode.
    public mutating func compress(_ bytes: UnsafeRawBufferPointer, into sink: inout ByteSink) {
        var preferences = LZ4F_preferences_t()
        preferences.frameInfo.contentSize = UInt64(bytes.count)
        preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled
        preferences.frameInfo.blockSizeID = LZ4F_max256KB
        preferences.frameInfo.blockMode = LZ4F_blockIndependent
        let bound = LZ4F_compressFrameBound(bytes.count, &preferences) + 32
        sink.append(capacity: bound) { room in
            var written = check(
                LZ4F_compressBegin(context, room.baseAddress, room.count, &preferences))
            written += check(
                LZ4F_compressUpdate(
                    context, room.baseAddress.map { $0 + written }, room.count - written,
                    bytes.baseAddress, bytes.count, nil))
            written += check(
                LZ4F_compressEnd(
                    context, room.baseAddress.map { $0 + written }, room.count - written, nil))
            return written
        }
    }

    private func check(_ code: Int) -> Int {
        // The room is liblz4's own bound, so a failure here is a bug and not an input.
        precondition(LZ4F_isError(code) == 0, "liblz4 compresses into a buffer of its own bound")
        return code
    }
}

/// Takes LZ4 frames apart again.
public struct LZ4Decompressor: ~Copyable {
    private let context: OpaquePointer

    /// Makes the working memory.
    public init() {
        var context: OpaquePointer?
        let code = LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))
        guard LZ4F_isError(code) == 0, let context else {
            preconditionFailure("liblz4 gives a decompression context")
        }
        self.context = context
    }

    deinit { LZ4F_freeDecompressionContext(context) }

    /// The content of the one frame that `stored` holds, whole: it must have `contentByteCount`
    /// bytes, neither more nor less, and nothing may follow it.
    ///
    /// - Throws: `FrameFault.badContent` for garbage, another length or a wrong content checksum;
    ///   memory is bounded by `contentByteCount` whatever the frame says.
    public mutating func decompress(
        _ stored: UnsafeRawBufferPointer, contentByteCount: Int
    ) throws(FrameFault) -> Bytes {
        precondition(contentByteCount >= 0, "a length is never negative")
        var sink = ByteSink(capacity: contentByteCount + 1)
        var isWhole = false
        var consumed = stored.count
        sink.append(capacity: contentByteCount + 1) { room in
            var read = 0
            var written = 0
            while read < stored.count {
                var sourceCount = stored.count - read
                var targetCount = room.count - written
                let hint = LZ4F_decompress(
                    context, room.baseAddress.map { $0 + written }, &targetCount,
                    stored.baseAddress.map { $0 + read }, &sourceCount, nil)
                read += sourceCount
                written += targetCount
                if LZ4F_isError(hint) != 0 || hint == 0 || (sourceCount == 0 && targetCount == 0) {
                    isWhole = hint == 0
                    break
                }
            }
            consumed = read
            return written
        }
        LZ4F_resetDecompressionContext(context)
        guard isWhole, consumed == stored.count, sink.count == contentByteCount else {
            throw .badContent
        }
        return sink.finish()
    }
}
