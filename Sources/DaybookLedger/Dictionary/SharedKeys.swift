import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Rows of the log that have the same values where a key or `unique` wants them to differ.
public struct SharedKeys: Sendable, Equatable, CustomStringConvertible {
    /// Two rows with one key.
    public struct Pair: Sendable, Equatable {
        /// The key's values as text, in the constraint's order.
        public let values: [String]
        /// Where the first of the rows stands.
        public let first: Position
        /// Where another one stands.
        public let second: Position
    }

    /// The table that wants its rows to differ.
    public let table: String
    /// The columns in which they should.
    public let columns: [String]
    /// How many rows have the key of a row before them.
    public let rowCount: Int
    /// Some of them.
    public let examples: [Pair]

    /// `table: rows share …, …`, and what would be right.
    public var description: String {
        let pairs = examples.map { pair in
            "(\(pair.values.joined(separator: ", "))) at positions \(pair.first) and \(pair.second)"
        }
        let rest = rowCount > examples.count ? ", and so on" : ""
        return "\(table): [\(columns.joined(separator: ", "))] is to be unique, and \(rowCount) "
            + (rowCount == 1 ? "row of the log has" : "rows of the log have")
            + " the values of an earlier one: \(pairs.joined(separator: "; "))\(rest); "
            + "leave the rule out, or name columns that tell these rows apart"
    }
}

/// Looks for rows that share a key, in bounded memory: as many keys as it may hold at a time, and
/// so many passes over the log as that takes.
struct SharedKeySearch {
    /// Keys held at a time: 24 bytes each.
    static let keyCountMax = 4 << 20
    /// Pairs that are told of one constraint.
    static let exampleCount = 5

    let catalog: Catalog
    let log: any LogSource
    private let keyCountMax: Int
    private let readByteLimit = 4 << 20

    init(catalog: Catalog, log: any LogSource, keyCountMax: Int = SharedKeySearch.keyCountMax) {
        self.catalog = catalog
        self.log = log
        self.keyCountMax = keyCountMax
    }

    /// The constraints of the list that rows of the log break.
    func run(
        _ constraints: [KeyConstraint], progress: (Position) -> Void
    ) throws(LedgerError) -> [SharedKeys] {
        var found: [SharedKeys] = []
        for constraint in constraints {
            var search = PartitionedKeys(keyCountMax: keyCountMax)
            while search.needsPass {
                try read(constraint, progress) { search.add($0) }
                search.endPass()
            }
            if search.sharedCount == 0 { continue }
            found.append(
                SharedKeys(
                    table: constraint.table, columns: constraint.columns,
                    rowCount: search.sharedCount, examples: try pairs(search.pairs, constraint)))
        }
        return found
    }

    private func read(
        _ constraint: KeyConstraint, _ progress: (Position) -> Void,
        _ body: (PartitionedKeys.Entry) -> Void
    ) throws(LedgerError) {
        // Keys are compared with keys of the same pass only, so any secret does.
        let secret = FingerprintKey(bytes: Array(repeating: 0x5B, count: 16))
        var extraction = KeyExtraction(catalog: catalog, fingerprintKey: secret)
        var position: Position = 0
        do throws(LogError) {
            let retracted = try RetractedRows(of: log, below: log.durable.position)
            while position < log.durable.position {
                for block in try log.blocks(from: position, byteLimit: readByteLimit) {
                    _ = try extraction.extract(from: block) { key in
                        guard key.set == constraint.index, !retracted.contains(key.position)
                        else { return }
                        body(.init(key: Fingerprint(key.slot).spread, position: key.position))
                    }
                    position = block.endPosition
                }
                progress(position)
            }
        } catch {
            throw .log(error)
        }
    }

    /// The pairs with their values in words.
    private func pairs(
        _ pairs: [(first: Position, second: Position)], _ constraint: KeyConstraint
    ) throws(LedgerError) -> [SharedKeys.Pair] {
        let lookup = LogLookup(engine: log, byteLimit: readByteLimit)
        var described: [SharedKeys.Pair] = []
        for (first, second) in pairs.sorted(by: { $0.second < $1.second }) {
            let row = try lookup.values(of: constraint.columns, at: second)
            described.append(SharedKeys.Pair(values: row, first: first, second: second))
        }
        return described
    }
}

extension Fingerprint {
    /// Itself, with the half that was free for integers filled from them: so that integers spread
    /// over the partitions as fingerprints do. Equal ones stay equal, and others other.
    fileprivate var spread: Fingerprint {
        high == 0 ? Fingerprint(high: low &* 0x9E37_79B9_7F4A_7C15, low: low) : self
    }
}

/// Finds equal keys among many: those of one part of the space of keys after the other, each part
/// small enough to be held and sorted.
struct PartitionedKeys {
    struct Entry {
        let key: Fingerprint
        let position: Position
    }

    /// The keys whose lowest bits are these.
    private struct Part {
        var bitCount: UInt64 = 0
        var bits: UInt64 = 0

        func has(_ key: Fingerprint) -> Bool { key.high & ((1 << bitCount) - 1) == bits }
        /// The same keys in four parts.
        var quarters: [Part] {
            (0..<4).map { Part(bitCount: bitCount + 2, bits: bits | $0 << bitCount) }
        }
    }

    private let keyCountMax: Int
    /// What is still to be looked at; the last one is being looked at.
    private var parts = [Part()]
    private var isTooLarge = false
    private var entries: ContiguousArray<Entry> = []
    private var partSharedCount = 0
    private var partPairs: [(first: Position, second: Position)] = []
    /// How many keys were equal to an earlier one, in the parts that are done.
    private(set) var sharedCount = 0
    /// Some of them, with the earlier one.
    private(set) var pairs: [(first: Position, second: Position)] = []

    init(keyCountMax: Int) {
        precondition(keyCountMax > 1, "two keys are compared at least")
        self.keyCountMax = keyCountMax
    }

    /// Whether there is a part to look at: all keys must then be added.
    var needsPass: Bool { !parts.isEmpty }

    mutating func add(_ entry: Entry) {
        guard !isTooLarge, let part = parts.last, part.has(entry.key) else { return }
        entries.append(entry)
        if entries.count < keyCountMax { return }
        reduce()
        isTooLarge = entries.count > keyCountMax / 2
    }

    /// All keys were added: the part is done, or was too large and is cut into smaller ones.
    mutating func endPass() {
        let part = parts.removeLast()
        if isTooLarge {
            parts += part.quarters
        } else {
            reduce()
            sharedCount += partSharedCount
            pairs = Array((pairs + partPairs).prefix(SharedKeySearch.exampleCount))
        }
        isTooLarge = false
        partSharedCount = 0
        partPairs = []
        entries.removeAll(keepingCapacity: true)
    }

    /// Keeps the first of equal keys, and counts the others.
    private mutating func reduce() {
        entries.sort { ($0.key, $0.position) < ($1.key, $1.position) }
        var kept = 0
        for index in entries.indices {
            if kept > 0, entries[kept - 1].key == entries[index].key {
                partSharedCount += 1
                if partPairs.count < SharedKeySearch.exampleCount {
                    partPairs.append((entries[kept - 1].position, entries[index].position))
                }
            } else {
                entries[kept] = entries[index]
                kept += 1
            }
        }
        entries.removeLast(entries.count - kept)
    }
}
