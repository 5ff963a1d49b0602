import Avro

/// A frame that says: everything before this place was synced before this frame was written.
///
/// Blocks attest the blocks before them just by being there; an attestation does it for the last
/// block before a pause. Layout: FORMAT.md, "Attestation".
public struct Attestation: Sendable, Equatable {
    /// The ledger that the segment belongs to.
    public var ledger: LedgerID
    /// Number of the segment in the ledger, from 0.
    public var segment: UInt64
    /// Where this frame starts: the end of what it attests.
    public var offset: UInt64
    /// The next position: everything below it is attested.
    public var position: Position
    /// Leaves (batches) in the tree up to here.
    public var treeSize: UInt64
    /// The RFC 6962 root over those leaves.
    public var root: Digest

    /// The frame's length on disk with its prefix: fixed in this version.
    public static let frameByteCount = 8 + 8 + 4 + 16 + 4 * 8 + 32 + 4

    /// Attests that everything up to `head`, in front of `offset`, was synced.
    public init(segment: UInt64, offset: UInt64, head: TreeHead) {
        ledger = head.ledger
        self.segment = segment
        self.offset = offset
        position = head.position
        treeSize = head.size
        root = head.root
    }

    /// Writes the frame, salted with the segment's salt.
    public func append(to sink: inout ByteSink, salt: [UInt8]) {
        sink.append(frame: .attestation, salt: salt) { sink in
            sink.append(littleEndian: UInt16(1))
            sink.append(littleEndian: UInt16(0))
            sink.append(ledger: ledger)
            sink.append(littleEndian: segment)
            sink.append(littleEndian: offset)
            sink.append(littleEndian: position)
            sink.append(littleEndian: treeSize)
            sink.append(digest: root)
        }
    }

    /// Reads the frame at the start of `bytes`.
    public init(reading bytes: UnsafeRawBufferPointer, salt: [UInt8]) throws(FrameFault) {
        var (reader, _) = try FrameReader.open(
            .attestation, bytes, salt: salt, expectedByteCount: Attestation.frameByteCount)
        let version = try reader.integer(UInt16.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        guard try reader.integer(UInt16.self) == 0 else { throw .inconsistent }
        ledger = try reader.ledger()
        segment = try reader.count()
        offset = try reader.count()
        position = try reader.natural()
        treeSize = try reader.count()
        root = try reader.digest()
        guard reader.isAtEnd else { throw .inconsistent }
    }
}
