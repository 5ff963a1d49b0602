import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Reads keys from the log, and from the group that is not there yet.
struct GroupReader: KeyReader {
    let stored: any StoredBatches
    let pending: [Sequencer.Pending]
    /// The batch that is being judged.
    let batch: JudgedBatch
    let position: Position
    let tables: [TableRules]
    /// Why the log could not be read, if it could not; what was decided since is worth nothing.
    private(set) var failure: LedgerError?
    private var values = RowValues()

    init(
        stored: any StoredBatches, pending: [Sequencer.Pending], batch: JudgedBatch,
        position: Position, tables: [TableRules]
    ) {
        self.stored = stored
        self.pending = pending
        self.batch = batch
        self.position = position
        self.tables = tables
    }

    mutating func key(of constraint: KeyConstraint, at holder: Position) -> [UInt8]? {
        if holder >= position { return key(of: constraint, in: batch, row: Int(holder - position)) }
        if let first = pending.first, holder >= first.facts.position {
            guard
                let found = pending.last(where: { $0.facts.position <= holder }),
                let batch = found.batch
            else { return nil }
            return key(of: constraint, in: batch, row: Int(holder - found.facts.position))
        }
        do {
            return try stored.key(of: constraint, at: holder)
        } catch {
            failure = failure ?? error
            return nil
        }
    }

    private mutating func key(
        of constraint: KeyConstraint, in batch: JudgedBatch, row: Int
    ) -> [UInt8]? {
        let place = batch.rows[row]
        let table = tables[batch.table.index]
        guard place.isCandidate,
            let layout = table.rules.first(where: { $0.takes(constraint) })?.layout
        else { return nil }
        let start = Int(place.encodedStart)
        let range = start..<(start + Int(place.encodedCount))
        return batch.encoded.withUnsafeBytes(in: range) { bytes in
            var cursor = ByteCursor(bytes)
            do { try values.read(&cursor, shape: table.shape) } catch {
                preconditionFailure("intake encodes rows as the schema says: \(error)")
            }
            return layout.withKeyBytes(of: values) { $0.map { Array($0) } }
        }
    }
}
