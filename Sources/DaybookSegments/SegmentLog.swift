import Avro
import DaybookLog
import Synchronization

/// The log in files: segments in one folder, one writer, any number of readers.
///
/// Files and their order: FORMAT.md. The folder's lock is held as long as the log is open.
public final class SegmentLog: LogEngine {
    /// The ledger's id, as every segment's header has it.
    public let ledger: LedgerID
    /// What opening found and did.
    public let recovery: RecoveryReport
    private let disk: any LogDisk
    private let options: SegmentLogOptions
    private let lock: DirectoryLock?
    private let writing: Mutex<Writing>
    private let reading: Mutex<Reading>
    private let signal = Signal()

    /// What the writer alone uses. The mutex is never contended: there is one writer.
    private struct Writing: ~Copyable {
        var writer: SegmentWriter?
        var headFile: HeadFile
        /// The footer is written and the next segment could not be made yet.
        var isSealed: Bool
    }

    /// What readers see: only what is durable.
    private struct Reading: Sendable {
        var view: LogView
        var recent: RecentBlocks
        var checkpoint: TreeHead?
        var isClosed = false
        var activity = Activity()
    }

    /// What the log's disk did since the log was opened.
    public struct Activity: Sendable {
        /// How long writing and syncing a block took.
        public fileprivate(set) var writes = Histogram.seconds
        /// How often blocks could not be read.
        public fileprivate(set) var readFailureCount: UInt64 = 0
    }

    /// Opens the log of a data directory (in its folder `log`), or makes a new ledger there.
    ///
    /// - Throws: `.locked(by:)` if another process has it; `.corrupt` if durable bytes are missing
    ///   or damaged, with everything left as it was.
    public static func open(
        folder: String, options: SegmentLogOptions
    ) throws(LogError) -> SegmentLog {
        let lock = try DirectoryLock(folder: folder)
        let disk: SystemDisk
        do { disk = try SystemDisk(folder: folder + "/log") } catch { throw LogError(error) }
        return try SegmentLog(disk: disk, lock: lock, options: options)
    }

    /// Opens the log on any disk, real or simulated.
    public convenience init(
        disk: any LogDisk, options: SegmentLogOptions
    ) throws(LogError) {
        try self.init(disk: disk, lock: nil, options: options)
    }

    private init(
        disk: any LogDisk, lock: DirectoryLock?, options: SegmentLogOptions
    ) throws(LogError) {
        var opening = LogOpening(disk: disk, options: options)
        let opened = try opening.run()
        let headFile: HeadFile
        do { headFile = try HeadFile(disk: disk) } catch { throw LogError(error) }
        ledger = opened.state.ledger
        recovery = opened.report
        self.disk = disk
        self.options = options
        self.lock = lock
        let checkpoint = headFile.last?.checkpoint
        let view = LogView(
            disk: disk, segments: opened.segments, head: opened.state.head,
            lastReceivedAt: opened.state.lastReceivedAt)
        reading = Mutex(
            Reading(
                view: view, recent: RecentBlocks(byteLimit: options.recentByteCount),
                checkpoint: checkpoint))
        let writer = SegmentWriter(
            opened.active, file: opened.file, epoch: opened.epoch, offset: opened.offset,
            state: opened.state, isAttested: opened.isAttested, contents: opened.contents)
        writing = Mutex(
            Writing(writer: writer, headFile: headFile, isSealed: opened.isSealed))
    }

    /// The last state that a sync has returned for.
    public var durable: TreeHead { reading.withLock { $0.view.head } }
    /// The time of the last durable batch; 0 for an empty log.
    public var lastReceivedAt: Microseconds { reading.withLock { $0.view.lastReceivedAt } }
    /// What is durable now, as readers see it.
    var currentView: LogView { reading.withLock { $0.view } }
    /// The log's folder, for whoever reads sealed segments beside it.
    var files: any LogDisk { disk }
    /// The schema of the active segment.
    public var schema: LogSchema {
        reading.withLock { $0.view.segments[$0.view.segments.count - 1].file.schema }
    }

    /// Writes and syncs the group, after a roll if the segment is full, and wakes who waits for it.
    ///
    /// - Throws: `.diskFull` with the group undone; `.syncFailed` with its fate unknown, and from
    ///   then on `.closed`.
    public func append(_ group: consuming BlockBuilder) throws(LogError) -> DurableBlock {
        var slot: BlockBuilder? = consume group
        return try writing.withLock { (writing) throws(LogError) -> DurableBlock in
            guard let group = slot.take() else { preconditionFailure("a group is appended once") }
            do throws(LogError) {
                try prepare(&writing)
                precondition(
                    group.schema == writing.writer?.segment.schema,
                    "a group's records have the schema of the segment")
                guard let block = try writing.writer?.append(group) else { throw .closed }
                publish(block, &writing)
                return block
            } catch {
                throw SegmentLog.ended(error, &writing)
            }
        }
    }

    /// Lets go of the writer for good if a sync failed: nothing is written or synced after that.
    private static func ended(_ error: LogError, _ writing: inout Writing) -> LogError {
        if case .syncFailed = error { writing.writer = nil }
        return error
    }

    /// Begins another segment if the active one is full.
    private func prepare(_ writing: inout Writing) throws(LogError) {
        guard let isFull = writing.writer?.isFull(limit: options.segmentByteCount) else {
            throw .closed
        }
        if isFull || writing.isSealed {
            let schema = self.schema
            try roll(&writing, to: schema)
        }
    }

    private func publish(_ block: DurableBlock, _ writing: inout Writing) {
        guard let end = writing.writer?.offset, let contents = writing.writer?.contents,
            let duration = writing.writer?.lastWrite
        else {
            preconditionFailure("the writer that wrote a block is there")
        }
        let checkpoint = reading.withLock { reading in
            let last = reading.view.segments.count - 1
            precondition(
                block.firstPosition == reading.view.head.position, "positions have no gap")
            reading.view.segments[last].contents = contents
            reading.view.segments[last].endOffset = end
            reading.view.segments[last].endPosition = block.endPosition
            reading.view.head = block.head
            reading.view.lastReceivedAt = block.lastReceivedAt
            reading.recent.append(block)
            reading.activity.writes.add(duration)
            return reading.checkpoint
        }
        writing.headFile.write(head: block.head, checkpoint: checkpoint)
        signal.wakeAll()
    }

    /// Appends an attestation of the last block and syncs it; without space it is left out.
    public func attest() throws(LogError) {
        try writing.withLock { (writing) throws(LogError) in
            if writing.isSealed, writing.writer != nil { return }
            do throws(LogError) {
                guard try writing.writer?.attest() != nil else { throw .closed }
            } catch .diskFull {
                // An attestation is evidence, not data: the next one will do.
            } catch {
                throw SegmentLog.ended(error, &writing)
            }
        }
    }

    /// Seals the active segment and makes the next; one without blocks is replaced in its place.
    public func roll(to schema: LogSchema) throws(LogError) {
        try writing.withLock { (writing) throws(LogError) in
            do throws(LogError) {
                try roll(&writing, to: schema)
            } catch {
                throw SegmentLog.ended(error, &writing)
            }
        }
    }

    private func roll(_ writing: inout Writing, to schema: LogSchema) throws(LogError) {
        guard let state = writing.writer?.state, let epoch = writing.writer?.epoch,
            let blockCount = writing.writer?.contents.blockCount
        else { throw .closed }
        // A segment without blocks is replaced under its own name and number.
        if blockCount > 0, !writing.isSealed {
            writing.isSealed = try writing.writer?.seal() != nil
        }
        let header = SegmentHeader(
            ledger: state.ledger, segment: blockCount > 0 ? state.segment + 1 : state.segment,
            basePosition: state.position, firstBlock: state.nextBlock, epoch: epoch,
            lastReceivedAt: state.lastReceivedAt, createdAt: options.clock(),
            frontier: state.frontier, random: options.random)
        let segment: SegmentFile
        let file: any DiskFile
        do {
            (segment, file) = try SegmentFile.create(
                header, schema: schema, on: disk, isReplacing: blockCount == 0)
        } catch {
            throw LogError(error)
        }
        let contents = SegmentContents()
        writing.writer = SegmentWriter(
            segment, file: file, epoch: epoch, offset: segment.blocksOffset,
            state: ChainState(segment.header), isAttested: true, contents: contents)
        writing.isSealed = false
        let readable = ReadableSegment(
            file: segment, contents: contents, endPosition: state.position,
            endOffset: segment.blocksOffset)
        reading.withLock { reading in
            if blockCount == 0 { reading.view.segments.removeLast() }
            reading.view.segments.append(readable)
        }
    }

    /// From memory if the youngest blocks hold `position`, else from the files.
    public func blocks(
        from position: Position, byteLimit: Int
    ) throws(LogError) -> [DurableBlock] {
        let (recent, view) = reading.withLock { reading in
            (reading.recent.blocks(from: position, byteLimit: byteLimit), reading.view)
        }
        if !recent.isEmpty { return recent }
        do throws(LogError) {
            return try view.blocks(from: position, byteLimit: byteLimit)
        } catch {
            switch error {
            case .corrupt, .system: reading.withLock { $0.activity.readFailureCount += 1 }
            default: break
            }
            throw error
        }
    }

    /// By the segments' times, then the sparse index, then the batches of one block.
    public func position(asOf time: Microseconds) throws(LogError) -> Position {
        try reading.withLock { $0.view }.position(asOf: time)
    }

    /// By what the segments' footers count, and of the active one what was appended.
    public func ranges(holding table: String) -> [Range<Position>] {
        currentView.ranges(holding: table)
    }

    /// From the header of the block's segment on.
    public func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier {
        try currentView.frontier(before: block, of: self)
    }

    /// Sleeps until an append or `close` wakes it; at most a day.
    public func waitForEvents(from position: Position, timeoutSeconds: Double) -> Bool {
        _ = signal.wait(timeoutSeconds: timeoutSeconds) {
            reading.withLock { $0.view.head.position > position || $0.isClosed }
        }
        return durable.position > position
    }

    /// Kept in memory, and in the head file from the next append or `close` on.
    public func note(checkpoint: TreeHead) {
        precondition(checkpoint.ledger == ledger, "a checkpoint is of this ledger")
        reading.withLock { $0.checkpoint = checkpoint }
    }

    /// What the disk did since the log was opened.
    public var activity: Activity { reading.withLock { $0.activity } }

    /// How many segments and bytes there are.
    public var size: (segments: Int, bytes: UInt64) {
        reading.withLock { reading in
            let bytes = reading.view.segments.reduce(0) { $0 + $1.endOffset }
            return (reading.view.segments.count, bytes)
        }
    }

    /// Attests, writes the head file and gives up the writer; readers can go on. The folder's lock
    /// is let go when the log itself is.
    public func close() throws(LogError) {
        defer { signal.wakeAll() }
        do throws(LogError) {
            try attest()
        } catch .closed {
            // Closed before, or a sync failed: there is nothing to attest.
        }
        let (head, checkpoint) = reading.withLock { reading in
            reading.isClosed = true
            return (reading.view.head, reading.checkpoint)
        }
        writing.withLock { writing in
            if writing.writer != nil {
                writing.headFile.write(head: head, checkpoint: checkpoint)
            }
            writing.writer = nil
        }
    }
}
