import DaybookLog

/// What a repair would do, or did.
public struct RepairPlan: Sendable, Equatable {
    /// Events that nothing on this disk has any more.
    public struct Gap: Sendable, Equatable {
        /// Their positions.
        public let positions: Range<Position>
        /// Where the damage begins: the file, by its name in the log's folder.
        public let file: String
        /// In bytes, from the file's start.
        public let offset: UInt64
        /// What is wrong there, in words.
        public let what: String
    }

    /// What is lost, in order. Empty if every event can be saved.
    public internal(set) var gaps: [Gap] = []
    /// What is wrong besides: files of another ledger, twice there, or not to be read.
    public internal(set) var faults: [Corruption] = []
    /// The files that are replaced or set aside; each is kept under another name.
    public internal(set) var replacedFiles: [String] = []
    /// The position below which nothing is touched.
    public internal(set) var untouchedPosition: Position = 0
    /// Events from there on that can be read, and are written again byte for byte.
    public internal(set) var savedEventCount: Int64 = 0
    /// The position after the last event, when it is done.
    public internal(set) var endPosition: Position = 0

    /// How many events are lost.
    public var lostEventCount: Int64 {
        gaps.reduce(0) { $0 + Int64($1.positions.count) }
    }
    /// Whether there is nothing to repair.
    public var isNothing: Bool { replacedFiles.isEmpty }
}

/// Looks at every byte of a log and finds what of it can be saved. Changes nothing.
///
/// From the start, segment after segment, as long as all holds up: that stays as it is. From the
/// first damage on, every block that holds up by itself, in order of position.
struct Salvage {
    /// A segment's file, under whatever name it is kept.
    struct Found {
        let name: String
        let segment: SegmentFile
        /// Why its header cannot be read, if it was made up from its blocks.
        var lostHeader: String?
    }

    let disk: any LogDisk
    let evidence: [Evidence]
    private(set) var plan = RepairPlan()
    /// Segments that stay, all but the last, which may stay in part.
    private(set) var sound: [SegmentFile] = []
    /// Where the last of them ends.
    private var soundEnd: UInt64 = 0
    /// The last segment that stays, up to an offset.
    private(set) var last: (segment: SegmentFile, end: UInt64)?
    private(set) var runs: [BlockSearch.Run] = []
    private(set) var ledger: LedgerID?
    /// The ledger's state at the end of what stays.
    private var state: ChainState?
    private var isDamaged = false

    init(disk: any LogDisk, evidence: [Evidence]) throws {
        self.disk = disk
        self.evidence = evidence
        let found = try open()
        for (place, one) in found.enumerated() {
            try look(at: one, next: place + 1 < found.count ? found[place + 1] : nil)
        }
        try close()
    }

    /// Opens what can be opened, in order of segment number; the rest is set aside.
    private mutating func open() throws -> [Found] {
        var found: [Found] = []
        var headless: [(name: String, what: String)] = []
        let names = try disk.names().filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        for name in names {
            do {
                let segment = try SegmentFile.open(
                    name, on: disk, known: found.last?.segment.schema, isNamed: false).0
                found.append(Found(name: name, segment: segment))
            } catch SegmentFault.disk(let error) {
                throw error
            } catch SegmentFault.frame(.unsupportedVersion(let version)) {
                throw LogError.unsupportedVersion(file: name, version: version)
            } catch {
                headless.append((name, HeaderlessSegment.words(error)))
            }
        }
        ledger = try HeadFile.read(disk: disk)?.head.ledger ?? mostFrequent(found)
        let schemas = found.map(\.segment.schema)
        for (name, what) in headless {
            if let segment = try LostHeader(name, disk: disk, ledger: ledger)
                .segment(schemas: schemas)
            {
                found.append(Found(name: name, segment: segment, lostHeader: what))
            } else {
                setAside(name, what)
            }
        }
        ledger = ledger ?? mostFrequent(found)
        var kept: [Found] = []
        for one in found.sorted(by: Salvage.isBefore) {
            if one.segment.header.ledger != ledger {
                setAside(one.name, "it belongs to ledger \(one.segment.header.ledger)")
            } else if let last = kept.last,
                last.segment.header.segment == one.segment.header.segment
            {
                setAside(one.name, "it is segment \(one.segment.header.segment) a second time")
            } else {
                kept.append(one)
            }
        }
        return kept
    }

    /// By number, and of two with one number that first which has the name it should have.
    private static func isBefore(_ one: Found, _ other: Found) -> Bool {
        let (a, b) = (one.segment.header.segment, other.segment.header.segment)
        if a != b { return a < b }
        return one.name == one.segment.name && other.name != other.segment.name
    }

    private func mostFrequent(_ found: [Found]) -> LedgerID? {
        var counts: [LedgerID: Int] = [:]
        for one in found { counts[one.segment.header.ledger, default: 0] += 1 }
        return counts.max { $0.value < $1.value }?.key
    }

    private mutating func setAside(_ name: String, _ what: String) {
        plan.faults.append(
            Corruption(
                file: name, offset: 0, position: SegmentFile.basePosition(name: name) ?? 0,
                what: what))
        plan.replacedFiles.append(name)
    }

    private mutating func look(at found: Found, next: Found?) throws {
        let segment = found.segment
        let file = try disk.open(found.name, .read)
        if let what = found.lostHeader {
            damage(found.name, 0, what)
        } else if !isDamaged, let what = fault(before: found) {
            damage(found.name, 0, what)
        }
        guard !isDamaged else {
            plan.replacedFiles.append(found.name)
            return try search(found, file, from: segment.blocksOffset)
        }
        let tail = try SegmentTail(segment, file: file)
        state = tail.scanner.state
        let end = tail.scanner.offset
        if tail.faultText != nil, try isTrouble(tail, file, next: next) {
            last = (segment, end)
            plan.replacedFiles.append(found.name)
            damage(found.name, end, tail.faultText ?? "")
            try search(found, file, from: end)
        } else {
            // A footer that is damaged is written anew at the next start.
            sound.append(segment)
            soundEnd = end
        }
    }

    /// Why a segment does not follow what was found sound so far; nil if it does.
    private func fault(before found: Found) -> String? {
        let header = found.segment.header
        guard found.name == found.segment.name else { return "it is \(found.segment.name)" }
        guard let state else {
            return header.segment == 0 ? nil : "the segments before it are missing"
        }
        if header.segment != state.segment + 1 { return "segment \(state.segment + 1) is missing" }
        if header.head != state.head { return "it does not begin where the one before ends" }
        return nil
    }

    /// Whether what follows the valid frames is more than a torn write or a damaged footer.
    private func isTrouble(
        _ tail: SegmentTail, _ file: any DiskFile, next: Found?
    ) throws -> Bool {
        if let next {
            let header = next.segment.header
            // Of a header that was made up only the place is known.
            return next.lostHeader == nil
                ? header.head != tail.scanner.state.head
                : header.basePosition != tail.scanner.state.position
        }
        let byteCount = max(try file.byteCount(), tail.scanner.offset)
        return try !tail.evidenceInRest(file: file, byteCount: byteCount).isEmpty
    }

    private mutating func damage(_ file: String, _ offset: UInt64, _ what: String) {
        isDamaged = true
        plan.faults.append(
            Corruption(file: file, offset: offset, position: state?.position ?? 0, what: what))
    }

    private mutating func search(
        _ found: Found, _ file: any DiskFile, from offset: UInt64
    ) throws {
        runs += try BlockSearch(
            found.segment, storedName: found.name, file: file, from: offset
        ).runs
    }

    /// Puts the runs in order, names the gaps between them, and the one at the end.
    private mutating func close() throws {
        if last == nil, let segment = sound.popLast() {
            // The last that stays is opened to be written on.
            last = (segment, soundEnd)
        }
        plan.untouchedPosition = state?.position ?? 0
        var position = plan.untouchedPosition
        var receivedAt = state?.lastReceivedAt ?? 0
        for run in runs {
            guard run.first.firstPosition >= position, run.first.firstReceivedAt > receivedAt
            else {
                throw LogError.corrupt(
                    Corruption(
                        file: run.storedName, offset: run.offset, position: position,
                        what: "sound blocks tell two histories from here on; which is the right "
                            + "one cannot be told: set the wrong files aside"))
            }
            if run.first.firstPosition > position { gap(position..<run.first.firstPosition) }
            plan.savedEventCount += run.last.endPosition - run.first.firstPosition
            position = run.last.endPosition
            receivedAt = run.last.lastReceivedAt
        }
        try weigh(&position)
        plan.endPosition = position
        guard !plan.faults.isEmpty else { return }
        if let last, !plan.replacedFiles.contains(last.segment.name) {
            plan.replacedFiles.append(last.segment.name)
        }
        if try disk.names().contains(HeadFile.name) { plan.replacedFiles.append(HeadFile.name) }
    }

    /// What others knew: events beyond the end are lost; another root where nothing is damaged is
    /// another history, which no repair can tell from this one.
    private mutating func weigh(_ position: inout Position) throws {
        var evidence = evidence
        if let head = try HeadFile.read(disk: disk)?.head {
            evidence.append(Evidence(source: .headFile, position: head.position, root: head.root))
        }
        guard let furthest = evidence.max(by: { $0.position < $1.position }),
            furthest.position > position
        else { return }
        let name = last?.segment.name ?? SegmentFile.name(basePosition: 0)
        if !isDamaged { damage(name, last?.end ?? 0, "\(furthest.source.rawValue) knows more") }
        gap(position..<furthest.position)
        position = furthest.position
    }

    private mutating func gap(_ positions: Range<Position>) {
        let cause =
            plan.faults.last { $0.position <= positions.lowerBound } ?? plan.faults.first
        plan.gaps.append(
            RepairPlan.Gap(
                positions: positions, file: cause?.file ?? HeadFile.name,
                offset: cause?.offset ?? 0, what: cause?.what ?? "nothing on this disk has them"))
    }
}
