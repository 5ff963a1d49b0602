import DaybookLog

/// What the check of one segment by itself found: FORMAT.md, "Valid", what it says of a segment.
///
/// Segments are checked by several threads; how they follow each other is looked at afterwards.
struct SegmentCheck: Sendable {
    let name: String
    /// Nil if the headers are not valid.
    var header: SegmentHeader?
    /// The schema of the segment, for others that have the same.
    var schema: LogSchema?
    /// The state after the last block before the first invalid frame.
    var end: ChainState?
    /// Where that is in the file.
    var endOffset: UInt64 = 0
    /// Whether every byte up to the end of the file is part of a valid frame.
    var isWhole = false
    var byteCount: UInt64 = 0
    var blockCount: UInt64 = 0
    /// Bytes at the end of no whole block, which nothing knows to have been durable.
    var unfinishedByteCount: UInt64 = 0
    var problems: [LogVerification.Problem] = []
    var anchors: AnchorComparison
    /// What the head file says, held against the blocks as anchors are.
    var known: AnchorComparison

    /// Reads every byte of the segment.
    ///
    /// - Parameter isLast: whether the segment may be active, and so end in an unfinished block.
    /// - Parameter read: is told how many bytes of the file were checked so far.
    init(
        _ name: String, on disk: any LogDisk, schema: LogSchema?, isLast: Bool,
        anchors: AnchorComparison, known: AnchorComparison, read: (UInt64) throws -> Void
    ) throws {
        self.name = name
        self.anchors = anchors
        self.known = known
        let segment: SegmentFile
        let file: any DiskFile
        do {
            (segment, file) = try SegmentFile.open(name, on: disk, known: schema)
        } catch SegmentFault.disk(let error) {
            throw error
        } catch {
            report(
                0, SegmentFile.basePosition(name: name) ?? 0, HeaderlessSegment.words(error))
            return
        }
        header = segment.header
        self.schema = segment.schema
        try scan(segment, file: file, isLast: isLast, read: read)
    }

    private mutating func scan(
        _ segment: SegmentFile, file: any DiskFile, isLast: Bool,
        read: (UInt64) throws -> Void
    ) throws {
        var (anchors, known) = (self.anchors, self.known)
        let (tail, evidence, byteCount) = try SegmentTail.settled(segment, file: file) {
            found, before in
            anchors.look(at: found, after: before, in: segment.name)
            known.look(at: found, after: before, in: segment.name)
            try read(found.header.offset + UInt64(found.header.storedByteCount))
        }
        let scanner = tail.scanner
        (self.anchors, self.known) = (anchors, known)
        self.byteCount = byteCount
        blockCount = tail.contents.blockCount
        end = scanner.state
        endOffset = scanner.offset
        isWhole = tail.faultText == nil
        check(scanner.footer, of: segment, holding: tail.contents, state: scanner.state)
        guard let fault = tail.faultText else { return }
        if isLast, evidence.isEmpty {
            unfinishedByteCount = byteCount - scanner.offset
            return
        }
        let witness = isLast ? evidence.first : nil
        report(
            scanner.offset, scanner.state.position,
            witness.map { "\(fault), but \($0.source.rawValue) follows" } ?? fault)
    }

    /// A footer says nothing that does not follow from the blocks.
    private mutating func check(
        _ footer: Footer?, of segment: SegmentFile, holding contents: SegmentContents,
        state: ChainState
    ) {
        guard let footer else { return }
        let expected = contents.footer(of: segment, offset: footer.offset, head: state.head)
        if footer == expected { return }
        report(footer.offset, footer.endPosition, "the footer counts otherwise than the blocks")
    }

    /// Holds the segment against the one before it; the problem, if they do not fit.
    func problem(after previous: SegmentCheck?, number: UInt64) -> LogVerification.Problem? {
        guard let header else { return nil }
        func here(_ what: String) -> LogVerification.Problem {
            LogVerification.Problem(
                segment: name, offset: 0, position: header.basePosition, what: what)
        }
        if header.segment != number {
            return here("segment \(number) is missing: this is segment \(header.segment)")
        }
        guard let previous else {
            // Nothing stands before the first: its header cannot speak for events that are not
            // there.
            let begins =
                header.head == .start(of: header.ledger) && header.firstBlock == 0
                && header.lastReceivedAt == 0
            return begins ? nil : here("it does not begin where the ledger does")
        }
        guard let end = previous.end else { return nil }
        if header.ledger != end.ledger { return here("it belongs to ledger \(header.ledger)") }
        if previous.isWhole, end.position < header.basePosition {
            return LogVerification.Problem(
                segment: previous.name, offset: previous.endOffset, position: end.position,
                what: "it ends before segment \(number) begins")
        }
        guard previous.isWhole else { return nil }
        let follows =
            header.head == end.head && header.frontier == end.frontier
            && header.firstBlock == end.nextBlock && header.lastReceivedAt == end.lastReceivedAt
            && header.epoch >= end.epoch
        return follows ? nil : here("it does not begin where the one before ends")
    }

    private mutating func report(_ offset: UInt64, _ position: Position, _ what: String) {
        problems.append(
            LogVerification.Problem(
                segment: name, offset: offset, position: position, what: what))
    }
}
