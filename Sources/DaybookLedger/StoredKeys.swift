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
    let log: any LogSource
    private var layouts: KeyLayouts
    private var known: [Place: [UInt8]] = [:]
    private var knownByteCount = 0
    private let byteLimit: Int
    private var values = RowValues()
    /// Rows whose keys are read with the one that was asked for: whoever sends a row again is
    /// likely to send its neighbours.
    private static let readAhead: Position = 64

    init(lookup: LogLookup, catalog: Catalog, byteLimit: Int = 8 << 20) {
        self.lookup = lookup
        log = lookup.engine
        layouts = KeyLayouts(catalog)
        self.byteLimit = byteLimit
    }

    func request(at position: Position) throws(LedgerError) -> RequestFacts? {
        try lookup.withBatch(at: position) { RequestFacts($0.facts) } ?? nil
    }

    func key(of constraint: KeyConstraint, at position: Position) throws(LedgerError) -> [UInt8]? {
        let place = Place(constraint: constraint.index, position: position)
        if let key = known[place] { return key }
        // Memory is bounded by starting over: what is in use is soon there again.
        if knownByteCount > byteLimit {
            known = [:]
            knownByteCount = 0
        }
        try lookup.withBatch(at: position) { reader in
            var row = reader.facts.position
            while row < position + Self.readAhead, let branch = try reader.nextBranch() {
                if row >= position, branch < reader.schema.tables.count {
                    try keep(constraint, &reader, branch, at: row)
                } else {
                    try reader.skipRow(branch)
                }
                row += 1
            }
        }
        return known[place]
    }

    private func keep(
        _ constraint: KeyConstraint, _ reader: inout BatchReader, _ branch: Int, at row: Position
    ) throws(AvroDecodingError) {
        try values.read(&reader.cursor, shape: reader.schema.tables[branch])
        let own = layouts.of(reader.schema)[branch]
        guard let layout = own.first(where: { $0.constraint == constraint.index }),
            let key = layout.withKeyBytes(of: values, { $0.map { Array($0) } })
        else { return }
        known[Place(constraint: constraint.index, position: row)] = key
        knownByteCount += key.count + 64
    }
}
