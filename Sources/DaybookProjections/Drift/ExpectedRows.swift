import DaybookCatalog
import DaybookLog
import Postgres

/// The rows that a projection should have, folded from the log.
///
/// A table's rows are the events' own, and pass by. An aggregate's come of many events: they are
/// folded as the projector does it, into a temporary table of the session.
struct ExpectedRows {
    private enum Kind {
        case table(Table)
        case aggregate(AggregatePlan, of: Table)
    }

    let name: String
    let shape: RowLayout
    private let kind: Kind
    private let catalog: Catalog
    private let connection: PostgresConnection

    /// - Throws: `DriftError.unreadable` if the catalog has no such table or aggregate.
    init(_ name: String, _ catalog: Catalog, _ connection: PostgresConnection) throws {
        if let table = catalog.table(named: name) {
            kind = .table(table)
            shape = RowLayout(table)
        } else if let aggregate = catalog.aggregate(named: name),
            let table = catalog.table(named: aggregate.table)
        {
            let plan = AggregatePlan(aggregate, table: table)
            kind = .aggregate(plan, of: table)
            shape = RowLayout(plan)
        } else {
            throw DriftError.unreadable("the dictionary has no table or aggregate \(name)")
        }
        self.name = name
        self.catalog = catalog
        self.connection = connection
    }

    var needsTemporaryTable: Bool {
        if case .aggregate = kind { true } else { false }
    }

    /// All rows after the events below `position`. `live` is the table that they are compared with.
    func all(at position: Position, of log: any LogSource, live: String) throws -> any RowSide {
        switch kind {
        case .table(let table): return try rows(of: table, log, 0..<position)
        case .aggregate(let plan, let table):
            try connection.execute("DROP TABLE IF EXISTS \(temporary)")
            let ddl = plan.aggregate.ddl(of: table, schema: "pg_temp")
            for statement in [ddl.createTable] + ddl.keyStatements {
                try connection.execute(statement)
            }
            try fold(plan, try rows(of: table, log, 0..<position))
            try takeNearSums(plan, from: live)
            return TableRows(connection, from: temporary, shape: shape)
        }
    }

    /// The rows of the keys that differed at `positions.lowerBound`, after the events below
    /// `positions.upperBound`. The keys stand in the table `keyTable` too.
    func some(
        _ kept: DifferingRows, keyTable: String, of log: any LogSource,
        _ positions: Range<Position>, hashKey: RowHashKey
    ) throws -> HeldRows {
        switch kind {
        case .table(let table):
            let scanner = RowScanner(shape, hashKey: hashKey)
            try rows(of: table, log, positions).forEachRow { row in
                let isKept = kept.keyHashes.contains(try scanner.scan(row).keyHash)
                if isKept { kept.rows.add(row) }
            }
            return kept.rows
        case .aggregate(let plan, let table):
            try fold(plan, try rows(of: table, log, positions))
            let found = HeldRows()
            let source =
                "\(temporary) AS t WHERE EXISTS"
                + " (SELECT FROM \(keyTable) AS k WHERE \(shape.keysMatch("t", "k")))"
            try TableRows(connection, from: source, shape: shape).forEachRow { found.add($0) }
            return found
        }
    }

    private var temporary: String { SQL.identifier("pg_temp", name) }

    private func rows(
        of table: Table, _ log: any LogSource, _ positions: Range<Position>
    ) throws(LogError) -> LogRows {
        try LogRows(
            log, catalog: catalog, table: table.name, shape: RowLayout(table),
            positions: positions)
    }

    private func fold(_ plan: AggregatePlan, _ rows: LogRows) throws {
        let fold = AggregateFold(plan)
        let columns = rows.shape.columns.map(\.name)
        let upsert = plan.upsert(into: temporary)
        try rows.forEachRow { row in
            fold.add(row, columns: columns)
            if fold.isFull { _ = try connection.query(upsert, fold.takeParameters()) }
        }
        if !fold.isEmpty { _ = try connection.query(upsert, fold.takeParameters()) }
    }

    /// How far two sums of floating-point numbers may lie apart, for their size.
    private static let sumTolerance = 1e-9

    /// Takes the live table's sums of floating-point numbers where they are as good: such a sum
    /// depends on the order of its parts, and the projector's transactions made that.
    private func takeNearSums(_ plan: AggregatePlan, from live: String) throws {
        for column in plan.writtenColumns where column.type == .number {
            switch column.role {
            case .sum: break
            case .measure(let place) where plan.measures[place].function == .sum: break
            default: continue
            }
            let name = SQL.identifier(column.name)
            try connection.execute(
                """
                UPDATE \(temporary) AS e SET \(name) = l.\(name) FROM \(live) AS l
                 WHERE \(shape.keysMatch("e", "l")) AND e.\(name) <> l.\(name)
                   AND abs(e.\(name) - l.\(name))
                       <= \(ExpectedRows.sumTolerance) * greatest(abs(e.\(name)), abs(l.\(name)))
                """)
        }
    }
}
