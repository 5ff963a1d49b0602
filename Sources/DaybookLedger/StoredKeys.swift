import Avro
import DaybookCatalog
import DaybookLog

/// The durable log as the writer looks at it: requests by their batch, keys by their row.
///
/// It belongs to the writer's thread. Keys read once are kept, up to a limit, since references name
/// the same few rows again and again.
final class StoredKeys: StoredBatches {
    private struct Place: Hashable {
        let constraint: Int
        let position: Position
    }

    private let lookup: LogLookup
    private var known: [Place: [UInt8]] = [:]
    private var knownByteCount = 0
    private let byteLimit: Int
    private var values = RowValues()

    init(lookup: LogLookup, byteLimit: Int = 8 << 20) {
        self.lookup = lookup
        self.byteLimit = byteLimit
    }

    func request(at position: Position) throws(LedgerError) -> RequestFacts? {
        try lookup.withBatch(at: position) { RequestFacts($0.facts) } ?? nil
    }

    func key(of constraint: KeyConstraint, at position: Position) throws(LedgerError) -> [UInt8]? {
        let place = Place(constraint: constraint.index, position: position)
        if let key = known[place] { return key }
        let key = try lookup.withRow(at: position) { cursor, shape -> [UInt8]? in
            guard shape.name == constraint.table, let layout = KeyLayout(constraint, in: shape)
            else { return nil }
            try self.values.read(&cursor, shape: shape)
            return layout.withKeyBytes(of: self.values) { $0.map { Array($0) } }
        }
        guard let key = key ?? nil else { return nil }
        // Memory is bounded by starting over: what is in use is soon there again.
        if knownByteCount > byteLimit {
            known = [:]
            knownByteCount = 0
        }
        known[place] = key
        knownByteCount += key.count + 64
        return key
    }
}
