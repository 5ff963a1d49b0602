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
    /// Why the log goes no further than `durable`, though it was once durable beyond: something is
    /// lost or damaged there. Reading from that position throws it.
    public let corruption: Corruption?

    /// Opens the log of a data directory.
    ///
    /// - Parameter acceptsDamage: whether a log that ends in damage is opened as far as it is good,
    ///   for looking at it. Whoever needs all of the log leaves it out.
    /// - Throws: `.notALedger` if there is none; `.corrupt` with `corruption` if there is one.
    public static func open(
        folder: String, acceptsDamage: Bool = false
    ) throws(LogError) -> LogReader {
        let disk = SystemDisk(existingFolder: folder + "/log")
        do throws(LogError) {
            let reader = try LogReader(disk: disk)
            if let corruption = reader.corruption, !acceptsDamage { throw .corrupt(corruption) }
            return reader
        } catch {
            if case .system(call: "opendir", file: _, code: _) = error { throw .notALedger(folder) }
            throw error
        }
    }

    package convenience init(disk: any LogDisk, known: LogSchema? = nil) throws(LogError) {
        do {
            try self.init(opening: disk, known: known)
        } catch let error as DiskError {
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("reading throws disk and log errors only: \(error)")
        }
    }

    private init(opening disk: any LogDisk, known: LogSchema?) throws {
        try RepairJournal.refuse(try disk.names())
        // The head file first: what it knows is in what is read after it.
        let record = try HeadFile.read(disk: disk)
        let found = try SegmentSearch(
            names: try disk.names(), disk: disk, witness: record?.head.ledger, known: known)
        var fault = found.fault
        if case .unsupportedVersion? = fault { throw fault ?? .closed }
        guard var last = found.files.last else { throw fault ?? LogError.notALedger("") }
        var chain = SegmentChain(disk: disk, damage: found.damage)
        var segments = try chain.readable(Array(found.files.dropLast()), before: last.header)
        damage = chain.damage
        if let mismatch = chain.mismatch {
            last = segments.removeLast().file
            fault = .corrupt(mismatch)
        }
        let tail = try ReadableTail(last, disk: disk, known: record?.head, after: fault)
        corruption = tail.corruption
        segments.append(tail.segment)
        view = LogView(
            disk: disk, segments: segments, head: tail.head, lastReceivedAt: tail.receivedAt)
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
        if let corruption, position == view.head.position { throw .corrupt(corruption) }
        return try view.blocks(from: position, byteLimit: byteLimit)
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

/// The last segment as a reader shows it: as far as it is known to be durable.
private struct ReadableTail {
    let segment: ReadableSegment
    let head: TreeHead
    let receivedAt: Microseconds
    let corruption: Corruption?

    /// - Parameter known: what the head file said before the segment was read.
    /// - Parameter fault: what is wrong behind the segment. All of it was durable then.
    init(
        _ last: SegmentFile, disk: any LogDisk, known: TreeHead?, after fault: LogError?
    ) throws {
        let file = try disk.open(last.name, .read)
        let (tail, rest, byteCount) = try SegmentTail.settled(last, file: file)
        let ledger = last.header.ledger
        let vouched = known.flatMap { $0.ledger == ledger ? $0 : nil }
        let durable =
            fault == nil ? max(vouched?.position ?? 0, tail.scanner.attestedPosition) : .max
        let shown = tail.ends.last { $0.head.position <= durable }
        head = shown?.head ?? last.header.head
        receivedAt = shown?.receivedAt ?? last.header.lastReceivedAt
        segment = ReadableSegment(
            file: last, contents: tail.contents, endPosition: head.position,
            endOffset: shown?.offset ?? last.blocksOffset)
        if case .corrupt(let behind)? = fault, rest.isEmpty {
            corruption = behind
            return
        }
        if let known, vouched == nil {
            corruption = Corruption(
                file: HeadFile.name, offset: 0, position: 0,
                what: "the head file is of ledger \(known.ledger), the segments are of \(ledger)")
            return
        }
        let witness = vouched.map {
            Evidence(source: .headFile, position: $0.position, root: $0.root)
        }
        let decided = RecoveryTable.decide(
            tail.judge(
                rest + (witness.map { [$0] } ?? []), bases: [:],
                hasInvalidRest: byteCount > tail.scanner.offset))
        switch decided.decision {
        case .open, .cutTornTail: corruption = nil
        case .haltCorrupt, .haltForked:
            corruption = Corruption(
                file: last.name, offset: tail.scanner.offset,
                position: tail.scanner.state.position,
                what: "\(tail.faultText ?? "the log ends here"), but \(decided.label)")
        }
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
