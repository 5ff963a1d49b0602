import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// The keys that a log's rows would take under another dictionary: integers as bitmaps, and of
/// fingerprints so many in memory, the others in a scratch folder.
final class PastKeys {
    var state: KeyState
    private let store: KeyStore
    private let view: KeyStoreView
    private let keyCountMax: Int

    init(
        _ constraints: [KeyConstraint], folder: String, keyCountMax: Int
    ) throws(LedgerError) {
        do {
            store = try KeyStore(folder: folder)
            view = try store.view()
        } catch {
            throw .state(error.description)
        }
        state = KeyState(constraints: constraints, base: view)
        self.keyCountMax = keyCountMax
    }

    /// What was taken stays.
    func commit() { state.commit() }

    /// Moves the fingerprints from memory to the folder if they are too many.
    func spillIfLarge() throws(LedgerError) {
        guard state.youngCount >= keyCountMax else { return }
        state.rotate()
        let entries = state.oldEntries.sorted {
            ($0.number, $0.fingerprint) < ($1.number, $1.fingerprint)
        }
        do {
            try store.write { (writer) throws(KeyStoreFault) in
                for entry in entries {
                    try writer.put(
                        entry.fingerprint, position: entry.position, number: entry.number)
                }
            }
            try view.renew()
        } catch {
            throw .state(error.description)
        }
        state.dropOld()
    }

    /// Lets go of the folder.
    func close() {
        view.close()
        store.close()
    }
}

/// Reads the key of a row in the log as another dictionary would have it: of an accepted one from
/// its values, of a rejected one that would be accepted by judging it again.
final class PastKeyReader: KeyReader {
    /// Why the log could not be read.
    private(set) var failure: LedgerError?
    private let lookup: LogLookup
    private let stored: StoredKeys
    private let catalog: Catalog
    private let judges: [Judge]

    init(log: any LogSource, catalog: Catalog, judges: [Judge]) {
        lookup = LogLookup(engine: log, byteLimit: 32 << 20)
        stored = StoredKeys(lookup: lookup, catalog: catalog)
        self.catalog = catalog
        self.judges = judges
    }

    func key(of constraint: KeyConstraint, at position: Position) -> [UInt8]? {
        do throws(LedgerError) {
            if let key = try stored.key(of: constraint, at: position) { return key }
            return try lookup.withBatch(at: position) { reader in
                try rejectedKey(of: constraint, at: position, &reader)
            } ?? nil
        } catch {
            failure = failure ?? error
            return nil
        }
    }

    private func rejectedKey(
        of constraint: KeyConstraint, at position: Position, _ reader: inout BatchReader
    ) throws -> [UInt8]? {
        let facts = reader.facts
        guard let table = catalog.table(named: facts.table), table.name == constraint.table,
            let branch = reader.schema.branch(of: facts.table),
            let past = try? PastRows(reader.schema.records[branch], judge: judges[table.index])
        else { return nil }
        var row = facts.position
        while let branch = try reader.nextBranch() {
            guard row == position, branch == reader.schema.rejectionBranch else {
                try reader.skipRow(branch)
                row += 1
                continue
            }
            guard let judged = PastJudgement.judge(try reader.readRejection(), past, facts),
                judged.rows[0].isCandidate
            else { return nil }
            return try key(of: constraint, in: judged.encodedRow(0), table)
        }
        return nil
    }

    private func key(
        of constraint: KeyConstraint, in row: [UInt8], _ table: Table
    ) throws -> [UInt8]? {
        let schema = try catalog.logSchema()
        let columns = constraint.columns.compactMap { name in
            table.columns.firstIndex { $0.name == name }
        }
        return try row.withUnsafeBytes { bytes in
            var values = RowValues()
            var cursor = ByteCursor(bytes)
            try values.read(&cursor, shape: schema.tables[table.index])
            return KeyLayout(constraint: constraint, columns: columns)
                .withKeyBytes(of: values) { $0.map { Array($0) } }
        }
    }
}
