/// What happened in runs: operations, faults, and the ways that the program took.
public struct Tally: Sendable, Equatable {
    /// A thing that is counted. The raw value is its name to people.
    public enum Item: String, CaseIterable, Sendable {
        // Operations.
        case submit, keyless, atomic, retry, retryOfOtherBody = "retry of another body"
        case retryByOther = "retry by another principal"
        case step, quiet, tick, clockBack = "clock back", clockForward = "clock forward"
        case confirm, read, readAsOf = "read as of", roll, writeBack = "write back"
        case checkpoint, reopen, retract
        // What the machine did.
        case kill = "kill -9", crash = "power loss", faultLaid = "fault laid"
        case faultStruck = "fault struck", death = "death within a call"
        case full = "disk full", fullLifted = "space back"
        case rotActive = "rot in the active segment", rotSealed = "rot in a sealed segment"
        case rotHead = "rot in the head file"
        case lie = "lost write", misdirection = "misdirected write"
        case missing = "missing segment", duplicate = "duplicate segment"
        case foreign = "foreign segment", sectorDropped = "sector dropped"
        case sectorTrashed = "sector trashed", lengthTorn = "length torn", nameLost = "name lost"
        // The ways that the program took.
        case batchWritten = "batch written", rowRejected = "row rejected"
        case retracted = "row taken back", retractedMore = "taken back with what referred to it"
        case retractionRefused = "retraction refused"
        case replayed, followed, conflict, held = "held by the clock"
        case answeredFull = "answered: disk full", answeredUnknown = "answered: unknown"
        case answeredReadFailed = "answered: log unreadable"
        case unknownWas = "unknown was there", unknownWasNot = "unknown was absent"
        case syncFailed = "sync failed", openFailed = "open failed, and again"
        case cut = "torn tail cut", rewritten = "tail rewritten", tmpRemoved = "tmp removed"
        case sealedLater = "segment sealed later", halted = "halted"
        case haltedByHead = "halted by the head file", haltedByLater = "halted by a later block"
        case haltedByAttestation = "halted by an attestation"
        case haltedByCheckpoint = "halted by a checkpoint"
        case degraded, headerless = "header of a segment made up", healed
        case exempt = "unattested last block lost"
        case newWorld = "begun anew after a loss", unreadable = "read refused: corrupt"
    }

    private var counts = [Int](repeating: 0, count: Item.allCases.count)
    /// How many seeds were run.
    public var seedCount = 0
    /// How many operations.
    public var operationCount = 0

    private static let places: [Item: Int] = Dictionary(
        uniqueKeysWithValues: Item.allCases.enumerated().map { ($1, $0) })

    /// Nothing has happened.
    public init() {}

    /// How often it happened.
    public subscript(_ item: Item) -> Int { counts[Tally.places[item] ?? 0] }

    mutating func count(_ item: Item, _ number: Int = 1) { counts[item.place] += number }

    /// Both together.
    public mutating func add(_ other: Tally) {
        for place in counts.indices { counts[place] += other.counts[place] }
        seedCount += other.seedCount
        operationCount += other.operationCount
    }

    /// What must have happened in a long run and never did.
    public var missing: [Item] { Item.allCases.filter { self[$0] == 0 } }
}

extension Tally.Item {
    /// Place among all cases: they have no values of their own, so their memory is their number.
    fileprivate var place: Int { Int(withUnsafeBytes(of: self) { $0[0] }) }
}
