import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Looks through blocks for accepted rows that refer to rows which are to go. References that a
/// missing row does not break are no obstacle.
struct ReferenceScan {
    /// A row that was found.
    struct Found {
        let position: Position
        let table: Int
        let constraint: Int
    }

    private let catalog: Catalog
    private let fingerprintKey: FingerprintKey
    private let keys: ReferredKeys
    private let going: RetractedRows
    private let foundCountMax: Int
    private let isFollowing: Bool
    private var schema: LogSchema?
    /// By branch of the schema met last.
    private var layouts: [[KeyLayout]] = []
    /// By branch, the keys by which others may refer to its rows.
    private var ownLayouts: [[KeyLayout]] = []
    private var values = RowValues()
    /// How many rows refer to those that go.
    private(set) var count = 0
    /// Some of them, or all.
    private(set) var found: [Found] = []

    /// - Parameters:
    ///   - going: where the rows stand that go; they may refer to each other.
    ///   - isFollowing: whether rows that refer to those that are found are looked for too, as far
    ///     as they come behind them; then `keys` grows.
    init(
        _ catalog: Catalog, _ fingerprintKey: FingerprintKey, keys: ReferredKeys,
        going: RetractedRows, foundCountMax: Int, isFollowing: Bool = false
    ) {
        self.catalog = catalog
        self.fingerprintKey = fingerprintKey
        self.keys = keys
        self.going = going
        self.foundCountMax = foundCountMax
        self.isFollowing = isFollowing
    }

    /// The tables whose rows are looked at.
    var tables: [String] {
        catalog.tables.filter { !references(of: $0).isEmpty }.map(\.name)
    }

    private func references(of table: Table) -> [SlotPlan] {
        let wanted = keys.constraints
        return table.slots.filter {
            $0.role == .reference(rejectMissing: true)
                && (isFollowing || wanted.contains($0.constraint))
        }
    }

    /// Looks at a block; rows for which `isGone` says so are passed over.
    ///
    /// - Throws: `LogError.corrupt` if a record does not read as its schema says.
    mutating func read(
        _ block: DurableBlock, unless isGone: (Position) -> Bool
    ) throws(LogError) {
        if schema != block.schema { prepare(block.schema) }
        guard layouts.contains(where: { !$0.isEmpty }) else { return }
        do {
            try block.content.withUnsafeBytes(in: block.records) { bytes in
                var cursor = ByteCursor(bytes)
                while !cursor.isAtEnd {
                    var batch = try BatchSkim(at: cursor, schema: block.schema)
                    try read(&batch, isGone)
                    try batch.finish()
                    cursor = batch.cursor
                }
            }
        } catch {
            throw .unreadableRecord(at: block.firstPosition, error)
        }
    }

    private mutating func prepare(_ schema: LogSchema) {
        self.schema = schema
        layouts = schema.records.map { record in
            guard let table = catalog.table(named: record.name.name),
                let resolution = try? RowResolution(record, table: table)
            else { return [] }
            return references(of: table).map {
                KeyLayout(
                    catalog.constraints[$0.constraint], columns: $0.columns, of: table,
                    by: resolution)
            }
        }
        guard isFollowing else { return }
        let referred = catalog.referredConstraints
        ownLayouts = schema.records.map { record in
            guard let table = catalog.table(named: record.name.name),
                let resolution = try? RowResolution(record, table: table)
            else { return [] }
            return catalog.constraints
                .filter { $0.table == table.name && referred.contains($0.index) }
                .map { KeyLayout($0, of: table, by: resolution) }
        }
    }

    private mutating func read(
        _ batch: inout BatchSkim, _ isGone: (Position) -> Bool
    ) throws(AvroDecodingError) {
        var position = batch.position
        while let branch = try batch.nextBranch() {
            defer { position += 1 }
            guard branch < layouts.count, !layouts[branch].isEmpty else {
                try batch.skipRow(branch)
                continue
            }
            try values.read(&batch.cursor, shape: batch.schema.tables[branch])
            for layout in layouts[branch] {
                let slot = try layout.slot(of: values, key: fingerprintKey)
                guard keys.contains(slot, of: layout.constraint), !going.contains(position),
                    !isGone(position)
                else { continue }
                note(position, batch.schema.records[branch].name.name, layout.constraint)
                if isFollowing { try follow(branch, position) }
                break
            }
        }
    }

    /// Rows that refer to the row that was read last are wanted too.
    private func follow(_ branch: Int, _ position: Position) throws(AvroDecodingError) {
        for layout in ownLayouts[branch] {
            let slot = try layout.slot(of: values, key: fingerprintKey)
            if slot.kind == .absent { continue }
            keys.insert(ExtractedKey(set: layout.constraint, slot: slot, position: position))
        }
    }

    private mutating func note(_ position: Position, _ table: String, _ constraint: Int) {
        count += 1
        guard found.count < foundCountMax, let table = catalog.table(named: table) else { return }
        found.append(Found(position: position, table: table.index, constraint: constraint))
    }

    /// What was found, with the rows' keys in words.
    func rows(_ lookup: LogLookup) throws(LedgerError) -> [ReferringRow] {
        var rows: [ReferringRow] = []
        for one in found.prefix(RetractionPlanner.exampleCount) {
            let table = catalog.tables[one.table]
            let key = table.key.map { table.columns[$0].name }
            rows.append(
                ReferringRow(
                    table: table.name, key: try lookup.values(of: key, at: one.position),
                    position: one.position,
                    referredTable: catalog.constraints[one.constraint].table))
        }
        return rows
    }
}

extension Catalog {
    /// The constraints to which rows refer that are rejected where it is missing.
    var referredConstraints: Set<Int> {
        Set(
            tables.flatMap(\.slots)
                .filter { $0.role == .reference(rejectMissing: true) }.map(\.constraint))
    }
}
