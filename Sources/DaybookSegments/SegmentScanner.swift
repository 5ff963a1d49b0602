import Avro
import DaybookLog

/// What must hold of the next block: the state of the ledger before it.
///
/// A pure machine: a block's header is accepted or refused, the content's leaves advance the tree.
struct ChainState: Sendable, Equatable {
    let ledger: LedgerID
    let segment: UInt64
    /// The lowest epoch that may come next.
    var epoch: UInt64
    var nextBlock: UInt64
    var position: Position
    var lastReceivedAt: Microseconds
    var frontier: MerkleFrontier
    var root: Digest

    init(_ header: SegmentHeader) {
        ledger = header.ledger
        segment = header.segment
        epoch = header.epoch
        nextBlock = header.firstBlock
        position = header.basePosition
        lastReceivedAt = header.lastReceivedAt
        frontier = header.frontier
        root = header.frontier.root
    }

    var head: TreeHead {
        TreeHead(ledger: ledger, size: frontier.size, position: position, root: root)
    }

    /// Whether a header that is valid in itself belongs at `offset`, after this state.
    func fault(of header: BlockHeader, at offset: UInt64) -> FrameFault? {
        guard header.ledger == ledger, header.segment == segment, header.offset == offset,
            header.block == nextBlock
        else { return .misplaced }
        guard header.firstPosition == position, header.epoch >= epoch,
            header.firstReceivedAt > lastReceivedAt, header.rootBefore == root,
            header.treeSize == frontier.size + UInt64(header.batchCount)
        else { return .inconsistent }
        return nil
    }

    /// Goes past a block whose records have these leaves.
    mutating func advance(over header: BlockHeader, leaves: [Digest]) throws(FrameFault) {
        precondition(leaves.count == Int(header.batchCount), "every batch is a leaf")
        for leaf in leaves { frontier.append(leaf) }
        guard frontier.root == header.rootAfter else { throw .inconsistent }
        move(over: header)
    }

    /// Goes past a block whose content is not looked at; the frontier is then of no use.
    mutating func move(over header: BlockHeader) {
        epoch = header.epoch
        nextBlock = header.block + 1
        position = header.endPosition
        lastReceivedAt = header.lastReceivedAt
        root = header.rootAfter
    }
}

/// A block found by a scan.
struct ScannedBlock {
    let header: BlockHeader
    let block: DurableBlock
    let entries: [BatchSummary]
}

/// A batch as a scan sees it: what is counted, and the leaf.
struct BatchSummary {
    let table: String
    let eventCount: Int
    let rejectedCount: Int
    let receivedAt: Microseconds
    let leaf: Digest
}

/// Walks over a segment's frames and stops at the first that is not valid.
struct SegmentScanner {
    let segment: SegmentFile
    private let window: FileWindow
    /// Where the next frame is expected: everything before is valid.
    private(set) var offset: UInt64
    private(set) var state: ChainState
    /// Everything before this was synced, as a later frame shows.
    private(set) var attestedOffset: UInt64
    /// The state at `attestedOffset`.
    private(set) var attestedPosition: Position
    private(set) var footer: Footer?

    init(_ segment: SegmentFile, file: any DiskFile) {
        self.segment = segment
        window = FileWindow(file)
        offset = segment.blocksOffset
        state = ChainState(segment.header)
        attestedOffset = segment.blocksOffset
        attestedPosition = segment.header.basePosition
    }

    /// The next block, or nil at the end of the file.
    ///
    /// - Throws: `SegmentFault.frame` at the first invalid frame; `offset` is where it starts.
    mutating func next() throws(SegmentFault) -> ScannedBlock? {
        while true {
            let prefix = try window.bytes(at: offset, count: 4)
            if prefix.isEmpty { return nil }
            guard prefix.count == 4, footer == nil else { throw .frame(.truncated) }
            let magic = UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self))
            switch magic {
            case FrameMagic.block: return try block()
            case FrameMagic.attestation: try attestation()
            case FrameMagic.footer: try readFooter()
            default: throw .frame(.notAFrame)
            }
        }
    }

    private mutating func block() throws(SegmentFault) -> ScannedBlock {
        let salt = segment.header.salt
        let head = try window.bytes(at: offset, count: BlockHeader.frameByteCount)
        let header = try SegmentFault.checked { () throws(FrameFault) in
            try BlockHeader(reading: head, salt: salt)
        }
        if let fault = state.fault(of: header, at: offset) { throw .frame(fault) }
        let bodyOffset = offset + UInt64(BlockHeader.frameByteCount)
        let stored = try window.bytes(at: bodyOffset, count: Int(header.storedByteCount))
        let block = try SegmentFault.checked { () throws(FrameFault) in
            try BlockBody.decode(stored, header: header, of: segment)
        }
        let entries = try SegmentFault.checked { () throws(FrameFault) in
            try BlockBody.summaries(of: block, header: header)
        }
        var state = self.state
        try SegmentFault.checked { () throws(FrameFault) in
            try state.advance(over: header, leaves: entries.map(\.leaf))
        }
        // This block was written only after the sync of everything before it had returned.
        attestedOffset = offset
        attestedPosition = self.state.position
        self.state = state
        offset = bodyOffset + UInt64(header.storedByteCount)
        return ScannedBlock(header: header, block: block, entries: entries)
    }

    private mutating func attestation() throws(SegmentFault) {
        let bytes = try window.bytes(at: offset, count: Attestation.frameByteCount)
        let attestation = try SegmentFault.checked { () throws(FrameFault) in
            try Attestation(reading: bytes, salt: segment.header.salt)
        }
        guard
            attestation
                == Attestation(
                    segment: state.segment, offset: offset, head: state.head)
        else { throw .frame(.misplaced) }
        attestedOffset = offset
        attestedPosition = state.position
        offset += UInt64(Attestation.frameByteCount)
    }

    private mutating func readFooter() throws(SegmentFault) {
        let bytes = try window.bytes(at: offset, count: Footer.maximumByteCount)
        let (found, frameByteCount) = try SegmentFault.checked { () throws(FrameFault) in
            try Footer.read(bytes, salt: segment.header.salt)
        }
        guard found.ledger == state.ledger, found.segment == state.segment,
            found.offset == offset, found.endPosition == state.position,
            found.treeSize == state.frontier.size, found.root == state.root
        else { throw .frame(.misplaced) }
        footer = found
        attestedOffset = offset
        attestedPosition = state.position
        offset += UInt64(frameByteCount)
    }
}

/// The magic numbers of the frames that may follow a segment's headers.
enum FrameMagic {
    static let block: UInt32 = 0x184D_2A51
    static let attestation: UInt32 = 0x184D_2A52
    static let footer: UInt32 = 0x184D_2A53
}

/// From a block's stored bytes to its batches.
enum BlockBody {
    /// Checks and decompresses.
    static func decode(
        _ stored: UnsafeRawBufferPointer, header: BlockHeader, of segment: SegmentFile
    ) throws(FrameFault) -> DurableBlock {
        guard stored.count == Int(header.storedByteCount) else { throw .truncated }
        guard StoredChecksum.of(stored, salt: segment.header.salt) == header.bodyChecksum else {
            throw .badBodyChecksum
        }
        var decompressor = LZ4Decompressor()
        let content = try decompressor.decompress(
            stored, contentByteCount: Int(header.contentByteCount))
        return try DurableBlock(
            header: header, schema: segment.schema, content: content, sync: segment.header.sync)
    }

    /// Reads every batch, and checks their times and positions against the header.
    static func summaries(
        of block: DurableBlock, header: BlockHeader
    ) throws(FrameFault) -> [BatchSummary] {
        var summaries: [BatchSummary] = []
        do {
            try block.forEachBatch { reader in
                var rejectedCount = 0
                while let branch = try reader.nextBranch() {
                    if branch == reader.schema.rejectionBranch { rejectedCount += 1 }
                    try reader.skipRow(branch)
                }
                let record = try reader.finish()
                summaries.append(
                    BatchSummary(
                        table: reader.facts.table, eventCount: reader.rowCount,
                        rejectedCount: rejectedCount, receivedAt: reader.facts.receivedAt,
                        leaf: MerkleFrontier.leaf(of: record)))
            }
        } catch {
            throw .badContent
        }
        for (one, other) in zip(summaries, summaries.dropFirst())
        where one.receivedAt >= other.receivedAt { throw .inconsistent }
        guard summaries.first?.receivedAt == header.firstReceivedAt,
            summaries.last?.receivedAt == header.lastReceivedAt
        else { throw .inconsistent }
        return summaries
    }
}
