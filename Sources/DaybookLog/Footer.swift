import Avro

/// One entry of a segment's sparse index: a block, and where it is found.
public struct IndexEntry: Sendable, Equatable {
    /// The position of the block's first event.
    public let position: Position
    /// The first batch's time.
    public let receivedAt: Microseconds
    /// Where the block's header starts.
    public let offset: UInt64

    /// An entry for the block that begins with the event at `position`.
    public init(position: Position, receivedAt: Microseconds, offset: UInt64) {
        self.position = position
        self.receivedAt = receivedAt
        self.offset = offset
    }
}

/// How many rows of a table a segment holds, by verdict.
public struct TableCount: Sendable, Equatable {
    /// The table's name; empty for the ledger's own events.
    public let table: String
    /// Rows that became rows of the table, and the ledger's own events.
    public var accepted: UInt64
    /// Rows that were refused, with reasons.
    public var rejected: UInt64

    /// The counts of one table.
    public init(table: String, accepted: UInt64, rejected: UInt64) {
        self.table = table
        self.accepted = accepted
        self.rejected = rejected
    }
}

/// The frame that seals a segment. All in it can be derived from the blocks: a loss costs a scan.
///
/// Layout: FORMAT.md, "Footer".
public struct Footer: Sendable, Equatable {
    /// The ledger that the segment belongs to.
    public var ledger: LedgerID
    /// Number of the segment in the ledger, from 0.
    public var segment: UInt64
    /// Where this frame starts.
    public var offset: UInt64
    /// The first position of the segment, as its header has it.
    public var basePosition: Position
    /// The position after the segment's last event.
    public var endPosition: Position
    /// How many blocks the segment holds.
    public var blockCount: UInt64
    /// The time of the segment's first batch; 0 if there is none.
    public var firstReceivedAt: Microseconds
    /// The time of its last batch; 0 if there is none.
    public var lastReceivedAt: Microseconds
    /// Leaves (batches) in the ledger's tree at the segment's end.
    public var treeSize: UInt64
    /// The RFC 6962 root over those leaves.
    public var root: Digest
    /// The tables in order of name; the ledger's own events under the empty name.
    public var counts: [TableCount]
    /// Some of the blocks in order, the first always: see `IndexEntry`.
    public var index: [IndexEntry]

    /// The footer of a segment that ends with the state `head`.
    public init(
        segment: UInt64, offset: UInt64, basePosition: Position, blockCount: UInt64,
        firstReceivedAt: Microseconds, lastReceivedAt: Microseconds, head: TreeHead,
        counts: [TableCount], index: [IndexEntry]
    ) {
        ledger = head.ledger
        self.segment = segment
        self.offset = offset
        self.basePosition = basePosition
        endPosition = head.position
        self.blockCount = blockCount
        self.firstReceivedAt = firstReceivedAt
        self.lastReceivedAt = lastReceivedAt
        treeSize = head.size
        root = head.root
        self.counts = counts
        self.index = index
    }

    /// Writes the frame, salted with the segment's salt. It ends with its own offset, so that it is
    /// found from the segment's end.
    public func append(to sink: inout ByteSink, salt: [UInt8]) {
        sink.append(frame: .footer, salt: salt) { sink in
            sink.append(littleEndian: UInt16(1))
            sink.append(littleEndian: UInt16(0))
            sink.append(ledger: ledger)
            sink.append(littleEndian: segment)
            sink.append(littleEndian: offset)
            sink.append(littleEndian: basePosition)
            sink.append(littleEndian: endPosition)
            sink.append(littleEndian: blockCount)
            sink.append(littleEndian: firstReceivedAt)
            sink.append(littleEndian: lastReceivedAt)
            sink.append(littleEndian: treeSize)
            sink.append(digest: root)
            sink.append(littleEndian: UInt32(counts.count))
            for count in counts {
                var name = count.table
                name.withUTF8 { name in
                    sink.append(littleEndian: UInt16(name.count))
                    sink.append(raw: UnsafeRawBufferPointer(name))
                }
                sink.append(littleEndian: count.accepted)
                sink.append(littleEndian: count.rejected)
            }
            sink.append(littleEndian: UInt32(index.count))
            for entry in index {
                sink.append(littleEndian: entry.position)
                sink.append(littleEndian: entry.receivedAt)
                sink.append(littleEndian: entry.offset)
            }
            sink.append(littleEndian: offset)
        }
    }

    /// No footer is longer, prefix included.
    public static let maximumByteCount = LogLimits.frameByteCount + FrameKind.prefixByteCount

    /// How many bytes before a sealed segment's end say where its footer starts: the footer's
    /// offset again, and the checksum.
    public static let trailerByteCount = 12

    /// Reads the frame at the start of `bytes`, and gives its length.
    public static func read(
        _ bytes: UnsafeRawBufferPointer, salt: [UInt8]
    ) throws(FrameFault) -> (footer: Footer, frameByteCount: Int) {
        let (reader, count) = try FrameReader.open(
            .footer, bytes, salt: salt, expectedByteCount: nil)
        return (try Footer(reader), count)
    }

    private init(_ fields: FrameReader) throws(FrameFault) {
        var reader = fields
        let version = try reader.integer(UInt16.self)
        guard version == 1 else { throw .unsupportedVersion(version) }
        guard try reader.integer(UInt16.self) == 0 else { throw .inconsistent }
        ledger = try reader.ledger()
        segment = try reader.count()
        offset = try reader.count()
        basePosition = try reader.natural()
        endPosition = try reader.natural()
        blockCount = try reader.count()
        firstReceivedAt = try reader.integer(Int64.self)
        lastReceivedAt = try reader.integer(Int64.self)
        treeSize = try reader.count()
        root = try reader.digest()
        counts = []
        for _ in 0..<(try reader.integer(UInt32.self)) {
            let length = Int(try reader.integer(UInt16.self))
            let name = String(decoding: try reader.raw(length), as: UTF8.self)
            counts.append(
                TableCount(
                    table: name, accepted: try reader.count(),
                    rejected: try reader.count()))
        }
        index = []
        for _ in 0..<(try reader.integer(UInt32.self)) {
            index.append(
                IndexEntry(
                    position: try reader.natural(),
                    receivedAt: try reader.integer(Int64.self),
                    offset: try reader.count()))
        }
        guard try reader.count() == offset, reader.isAtEnd,
            endPosition >= basePosition
        else { throw .inconsistent }
    }
}
