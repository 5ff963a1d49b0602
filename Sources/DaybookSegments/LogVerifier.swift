import DaybookLog

/// What a verification saw.
public struct LogVerification: Sendable, Equatable {
    /// Something that is not as it must be.
    public struct Problem: Sendable, Equatable {
        /// The file, by its name in the log's folder.
        public let segment: String
        /// In bytes, from the segment's start.
        public let offset: UInt64
        /// The first position that is in doubt.
        public let position: Position
        /// What contradicts what, in words.
        public let what: String
    }

    /// Segments, those that could not be opened included.
    public var segmentCount = 0
    /// Blocks that hold up.
    public var blockCount: UInt64 = 0
    /// Batches in those blocks, each a leaf whose digest was made again.
    public var batchCount: UInt64 = 0
    /// Events in those blocks.
    public var eventCount: Int64 = 0
    /// Bytes of all segments whose headers could be read.
    public var byteCount: UInt64 = 0
    /// The state that all blocks lead to.
    public var head: TreeHead?
    /// All that was found, segment by segment; empty for a sound log.
    public var problems: [Problem] = []
    /// Bytes at the end that belong to no whole block and that nothing knows to have been durable:
    /// a write under way, or a torn tail.
    public var unfinishedByteCount: UInt64 = 0

    /// What became of each anchor, the smallest tree first.
    public var anchors: [AnchorFinding] = []

    /// The position up to which the log is as it was when the last anchor that holds was made:
    /// nothing below it was changed since. 0 without such an anchor; never above a problem, for
    /// what cannot be read was not compared.
    public var anchoredPosition: Position {
        let anchored = anchors.last { $0.outcome == .holds }?.head.position ?? 0
        return problems.reduce(anchored) { min($0, $1.position) }
    }

    /// Whether nothing is wrong; an unfinished end is nothing wrong.
    public var isSound: Bool { problems.isEmpty }
}

/// Reads every byte of a log and checks all that FORMAT.md says: checksums, places, positions,
/// times, counts, schema and tree.
public struct LogVerifier {
    private let disk: any LogDisk
    private var result = LogVerification()
    private var anchors: AnchorComparison

    /// Verifies the log of a data directory. `progress` is told the bytes done and all bytes.
    ///
    /// - Parameter anchors: states that the log is known to have had, to be held against it. Whose
    ///   they are, and who signed them, is the caller's to know.
    /// - Throws: `.notALedger`, or what the system refused. Damage is no error but a problem.
    public static func run(
        folder: String, anchors: [TreeHead] = [], progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(LogError) -> LogVerification {
        try run(
            disk: SystemDisk(existingFolder: folder + "/log"), anchors: anchors,
            progress: progress)
    }

    /// Verifies the log on any disk.
    public static func run(
        disk: any LogDisk, anchors: [TreeHead] = [],
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(LogError) -> LogVerification {
        var verifier = LogVerifier(disk: disk, anchors: anchors)
        do {
            try verifier.verify(progress)
            return verifier.result
        } catch let error as DiskError {
            if error.call == "opendir" { throw .notALedger(error.file) }
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("verifying throws disk and log errors only: \(error)")
        }
    }

    private init(disk: any LogDisk, anchors: [TreeHead]) {
        self.disk = disk
        self.anchors = AnchorComparison(anchors)
    }

    private mutating func verify(_ progress: (UInt64, UInt64) -> Void) throws {
        try RepairJournal.refuse(try disk.names())
        let known = try HeadFile.read(disk: disk)?.head
        let names = try disk.names().filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        if names.isEmpty { throw LogError.notALedger("log") }
        var total: UInt64 = 0
        for name in names { total += try disk.open(name, .read).byteCount() }
        var previous: TreeHead?
        for (number, name) in names.enumerated() {
            previous = try verify(
                name, number: UInt64(number), previous: previous, isLast: number == names.count - 1)
            progress(result.byteCount, total)
        }
        result.head = previous
        if let known, let end = previous, known.position > end.position {
            report(
                names[names.count - 1], offset: 0, position: end.position,
                "the head file knows events up to \(known.position)")
        }
        result.anchors = anchors.findings
        for problem in anchors.problems(lastSegment: names[names.count - 1]) {
            result.problems.append(problem)
        }
    }

    /// Verifies one segment; the state at its end, or nil if that is not known.
    private mutating func verify(
        _ name: String, number: UInt64, previous: TreeHead?, isLast: Bool
    ) throws -> TreeHead? {
        result.segmentCount += 1
        let base = SegmentFile.basePosition(name: name) ?? 0
        let segment: SegmentFile
        let file: any DiskFile
        do {
            (segment, file) = try SegmentFile.open(name, on: disk)
        } catch SegmentFault.disk(let error) {
            throw error
        } catch {
            report(name, offset: 0, position: base, FaultText.of(error))
            return nil
        }
        result.byteCount += try file.byteCount()
        if segment.header.segment != number {
            report(
                name, offset: 0, position: base,
                "segment \(number) is missing: this is segment \(segment.header.segment)")
        }
        // Nothing stands before the first: its header cannot speak for events that are not there.
        let previous = number == 0 ? .start(of: segment.header.ledger) : previous
        if let previous, previous != segment.header.head {
            report(name, offset: 0, position: base, "it does not begin where the one before ends")
        }
        return try scan(segment, file: file, isLast: isLast)
    }

    private mutating func scan(
        _ segment: SegmentFile, file: any DiskFile, isLast: Bool
    ) throws -> TreeHead? {
        let tail = try SegmentTail(segment, file: file) { found, before in
            anchors.look(at: found, after: before, in: segment.name)
        }
        let scanner = tail.scanner
        result.blockCount += tail.contents.blockCount
        result.batchCount += scanner.state.frontier.size - segment.header.frontier.size
        result.eventCount += scanner.state.position - segment.header.basePosition
        if let footer = scanner.footer, SegmentContents(footer) != tail.contents {
            report(
                segment.name, offset: footer.offset, position: footer.endPosition,
                "the footer counts otherwise than the blocks")
        }
        guard let fault = tail.faultText else { return scanner.state.head }
        // Asked for after the scan: a segment that is being written grows meanwhile.
        let byteCount = max(try file.byteCount(), scanner.offset)
        let evidence = try tail.evidenceInRest(file: file, byteCount: byteCount)
        if isLast, evidence.isEmpty {
            result.unfinishedByteCount = byteCount - scanner.offset
            return scanner.state.head
        }
        report(
            segment.name, offset: scanner.offset, position: scanner.state.position,
            isLast ? "\(fault), but \(evidence[0].source.rawValue) follows" : fault)
        return isLast ? scanner.state.head : nil
    }

    private mutating func report(
        _ segment: String, offset: UInt64, position: Position, _ what: String
    ) {
        result.problems.append(
            LogVerification.Problem(
                segment: segment, offset: offset, position: position, what: what))
    }
}
