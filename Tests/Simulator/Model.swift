import DaybookLog

/// What a ledger must be: a list of batches, the keys that their rows took, and a clock. It knows
/// of no file, block or segment.
struct Model {
    /// Who sends what, as a retry is known.
    struct Identity: Hashable {
        let principal: Int
        let key: Int
    }

    /// Why a row was rejected, as far as the ledger decides.
    struct Codes: OptionSet, Hashable {
        let rawValue: UInt8
        static let intake = Codes(rawValue: 1)
        static let duplicate = Codes(rawValue: 2)
        static let reference = Codes(rawValue: 4)
        static let atomic = Codes(rawValue: 8)
    }

    /// What an acknowledged batch must be for ever.
    struct Entry {
        let identity: Identity?
        let digest: [UInt8]
        let codes: [Codes]
        let takes: [Int]
        /// The rows as they were sent; none for the ledger's own events.
        var rows: [Workload.Row] = []
        /// The rows that it takes back, by position.
        var retracts: [Position] = []
        let position: Position
        let receivedAt: Microseconds
        /// Batches of one group are there together or not at all.
        let group: Int
        var id = ""
        var leaf = MerkleFrontier().root
        var end: Position { position + Position(codes.count) }
    }

    private(set) var entries: [Entry] = []
    private(set) var taken: Set<Int> = []
    /// Accepted rows that were taken back, by position.
    private(set) var retracted: Set<Position> = []
    private(set) var frontier = MerkleFrontier()
    private var places: [Identity: Int] = [:]
    /// So many entries are known to be attested.
    var attestedCount = 0
    /// What the wall clock is ahead of the boot-time clock, as last taken for right.
    var clockOffset: Microseconds = 0
    static let jumpLimit: Microseconds = 3_600_000_000

    var position: Position { entries.last?.end ?? 0 }
    var lastReceivedAt: Microseconds { entries.last?.receivedAt ?? 0 }

    /// Whether appends are held back.
    func isHeld(wall: Microseconds, boot: Microseconds) -> Bool {
        wall - boot - clockOffset > Model.jumpLimit
    }

    /// The acknowledged batch with this key from this principal.
    func entry(_ identity: Identity?) -> Entry? {
        identity.flatMap { places[$0] }.map { entries[$0] }
    }

    /// What would become of a request now.
    func decide(_ request: Request, wall: Microseconds, group: Int) -> Entry {
        guard let batch = request.batch else {
            return Entry(
                identity: nil, digest: [], codes: [[]], takes: [], retracts: request.retracts,
                position: position, receivedAt: max(wall, lastReceivedAt + 1), group: group)
        }
        var codes: [Codes] = []
        var newKeys: [Int] = []
        for row in batch.rows {
            var found: Codes = row.isCandidate ? [] : .intake
            let isTaken = { taken.contains($0) || newKeys.contains($0) }
            if row.takes.contains(where: isTaken) { found.insert(.duplicate) }
            // A row may refer to itself.
            if row.needs.contains(where: { !isTaken($0) && !row.takes.contains($0) }) {
                found.insert(.reference)
            }
            if found.isEmpty { newKeys += row.takes }
            codes.append(found)
        }
        if request.isAtomic, codes.contains(where: { !$0.isEmpty }) {
            codes = codes.map { $0.isEmpty ? .atomic : $0 }
            newKeys = []
        }
        return Entry(
            identity: request.identity, digest: request.digest, codes: codes, takes: newKeys,
            rows: batch.rows, position: position, receivedAt: max(wall, lastReceivedAt + 1),
            group: group)
    }

    /// A batch is acknowledged, or was found whole when the log was opened.
    mutating func commit(_ entry: Entry) {
        precondition(entry.position == position, "positions have no gap")
        if let identity = entry.identity { places[identity] = entries.count }
        taken.formUnion(entry.takes)
        for row in entry.retracts.compactMap(row(at:)) { taken.subtract(row.takes) }
        retracted.formUnion(entry.retracts)
        frontier.append(entry.leaf)
        entries.append(entry)
    }

    /// Where the last group begins.
    var lastGroupPosition: Position {
        let group = entries.last?.group
        return entries.first { $0.group == group }?.position ?? 0
    }

    /// Where the group before a position begins.
    func groupPosition(before position: Position) -> Position {
        guard let last = entries.last(where: { $0.position < position }) else { return 0 }
        return entries.first { $0.group == last.group }?.position ?? 0
    }

    /// All from a position on is gone, as only the unattested last block may be.
    mutating func lose(from position: Position) {
        let kept = entries.prefix { $0.position < position }
        let (offset, attested) = (clockOffset, attestedCount)
        self = Model()
        (clockOffset, attestedCount) = (offset, min(attested, kept.count))
        for entry in kept { commit(entry) }
    }

    /// The entry whose rows hold a position.
    func place(of position: Position) -> Int? {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].end <= position { low = middle + 1 } else { high = middle }
        }
        return low < entries.count ? low : nil
    }

    /// The position after all batches up to a time.
    func position(asOf time: Microseconds) -> Position {
        entries.last { $0.receivedAt <= time }?.end ?? 0
    }
}
