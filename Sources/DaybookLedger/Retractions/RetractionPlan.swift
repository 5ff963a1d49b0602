import DaybookIntake
import DaybookLog

/// Which rows a retraction takes back, found by a look through the log: what the writer needs to
/// decide about it without one.
public struct RetractionPlan: Sendable {
    /// How many rows of a table go.
    public struct TableCount: Sendable, Equatable {
        /// The table's name.
        public let table: String
        /// How many of its rows go.
        public let rowCount: Int64
    }

    /// Who, and why.
    public let retraction: Retraction
    /// The ranges whose accepted rows go: in order, no two touch, and none was retracted before.
    public let spans: [Range<Position>]
    /// The tables that lose rows, in order of name.
    public let tables: [TableCount]
    /// The log was looked through for referring rows up to here.
    public internal(set) var position: Position
    /// Keys of the rows to which rows of some table may refer.
    let keys: ReferredKeys

    /// How many rows go.
    public var rowCount: Int64 { tables.reduce(0) { $0 + $1.rowCount } }
}

/// Keys of rows that are to go, as far as rows of some table may refer to them.
// @unchecked: filled by whoever plans, and only read from then on.
final class ReferredKeys: @unchecked Sendable {
    private var integers: [Int: IntegerSet] = [:]
    private var fingerprints: [Int: Set<Fingerprint>] = [:]

    /// Whether there are none.
    var isEmpty: Bool { integers.isEmpty && fingerprints.isEmpty }

    /// The constraints that have keys here.
    var constraints: Set<Int> { Set(integers.keys).union(fingerprints.keys) }

    func insert(_ key: ExtractedKey) {
        if key.slot.kind == .integer {
            let set = integers[key.set] ?? IntegerSet()
            integers[key.set] = set
            _ = set.insert(key.slot.low)
        } else {
            fingerprints[key.set, default: []].insert(Fingerprint(key.slot))
        }
    }

    func contains(_ slot: KeySlot, of constraint: Int) -> Bool {
        switch slot.kind {
        case .absent: false
        case .integer: integers[constraint]?.contains(slot.low) ?? false
        // 128 bits under a secret key do not meet by chance; if they did, a row would stay.
        case .fingerprint: fingerprints[constraint]?.contains(Fingerprint(slot)) ?? false
        }
    }
}
