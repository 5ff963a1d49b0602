import DaybookLog

/// Reads a log beside the process that writes it, or while nobody does. It takes no lock and
/// changes nothing.
///
/// It shows what was durable when it was opened, as attestations, later blocks and the head file
/// say. A block that nothing attests yet is not shown.
public final class LogReader: LogSource {
    let view: LogView
    /// Damage in sealed segments.
    public let damage: [Corruption]

    /// Opens the log of a data directory.
    ///
    /// - Throws: `.notALedger` if there is none.
    public static func open(folder: String) throws(LogError) -> LogReader {
        let disk = SystemDisk(existingFolder: folder + "/log")
        do {
            return try LogReader(disk: disk)
        } catch let error as DiskError {
            if error.call == "opendir" { throw .notALedger(folder) }
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("reading throws disk and log errors only: \(error)")
        }
    }

    /// Opens the log on any disk.
    package init(disk: any LogDisk) throws {
        let names = try disk.names()
        try RepairJournal.refuse(names)
        let files = try SegmentChain.files(names: names, disk: disk)
        guard let last = files.last else { throw LogError.notALedger("") }
        // The head file first: what it knows is in the segment that is read after it.
        let known = try HeadFile.read(disk: disk)?.head.position ?? 0
        var chain = SegmentChain(disk: disk)
        var segments = try chain.readable(Array(files.dropLast()), before: last.header)
        damage = chain.damage
        let tail = try SegmentTail(last, file: try disk.open(last.name, .read))
        let durable = max(known, tail.scanner.attestedPosition)
        let end = tail.ends.last { $0.head.position <= durable }
        segments.append(
            ReadableSegment(
                file: last, contents: tail.contents,
                endPosition: end?.head.position ?? last.header.basePosition,
                endOffset: end?.offset ?? last.blocksOffset))
        view = LogView(
            disk: disk, segments: segments, head: end?.head ?? last.header.head,
            lastReceivedAt: end?.receivedAt ?? last.header.lastReceivedAt)
    }

    /// The last state that was known to be durable at the opening.
    public var durable: TreeHead { view.head }
    /// The time of the last batch shown; 0 for an empty log.
    public var lastReceivedAt: Microseconds { view.lastReceivedAt }

    /// The segments in order, for people who ask what there is.
    public var segments: [SegmentFacts] {
        view.segments.map { segment in
            SegmentFacts(
                name: segment.file.name, basePosition: segment.file.header.basePosition,
                endPosition: segment.endPosition, byteCount: segment.endOffset,
                blockCount: segment.contents.blockCount,
                firstReceivedAt: segment.contents.firstReceivedAt,
                lastReceivedAt: segment.contents.lastReceivedAt,
                counts: segment.contents.counts.values.sorted { $0.table < $1.table })
        }
    }

    /// Durable blocks in order, the first of which holds `position`.
    public func blocks(
        from position: Position, byteLimit: Int
    ) throws(LogError) -> [DurableBlock] {
        try view.blocks(from: position, byteLimit: byteLimit)
    }

    /// The position after all batches with `received_at` ≤ `time`.
    public func position(asOf time: Microseconds) throws(LogError) -> Position {
        try view.position(asOf: time)
    }

    /// By what the segments' footers count.
    public func ranges(holding table: String) -> [Range<Position>] {
        view.ranges(holding: table)
    }

    /// From the header of the block's segment on.
    public func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier {
        try view.frontier(before: block, of: self)
    }
}

/// What a segment holds, for people.
public struct SegmentFacts: Sendable, Equatable {
    /// The file's name in the log's folder.
    public let name: String
    /// The first position that the segment may hold.
    public let basePosition: Position
    /// The position after its last event; equal to the first if it has none.
    public let endPosition: Position
    /// Bytes of its headers and blocks: a footer is not counted.
    public let byteCount: UInt64
    /// How many blocks it holds.
    public let blockCount: UInt64
    /// The time of its first batch; 0 if it has none.
    public let firstReceivedAt: Microseconds
    /// The time of its last batch; 0 if it has none.
    public let lastReceivedAt: Microseconds
    /// Rows by table and verdict, the tables in order of name.
    public let counts: [TableCount]
}
