import Avro
import DaybookLog

/// Writes the active segment: one block a group, one write and one sync a block.
///
/// It has one owner. After a failed sync it must not be used again, and says so by trapping.
struct SegmentWriter: ~Copyable {
    let segment: SegmentFile
    private let file: any DiskFile
    /// Raised at every open of the ledger.
    let epoch: UInt64
    /// The end of what is whole and synced: where the next frame goes.
    private(set) var offset: UInt64
    private(set) var state: ChainState
    /// Whether a frame after the last block says that it is durable.
    private(set) var isAttested: Bool
    private(set) var contents: SegmentContents
    /// How long writing and syncing the last block took.
    private(set) var lastWrite = Duration.zero
    private var syncFailed = false
    private var staging: ByteSink
    private var compressor = LZ4Compressor()

    init(
        _ segment: SegmentFile, file: any DiskFile, epoch: UInt64, offset: UInt64,
        state: ChainState, isAttested: Bool, contents: SegmentContents
    ) {
        precondition(epoch >= state.epoch, "an epoch never falls")
        self.segment = segment
        self.file = file
        self.epoch = epoch
        self.offset = offset
        self.state = state
        self.isAttested = isAttested
        self.contents = contents
        staging = ByteSink(capacity: 1 << 18)
    }

    /// Whether the segment has grown to its limit, so that the next group belongs in another.
    func isFull(limit: UInt64) -> Bool {
        offset >= limit && contents.blockCount > 0
    }

    /// Writes a group and syncs it.
    ///
    /// If the write fails the segment is as it was before. If the sync fails nothing is known.
    mutating func append(_ group: consuming BlockBuilder) throws(LogError) -> DurableBlock {
        precondition(!syncFailed, "after a failed sync nothing is written")
        precondition(!group.isEmpty, "a group has at least one batch")
        let (content, entries) = group.finish(sync: segment.header.sync)
        precondition(
            entries[0].firstPosition == state.position, "a group begins where the log ends")
        precondition(
            entries[0].receivedAt > state.lastReceivedAt, "time is strictly increasing")
        var frontier = state.frontier
        for entry in entries { frontier.append(entry.leaf) }
        let header = stage(content, entries: entries, frontier: frontier)
        let start = ContinuousClock.now
        try write(staging.unsafeBytes)
        try sync()
        lastWrite = ContinuousClock.now - start
        var state = self.state
        do {
            try state.advance(over: header, leaves: entries.map(\.leaf))
            let block = try DurableBlock(
                header: header, schema: segment.schema, content: content.bytes,
                start: content.start, sync: segment.header.sync)
            contents.add(header, entries: entries)
            self.state = state
            offset += UInt64(staging.count)
            isAttested = false
            return block
        } catch {
            preconditionFailure("what was written is what was meant: \(error)")
        }
    }

    /// Assembles header and compressed content in `staging`.
    private mutating func stage(
        _ content: BlockBuilder.Content, entries: [BlockBuilder.Entry], frontier: MerkleFrontier
    ) -> BlockHeader {
        let raw = UnsafeRawBufferPointer(rebasing: content.bytes.unsafeBytes[content.start...])
        precondition(raw.count <= LogLimits.blockByteCount, "a block is within its limit")
        staging.removeAll()
        staging.append(capacity: BlockHeader.frameByteCount) { $0.count }
        compressor.compress(raw, into: &staging)
        let stored = UnsafeRawBufferPointer(
            rebasing: staging.unsafeBytes[BlockHeader.frameByteCount...])
        let events = entries.reduce(0) { $0 + $1.eventCount }
        let header = BlockHeader(
            ledger: state.ledger, segment: state.segment, epoch: epoch,
            block: state.nextBlock, offset: offset, firstPosition: state.position,
            eventCount: UInt32(events), batchCount: UInt32(entries.count),
            firstReceivedAt: entries[0].receivedAt,
            lastReceivedAt: entries[entries.count - 1].receivedAt,
            storedByteCount: UInt32(stored.count), contentByteCount: UInt32(raw.count),
            treeSize: frontier.size, rootBefore: state.root, rootAfter: frontier.root,
            bodyChecksum: StoredChecksum.of(stored, salt: segment.header.salt))
        var front = ByteSink(capacity: BlockHeader.frameByteCount)
        header.append(to: &front, salt: segment.header.salt)
        staging.unsafeMutableBytes.copyMemory(from: front.unsafeBytes)
        withExtendedLifetime(content.bytes) {}
        return header
    }

    /// Writes down that everything so far is durable.
    mutating func attest() throws(LogError) {
        if isAttested { return }
        var frame = ByteSink(capacity: Attestation.frameByteCount)
        Attestation(segment: state.segment, offset: offset, head: state.head)
            .append(to: &frame, salt: segment.header.salt)
        try write(frame.unsafeBytes)
        try sync()
        offset += UInt64(frame.count)
        isAttested = true
    }

    /// Writes the footer. If there is no space the segment stays unsealed, and valid.
    mutating func seal() throws(LogError) -> Footer? {
        let footer = contents.footer(of: segment, offset: offset, head: state.head)
        var frame = ByteSink(capacity: 4096)
        footer.append(to: &frame, salt: segment.header.salt)
        do { try write(frame.unsafeBytes) } catch .diskFull { return nil }
        try sync()
        offset += UInt64(frame.count)
        isAttested = true
        return footer
    }

    /// Writes at the end; on failure cuts the file back to what it was.
    private mutating func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
        precondition(!syncFailed, "after a failed sync nothing is written")
        do {
            try file.writeAll(bytes, at: offset)
        } catch {
            do {
                try file.truncate(to: offset)
            } catch {
                // What the file holds now is unknown, and it could not be put right.
                syncFailed = true
                throw .syncFailed(file: segment.name, code: error.code)
            }
            throw LogError(error)
        }
    }

    private mutating func sync() throws(LogError) {
        do {
            try file.sync()
        } catch {
            syncFailed = true
            throw .syncFailed(file: segment.name, code: error.code)
        }
    }
}

extension LogError {
    /// What a refused call means for the log.
    init(_ error: DiskError) {
        if error.call == "fdatasync" || error.call == "fsync" {
            self = .syncFailed(file: error.file, code: error.code)
            return
        }
        switch error.code {
        case SystemErrorCode.noSpace, SystemErrorCode.overQuota: self = .diskFull(file: error.file)
        default: self = .system(call: error.call, file: error.file, code: error.code)
        }
    }
}

extension LogError {
    var isDiskFull: Bool {
        if case .diskFull = self { true } else { false }
    }
}

/// Values of `errno`: the first two mean that it may be tried again when there is space.
enum SystemErrorCode {
    static let noSpace: Int32 = 28
    static let overQuota: Int32 = 122
    static let exists: Int32 = 17
}

/// What a segment holds: counts and the sparse index, kept while it is written or scanned.
struct SegmentContents: Sendable, Equatable {
    private(set) var blockCount: UInt64 = 0
    private(set) var firstReceivedAt: Microseconds = 0
    private(set) var lastReceivedAt: Microseconds = 0
    private(set) var counts: [String: TableCount] = [:]
    private(set) var index: [IndexEntry] = []
    /// At most one entry of the index in so many bytes of the file.
    static let indexByteCount: UInt64 = 1 << 16

    init() {}

    /// What a footer says.
    init(_ footer: Footer) {
        blockCount = footer.blockCount
        firstReceivedAt = footer.firstReceivedAt
        lastReceivedAt = footer.lastReceivedAt
        counts = Dictionary(
            footer.counts.map { ($0.table, $0) }, uniquingKeysWith: { first, _ in first })
        index = footer.index
    }

    mutating func add(_ header: BlockHeader, entries: [BlockBuilder.Entry]) {
        for entry in entries {
            count(entry.table, entry.eventCount, rejected: entry.rejectedCount)
        }
        add(header)
    }

    mutating func add(_ header: BlockHeader, entries: [BatchSummary]) {
        for entry in entries {
            count(entry.table, entry.eventCount, rejected: entry.rejectedCount)
        }
        add(header)
    }

    private mutating func count(_ table: String, _ events: Int, rejected: Int) {
        var count = counts[table] ?? TableCount(table: table, accepted: 0, rejected: 0)
        count.accepted += UInt64(events - rejected)
        count.rejected += UInt64(rejected)
        counts[table] = count
    }

    private mutating func add(_ header: BlockHeader) {
        if blockCount == 0 { firstReceivedAt = header.firstReceivedAt }
        lastReceivedAt = header.lastReceivedAt
        blockCount += 1
        let isDue = index.last.map { header.offset - $0.offset >= SegmentContents.indexByteCount }
        if isDue ?? true {
            index.append(
                IndexEntry(
                    position: header.firstPosition, receivedAt: header.firstReceivedAt,
                    offset: header.offset))
        }
    }

    func footer(of segment: SegmentFile, offset: UInt64, head: TreeHead) -> Footer {
        Footer(
            segment: segment.header.segment, offset: offset,
            basePosition: segment.header.basePosition, blockCount: blockCount,
            firstReceivedAt: firstReceivedAt, lastReceivedAt: lastReceivedAt, head: head,
            counts: counts.values.sorted { $0.table < $1.table }, index: index)
    }
}
