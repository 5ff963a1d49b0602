import Avro

/// The skippable frame before every block: what the block is, where it stands, what it must be.
///
/// Layout: FORMAT.md, "Block header". The frame's checksum is checked before any field is used.
public struct BlockHeader: Sendable, Equatable {
    /// The ledger that the segment belongs to.
    public var ledger: LedgerID
    /// Number of the segment in the ledger, from 0.
    public var segment: UInt64
    /// The writer's epoch, raised at every open of the ledger.
    public var epoch: UInt64
    /// Number of the block in the ledger, from 0, without gaps.
    public var block: UInt64
    /// Where this frame starts in its segment.
    public var offset: UInt64
    /// The position of the block's first event.
    public var firstPosition: Position
    /// Events in the block: the rows of all its batches.
    public var eventCount: UInt32
    /// Batches in the block, each a record and a leaf; at least one.
    public var batchCount: UInt32
    /// The first batch's time.
    public var firstReceivedAt: Microseconds
    /// The last batch's time; equal to the first's for a single batch.
    public var lastReceivedAt: Microseconds
    /// Length of the LZ4 frame that follows.
    public var storedByteCount: UInt32
    /// Length of that frame's content: one Avro container block.
    public var contentByteCount: UInt32
    /// Leaves in the tree after this block.
    public var treeSize: UInt64
    /// The RFC 6962 root over all batches before this block.
    public var rootBefore: Digest
    /// The root after it: over `treeSize` leaves.
    public var rootAfter: Digest
    /// Salted CRC-32 of the stored bytes.
    public var bodyChecksum: UInt32

    /// The position after the block's last event.
    public var endPosition: Position { firstPosition + Position(eventCount) }

    /// The frame's length on disk with its prefix: fixed in this version.
    public static let frameByteCount = 8 + 8 + 4 + 16 + 5 * 8 + 8 + 2 * 8 + 8 + 8 + 64 + 4 + 4
    static let version: UInt16 = 1

    /// Writes the frame, salted with the segment's salt.
    public func append(to sink: inout ByteSink, salt: [UInt8]) {
        let start = sink.count
        sink.append(frame: .block, salt: salt) { sink in
            sink.append(littleEndian: BlockHeader.version)
            sink.append(littleEndian: UInt16(BlockHeader.frameByteCount))
            sink.append(ledger: ledger)
            sink.append(littleEndian: segment)
            sink.append(littleEndian: epoch)
            sink.append(littleEndian: block)
            sink.append(littleEndian: offset)
            sink.append(littleEndian: firstPosition)
            sink.append(littleEndian: eventCount)
            sink.append(littleEndian: batchCount)
            sink.append(littleEndian: firstReceivedAt)
            sink.append(littleEndian: lastReceivedAt)
            sink.append(littleEndian: storedByteCount)
            sink.append(littleEndian: contentByteCount)
            sink.append(littleEndian: treeSize)
            sink.append(digest: rootBefore)
            sink.append(digest: rootAfter)
            sink.append(littleEndian: bodyChecksum)
        }
        precondition(
            sink.count - start == BlockHeader.frameByteCount, "a block header has a fixed length")
    }

    /// Reads the frame at the start of `bytes`: checksum first, then every field and its limits.
    public init(
        reading bytes: UnsafeRawBufferPointer, salt: [UInt8]
    ) throws(FrameFault) {
        var (reader, _) = try FrameReader.open(
            .block, bytes, salt: salt, expectedByteCount: BlockHeader.frameByteCount)
        let version = try reader.integer(UInt16.self)
        guard version == BlockHeader.version else { throw .unsupportedVersion(version) }
        guard try reader.integer(UInt16.self) == UInt16(BlockHeader.frameByteCount) else {
            throw .inconsistent
        }
        ledger = try reader.ledger()
        segment = try reader.count()
        epoch = try reader.count()
        block = try reader.count()
        offset = try reader.count()
        firstPosition = try reader.natural()
        eventCount = try reader.integer(UInt32.self)
        batchCount = try reader.integer(UInt32.self)
        firstReceivedAt = try reader.integer(Int64.self)
        lastReceivedAt = try reader.integer(Int64.self)
        storedByteCount = try reader.integer(UInt32.self)
        contentByteCount = try reader.integer(UInt32.self)
        treeSize = try reader.count()
        rootBefore = try reader.digest()
        rootAfter = try reader.digest()
        bodyChecksum = try reader.integer(UInt32.self)
        guard reader.isAtEnd, batchCount > 0, eventCount >= batchCount,
            firstReceivedAt <= lastReceivedAt, treeSize >= UInt64(batchCount),
            contentByteCount <= UInt32(LogLimits.blockByteCount),
            storedByteCount <= UInt32(LogLimits.storedByteCount)
        else { throw .inconsistent }
    }

    /// A header of these fields; nothing is checked until it is read again.
    public init(
        ledger: LedgerID, segment: UInt64, epoch: UInt64, block: UInt64, offset: UInt64,
        firstPosition: Position, eventCount: UInt32, batchCount: UInt32,
        firstReceivedAt: Microseconds, lastReceivedAt: Microseconds, storedByteCount: UInt32,
        contentByteCount: UInt32, treeSize: UInt64, rootBefore: Digest, rootAfter: Digest,
        bodyChecksum: UInt32
    ) {
        self.ledger = ledger
        self.segment = segment
        self.epoch = epoch
        self.block = block
        self.offset = offset
        self.firstPosition = firstPosition
        self.eventCount = eventCount
        self.batchCount = batchCount
        self.firstReceivedAt = firstReceivedAt
        self.lastReceivedAt = lastReceivedAt
        self.storedByteCount = storedByteCount
        self.contentByteCount = contentByteCount
        self.treeSize = treeSize
        self.rootBefore = rootBefore
        self.rootAfter = rootAfter
        self.bodyChecksum = bodyChecksum
    }
}
