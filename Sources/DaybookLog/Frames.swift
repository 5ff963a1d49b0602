import Avro

/// Why bytes are no valid frame of this segment.
public enum FrameFault: Error, Equatable, Sendable {
    /// The bytes end before the frame does.
    case truncated
    /// Not the magic number, tag or length that a frame of this kind has.
    case notAFrame
    /// A version that this program does not read.
    case unsupportedVersion(UInt16)
    /// The frame's own checksum does not hold.
    case badHeaderChecksum
    /// The checksum of the stored body does not hold.
    case badBodyChecksum
    /// It belongs to another ledger, segment or place.
    case misplaced
    /// Its numbers contradict each other, or what comes before it.
    case inconsistent
    /// The LZ4 frame or the Avro block inside does not decode to what the header says.
    case badContent
}

/// The kinds of our LZ4 skippable frames: magic number and tag.
enum FrameKind: UInt32 {
    case segmentHeader = 0x184D_2A50
    case block = 0x184D_2A51
    case attestation = 0x184D_2A52
    case footer = 0x184D_2A53

    /// The first eight bytes of the frame's content.
    var tag: StaticString {
        switch self {
        case .segmentHeader: "DAYBKSEG"
        case .block: "DAYBKBLK"
        case .attestation: "DAYBKATT"
        case .footer: "DAYBKFTR"
        }
    }

    /// Magic number and length before the content.
    static let prefixByteCount = 8
    static let tagByteCount = 8
}

extension ByteSink {
    /// Writes a skippable frame: prefix, tag, `content`, and the checksum over tag and content.
    mutating func append(
        frame kind: FrameKind, salt: [UInt8], _ content: (inout ByteSink) -> Void
    ) {
        let start = count
        append(littleEndian: kind.rawValue)
        append(littleEndian: UInt32(0))
        kind.tag.withUTF8Buffer { append(raw: UnsafeRawBufferPointer($0)) }
        content(&self)
        let body = UnsafeRawBufferPointer(rebasing: unsafeBytes[(start + 8)...])
        append(littleEndian: StoredChecksum.of(body, salt: salt))
        let length = UInt32(count - start - FrameKind.prefixByteCount).littleEndian
        unsafeMutableBytes.storeBytes(of: length, toByteOffset: start + 4, as: UInt32.self)
    }

    mutating func append(digest: Digest) {
        digest.withUnsafeBytes { append(raw: $0) }
    }

    mutating func append(ledger: LedgerID) {
        append(littleEndian: ledger.high.bigEndian)
        append(littleEndian: ledger.low.bigEndian)
    }
}

/// Reads the fields of a skippable frame whose length and checksum were found right.
struct FrameReader {
    private var cursor: ByteCursor

    /// Checks prefix, tag, length and checksum of the frame at the start of `bytes`.
    ///
    /// - Parameter expectedByteCount: the only length that this kind may have, if it is fixed.
    /// - Returns: a reader after the tag, and the frame's whole length with its prefix.
    static func open(
        _ kind: FrameKind, _ bytes: UnsafeRawBufferPointer, salt: [UInt8], expectedByteCount: Int?
    ) throws(FrameFault) -> (reader: FrameReader, frameByteCount: Int) {
        let minimum = FrameKind.prefixByteCount + FrameKind.tagByteCount + 4
        guard bytes.count >= minimum else { throw .truncated }
        let magic = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
        let stated = UInt32(
            littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let length = Int(stated)
        let frameByteCount = length + FrameKind.prefixByteCount
        guard magic == kind.rawValue, frameByteCount >= minimum,
            length <= LogLimits.frameByteCount,
            expectedByteCount == nil || expectedByteCount == frameByteCount
        else { throw .notAFrame }
        guard bytes.count >= frameByteCount else { throw .truncated }
        let body = UnsafeRawBufferPointer(rebasing: bytes[8..<(frameByteCount - 4)])
        let isTagged = kind.tag.withUTF8Buffer { tag in
            tag.elementsEqual(body.prefix(FrameKind.tagByteCount))
        }
        guard isTagged else { throw .notAFrame }
        let checksum = UInt32(
            littleEndian: bytes.loadUnaligned(
                fromByteOffset: frameByteCount - 4, as: UInt32.self))
        guard checksum == StoredChecksum.of(body, salt: salt) else { throw .badHeaderChecksum }
        let fields = UnsafeRawBufferPointer(rebasing: body[FrameKind.tagByteCount...])
        return (FrameReader(cursor: ByteCursor(fields)), frameByteCount)
    }

    private init(cursor: ByteCursor) { self.cursor = cursor }

    var isAtEnd: Bool { cursor.isAtEnd }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type) throws(FrameFault) -> T {
        do { return try cursor.readLittleEndian(type) } catch { throw .inconsistent }
    }

    mutating func raw(_ count: Int) throws(FrameFault) -> UnsafeRawBufferPointer {
        do { return try cursor.readRaw(count) } catch { throw .inconsistent }
    }

    mutating func digest() throws(FrameFault) -> Digest { Digest(try raw(Digest.byteCount)) }

    mutating func ledger() throws(FrameFault) -> LedgerID {
        let high = try integer(UInt64.self).byteSwapped
        let low = try integer(UInt64.self).byteSwapped
        return LedgerID(high: high, low: low)
    }

    /// A position: not negative, and so far below the largest number that sums of two fit.
    mutating func natural() throws(FrameFault) -> Int64 {
        let value = try integer(Int64.self)
        guard value >= 0, value < LogLimits.numberEnd else { throw .inconsistent }
        return value
    }

    /// A number of a segment, block or epoch, or a count: with the same limit.
    mutating func count() throws(FrameFault) -> UInt64 { UInt64(try natural()) }
}
