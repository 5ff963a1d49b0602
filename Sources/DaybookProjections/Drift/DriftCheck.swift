import DaybookCatalog
import DaybookLog
import Postgres

/// Compares tables and aggregates in Postgres with the log that they are made from, and repairs
/// them.
///
/// Both are taken at one position: the checkpoint that the database has in the very transaction in
/// which the table is read, so appends and the projector go on meanwhile.
public struct DriftCheck {
    /// What a check works with.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables.
        public var schema = "public"
        /// How much is held in memory and said.
        public var comparison = RowComparison.Options()

        /// The defaults.
        public init() {}
    }

    /// What a check of one table or aggregate found.
    public struct Outcome: Sendable {
        /// Its name.
        public let name: String
        /// The columns of the rows that were compared, in order.
        public let columns: [String]
        /// The columns of the key, in key order.
        public let keyColumns: [String]
        /// Every event below it is in both.
        public let position: Position
        /// What log and table do not have in common.
        public let differences: RowDifferences
    }

    let connection: PostgresConnection
    let catalog: Catalog
    let options: Options
    let log: (Position) throws -> any LogSource

    /// A check by a connection of its own. `log` gives the log once all below a position can be
    /// read from it.
    public init(
        _ connection: PostgresConnection, catalog: Catalog, options: Options = Options(),
        log: @escaping (Position) throws -> any LogSource
    ) {
        self.connection = connection
        self.catalog = catalog
        self.options = options
        self.log = log
    }

    /// Compares one table or aggregate. Blocks.
    ///
    /// - Throws: `DriftError` if they cannot be compared, `PostgresError`, `LogError`.
    public func check(
        _ name: String, progress: RowComparison.Progress = { _, _ in }
    ) throws -> Outcome {
        let expected = try ExpectedRows(name, catalog, connection)
        return try check(expected, keeping: nil, progress: progress)
    }

    func check(
        _ expected: ExpectedRows, keeping kept: DifferingRows?, progress: RowComparison.Progress
    ) throws -> Outcome {
        let (name, shape) = (expected.name, expected.shape)
        return try readingFaults(of: name) {
            try connection.transaction(
                isolation: .repeatableRead, readOnly: !expected.needsTemporaryTable
            ) {
                let (head, log) = try start(name, isLocked: false)
                try lookUp(name, shape)
                let side = try expected.all(at: head.position, of: log, live: relation(name))
                let differences = try comparison(shape, log).compare(
                    side, TableRows(connection, from: relation(name), shape: shape),
                    keeping: kept, progress: progress)
                return Outcome(
                    name: name, columns: shape.columns.map(\.name),
                    keyColumns: shape.key.map { shape.columns[$0].name },
                    position: head.position, differences: differences)
            }
        }
    }

    func comparison(_ shape: RowLayout, _ log: any LogSource) -> RowComparison {
        RowComparison(
            shape, hashKey: RowHashKey(log.ledger), options: options.comparison)
    }

    func relation(_ name: String) -> String { SQL.identifier(options.schema, name) }

    /// Where a projection stands, and the log that it stands in. With `isLocked` it stays there
    /// until the end of the transaction.
    func start(_ name: String, isLocked: Bool) throws -> (head: TreeHead, log: any LogSource) {
        let rows = try connection.query(
            "SELECT ledger::text AS ledger, position, tree_size, root, shape"
                + " FROM daybook.checkpoints WHERE projection = $1"
                + (isLocked ? " FOR UPDATE" : ""),
            [.text(name)], format: .binary)
        guard let row = rows.first else {
            throw DriftError.unreadable("\(name) has not been built yet: see `daybook status`")
        }
        guard let head = TreeHead(reading: row) else {
            throw DriftError.contradiction("the checkpoint of \(name) is not readable")
        }
        let known = ProjectionShape.digest(of: name, in: catalog)
        if let shape = row.text("shape"), shape != known {
            throw DriftError.unreadable(
                "\(name) was built by another dictionary: `daybook rebuild \(name)` makes it anew")
        }
        let log = try log(head.position)
        guard head.ledger == log.ledger else {
            throw DriftError.contradiction(
                "the database holds tables of ledger \(head.ledger), this is \(log.ledger)")
        }
        do {
            try Checkpoints.check(head, of: name, source: log)
        } catch ProjectionFault.logContradicted(let reason) {
            throw DriftError.contradiction(reason)
        }
        return (head, log)
    }

    /// Says so if the table is not there, or not all of its columns.
    private func lookUp(_ name: String, _ shape: RowLayout) throws {
        let found = try connection.query(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1)"
                + " AND attnum > 0 AND NOT attisdropped", [.text(relation(name))])
        let names = Set(found.compactMap { $0.text(0) })
        let lacking = shape.columns.map(\.name).filter { !names.contains($0) }
        if lacking.isEmpty { return }
        let what =
            names.isEmpty ? "is not there" : "has no column \(lacking.joined(separator: ", "))"
        throw DriftError.unreadable(
            "the table \(relation(name)) \(what): `daybook rebuild \(name)` makes it anew")
    }

    /// What Postgres refuses for good is a fault of the table: a column of another type, say.
    func readingFaults<Value>(of name: String, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch let error as PostgresError {
            guard case .server(let refusal) = error, !error.isTransient else { throw error }
            throw DriftError.unreadable(
                "\(name) cannot be read as the dictionary has it: \(refusal)")
        }
    }
}
