import Avro

/// The skippable frame that begins a segment, and the Avro header that follows it.
///
/// Layout: FORMAT.md, "Segment header".
public struct SegmentHeader: Sendable, Equatable {
    /// The ledger that the segment belongs to: the same in all of a folder.
    public var ledger: LedgerID
    /// Number of the segment in the ledger, from 0.
    public var segment: UInt64
    /// The first position that the segment may hold.
    public var basePosition: Position
    /// Number of the segment's first block in the ledger.
    public var firstBlock: UInt64
    /// Raised at every open of the ledger.
    public var epoch: UInt64
    /// 16 random bytes that begin every other checksum of the segment.
    public var salt: [UInt8]
    /// The Avro sync marker of the segment.
    public var sync: [UInt8]
    /// The time of the last batch before the segment; 0 for the first segment.
    public var lastReceivedAt: Microseconds
    /// When the segment was made.
    public var createdAt: Microseconds
    /// SHA-256 of the Avro header that follows, before compression.
    public var schemaDigest: Digest
    /// Length of the Avro header before compression.
    public var schemaByteCount: UInt32
    /// Length of the LZ4 frame that holds it.
    public var schemaStoredByteCount: UInt32
    /// The tree before the segment.
    public var frontier: MerkleFrontier

    /// A header of these fields, with a new salt and sync marker made of bits that `random` gives.
    public init(
        ledger: LedgerID, segment: UInt64, basePosition: Position, firstBlock: UInt64,
        epoch: UInt64, lastReceivedAt: Microseconds, createdAt: Microseconds,
        frontier: MerkleFrontier, random: () -> UInt64 = { UInt64.random(in: 0 ... .max) }
    ) {
        self.ledger = ledger
        self.segment = segment
        self.basePosition = basePosition
        self.firstBlock = firstBlock
        self.epoch = epoch
        self.lastReceivedAt = lastReceivedAt
        self.createdAt = createdAt
        self.frontier = frontier
        salt = SegmentHeader.bytes(random)
        sync = SegmentHeader.bytes(random)
        schemaDigest = Digest(of: UnsafeRawBufferPointer(start: nil, count: 0))
        schemaByteCount = 0
        schemaStoredByteCount = 0
    }

    private static func bytes(_ random: () -> UInt64) -> [UInt8] {
        withUnsafeBytes(of: (random(), random())) { Array($0) }
    }

    /// The tree head that ends the segment before.
    public var head: TreeHead {
        TreeHead(
            ledger: ledger, size: frontier.size, position: basePosition, root: frontier.root)
    }

    static let version: UInt16 = 1
    /// No segment header is longer: 64 digests of frontier and a few fields.
    public static let maximumByteCount = 4096
    /// How many bytes salt and sync marker have.
    public static let saltByteCount = 16

    /// Writes the frame. Its checksum has no salt, since the salt stands in it.
    public func append(to sink: inout ByteSink) {
        precondition(salt.count == SegmentHeader.saltByteCount, "a salt has 16 bytes")
        precondition(sync.count == 16, "an Avro sync marker has 16 bytes")
        sink.append(frame: .segmentHeader, salt: []) { sink in
            sink.append(littleEndian: SegmentHeader.version)
            sink.append(littleEndian: SegmentHeader.version)
            sink.append(ledger: ledger)
            sink.append(littleEndian: segment)
            sink.append(littleEndian: basePosition)
            sink.append(littleEndian: firstBlock)
            sink.append(littleEndian: epoch)
            sink.append(raw: salt)
            sink.append(raw: sync)
            sink.append(littleEndian: lastReceivedAt)
            sink.append(littleEndian: createdAt)
            sink.append(digest: schemaDigest)
            sink.append(littleEndian: schemaByteCount)
            sink.append(littleEndian: schemaStoredByteCount)
            sink.append(littleEndian: frontier.size)
            sink.append(digest: frontier.root)
            for node in frontier.nodes { sink.append(digest: node) }
        }
    }

    /// Reads the frame at the start of `bytes` and gives its length.
    public static func read(
        _ bytes: UnsafeRawBufferPointer
    ) throws(FrameFault) -> (header: SegmentHeader, frameByteCount: Int) {
        var (reader, count) = try FrameReader.open(
            .segmentHeader, bytes, salt: [], expectedByteCount: nil)
        guard count <= maximumByteCount else { throw .inconsistent }
        let version = try reader.integer(UInt16.self)
        let minimumReader = try reader.integer(UInt16.self)
        guard minimumReader <= SegmentHeader.version else { throw .unsupportedVersion(version) }
        let ledger = try reader.ledger()
        let segment = try reader.count()
        let basePosition = try reader.natural()
        let firstBlock = try reader.count()
        let epoch = try reader.count()
        let salt = Array(try reader.raw(saltByteCount))
        let sync = Array(try reader.raw(16))
        let lastReceivedAt = try reader.integer(Int64.self)
        let createdAt = try reader.integer(Int64.self)
        let schemaDigest = try reader.digest()
        let schemaByteCount = try reader.integer(UInt32.self)
        let schemaStoredByteCount = try reader.integer(UInt32.self)
        let treeSize = try reader.count()
        let root = try reader.digest()
        var nodes: [Digest] = []
        while !reader.isAtEnd { nodes.append(try reader.digest()) }
        guard let frontier = MerkleFrontier(size: treeSize, nodes: nodes), frontier.root == root,
            schemaByteCount <= UInt32(LogLimits.schemaByteCount),
            schemaStoredByteCount <= UInt32(LogLimits.schemaByteCount + 4096)
        else { throw .inconsistent }
        var header = SegmentHeader(
            ledger: ledger, segment: segment, basePosition: basePosition, firstBlock: firstBlock,
            epoch: epoch, lastReceivedAt: lastReceivedAt, createdAt: createdAt,
            frontier: frontier, random: { 0 })
        header.salt = salt
        header.sync = sync
        header.schemaDigest = schemaDigest
        header.schemaByteCount = schemaByteCount
        header.schemaStoredByteCount = schemaStoredByteCount
        return (header, count)
    }
}
