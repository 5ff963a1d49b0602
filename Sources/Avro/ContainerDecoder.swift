/// Reads an object container file from bytes that come by themselves, piece by piece.
///
/// It holds none of the bytes: the caller shows what it has of the file from where the last step
/// ended, and is told what stands there or how much more is wanted. However the bytes come, the
/// steps are the same.
///
/// Source: Apache Avro 1.11 specification, "Object Container Files".
public struct ContainerDecoder: ~Copyable {
    /// What stands at the front of the bytes.
    public enum Step: Sendable {
        /// The file's header; always the first, and how many bytes it has.
        case header(ContainerHeader, byteCount: Int)
        /// A block, and how many bytes it has in the file.
        case block(ContainerBlock, byteCount: Int)
        /// Not enough: show the same again when there are so many bytes in all, or the last.
        case wants(Int)
        /// Nothing: the file has ended where it may.
        case end
    }

    /// Where in the file the next step begins, in bytes. When an error was thrown it is where the
    /// header or block begins that cannot be read.
    public private(set) var offset = 0
    private let limits: ContainerLimits
    private var syncMarker: SyncMarker?
    private var decompressor = BlockDecompressor(codec: .null)

    /// The longest front of a block: two varints.
    private static let frontByteCountMax = 20
    /// How much of a header is looked for at first.
    private static let headerByteCount = 16 * 1024

    /// A decoder at the front of a file.
    public init(limits: ContainerLimits = ContainerLimits()) {
        self.limits = limits
    }

    /// Reads what stands at the front of `bytes`; `isLast` says that the file ends with them.
    ///
    /// After an error the decoder is of use only for `skipDamage`.
    public mutating func next(
        _ bytes: UnsafeRawBufferPointer, isLast: Bool
    ) throws(AvroContainerError) -> Step {
        guard let syncMarker else { return try readHeader(bytes, isLast) }
        if isLast && bytes.count == 0 { return .end }
        if !isLast && bytes.count < Self.frontByteCountMax {
            return .wants(Self.frontByteCountMax)
        }
        var cursor = ByteCursor(bytes)
        let (count, byteCount) = try Self.readFront(&cursor)
        guard byteCount <= limits.blockByteCount else {
            throw .blockTooLarge(byteCount: Int64(byteCount))
        }
        let whole = bytes.count - cursor.remaining + byteCount + SyncMarker.byteCount
        guard bytes.count >= whole else {
            if isLast { throw .malformed(.truncated) }
            return .wants(whole)
        }
        let stored: UnsafeRawBufferPointer
        let marker: SyncMarker
        do throws(AvroDecodingError) {
            stored = try cursor.readRaw(byteCount)
            marker = try SyncMarker(from: &cursor)
        } catch {
            throw .malformed(error)
        }
        guard marker == syncMarker else { throw .badSyncMarker }
        let content = try decompressor.decompress(stored, byteCountMax: limits.contentByteCount)
        let block = ContainerBlock(count: count, bytes: content, offset: offset)
        offset += whole
        return .block(block, byteCount: whole)
    }

    /// Goes on behind a block that could not be read, at the next place where a block may begin:
    /// behind the first sync marker in `bytes`, which begin where the block does. Gives how many
    /// bytes were passed over; nil if there is no marker in them: then all but the last fifteen
    /// can be passed over, by `skip`.
    public mutating func skipDamage(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let marker = syncMarker?.bytes, bytes.count >= marker.count else { return nil }
        for place in 0...(bytes.count - marker.count)
        where bytes[place] == marker[0]
            && bytes[place..<place + marker.count].elementsEqual(marker)
        {
            skip(place + marker.count)
            return place + marker.count
        }
        return nil
    }

    /// Passes over bytes of a block that could not be read.
    public mutating func skip(_ byteCount: Int) {
        precondition(byteCount >= 0, "a decoder goes forward")
        offset += byteCount
    }

    private mutating func readHeader(
        _ bytes: UnsafeRawBufferPointer, _ isLast: Bool
    ) throws(AvroContainerError) -> Step {
        let shown = UnsafeRawBufferPointer(rebasing: bytes.prefix(limits.headerByteCount))
        var cursor = ByteCursor(shown)
        do throws(AvroContainerError) {
            let header = try ContainerHeader(from: &cursor)
            syncMarker = header.syncMarker
            decompressor = BlockDecompressor(codec: header.codec)
            offset = shown.count - cursor.remaining
            return .header(header, byteCount: offset)
        } catch {
            guard error == .malformed(.truncated) else { throw error }
            guard bytes.count < limits.headerByteCount else { throw .headerTooLarge }
            if isLast { throw error }
            let wanted = max(bytes.count * 4, Self.headerByteCount)
            return .wants(min(wanted, limits.headerByteCount))
        }
    }

    private static func readFront(
        _ cursor: inout ByteCursor
    ) throws(AvroContainerError) -> (count: Int, byteCount: Int) {
        do throws(AvroDecodingError) {
            let count = try cursor.readLong()
            guard count >= 0 else { throw .badLength(count) }
            let byteCount = try cursor.readLong()
            guard byteCount >= 0 else { throw .badLength(byteCount) }
            return (Int(count), Int(byteCount))
        } catch {
            throw .malformed(error)
        }
    }
}

// @unchecked: the decompressor's contexts have one owner, and it can be moved but not copied.
extension ContainerDecoder: @unchecked Sendable {}
