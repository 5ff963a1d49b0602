import DaybookCatalog
import DaybookLog
import Postgres

/// Compares the tables in Postgres with the log that they are made from.
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

    let connection: PostgresConnection
    let catalog: Catalog
    let options: Options
    /// Gives the log once it shows all below a position.
    let log: (Position) throws -> any LogSource

    /// A check by a connection of its own. `log` gives the log once all below a position can be read
    /// from it.
    public init(
        _ connection: PostgresConnection, catalog: Catalog, options: Options = Options(),
        log: @escaping (Position) throws -> any LogSource
    ) {
        self.connection = connection
        self.catalog = catalog
        self.options = options
        self.log = log
    }

    /// What a check of one table found.
    public struct Outcome: Sendable {
        /// The table's name.
        public let table: String
        /// The columns of the rows that were compared, in order.
        public let columns: [String]
        /// The columns of the key, in key order.
        public let keyColumns: [String]
        /// Every event below it is in both.
        public let position: Position
        /// What they do not have in common.
        public var differences: RowDifferences
    }

    /// Compares one table.
    ///
    /// - Throws: `DriftError` if they cannot be compared, `PostgresError`, `LogError`.
    public func check(
        _ table: Table, progress: RowComparison.Progress = { _, _ in }
    ) throws -> Outcome {
        try check(table, keeping: nil, progress: progress)
    }

    func check(
        _ table: Table, keeping kept: DifferingRows?, progress: RowComparison.Progress
    ) throws -> Outcome {
        let shape = RowShape(table)
        return try connection.transaction(isolation: .repeatableRead, readOnly: true) {
            let head = try head(of: table.name)
            let log = try log(head.position)
            try DriftCheck.check(head, of: table.name, against: log)
            try lookUp(table, shape)
            let comparison = RowComparison(
                shape, hashKey: hashKey(log.ledger), options: options.comparison)
            let differences = try comparison.compare(
                LogRows(
                    log, catalog: catalog, table: table.name, shape: shape,
                    positions: 0..<head.position),
                TableRows(connection, from: relation(table), shape: shape), keeping: kept,
                progress: progress)
            return Outcome(
                table: table.name, columns: shape.columns.map(\.name),
                keyColumns: shape.key.map { shape.columns[$0].name }, position: head.position,
                differences: differences)
        }
    }

    /// The ledger's own: digests of the same rows at the same position are the same every time, and
    /// in every copy of the database.
    func hashKey(_ ledger: LedgerID) -> RowHashKey {
        RowHashKey(low: ledger.low, high: ledger.high)
    }

    func relation(_ table: Table) -> String { SQL.identifier(options.schema, table.name) }

    /// The table's checkpoint; locked until the end of the transaction if it is to stay.
    func head(of table: String, isLocked: Bool = false) throws -> TreeHead {
        let rows = try connection.query(
            "SELECT ledger::text, position, tree_size, root FROM daybook.checkpoints"
                + " WHERE projection = $1" + (isLocked ? " FOR UPDATE" : ""),
            [.text(table)], format: .binary)
        guard let row = rows.first else {
            throw DriftError.unreadable(
                "no checkpoint says how far \(table) is; the server makes it when it starts")
        }
        guard let ledger = row.text(0).flatMap({ LedgerID($0) }), let position = row.int64(1),
            let size = row.int64(2), let root = row.bytes(3), root.count == Digest.byteCount,
            position >= 0, size >= 0
        else { throw DriftError.contradiction("the checkpoint of \(table) is not readable") }
        return TreeHead(
            ledger: ledger, size: UInt64(size), position: position,
            root: root.withUnsafeBytes { Digest($0) })
    }

    /// Whether the database is at a place of the log's own history.
    static func check(_ head: TreeHead, of table: String, against log: any LogSource) throws {
        let durable = log.durable
        guard head.ledger == durable.ledger else {
            throw DriftError.contradiction(
                "the database holds tables of ledger \(head.ledger), this is \(durable.ledger)")
        }
        guard head.position <= durable.position else {
            throw DriftError.contradiction(
                "\(table) is at position \(head.position), the log ends at \(durable.position)")
        }
        let known: TreeHead? =
            switch head.position {
            case 0: .start(of: durable.ledger)
            case durable.position: durable
            default: try log.blocks(from: head.position - 1, byteLimit: 1).first?.head
            }
        guard known == head else {
            throw DriftError.contradiction(
                "\(table) followed another history up to position \(head.position)")
        }
    }

    /// Says so if the table is not there, or not all of its columns.
    private func lookUp(_ table: Table, _ shape: RowShape) throws {
        let found = try connection.query(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1)"
                + " AND attnum > 0 AND NOT attisdropped", [.text(relation(table))])
        let names = Set(found.compactMap { $0.text(0) })
        let lacking = shape.columns.map(\.name).filter { !names.contains($0) }
        if lacking.isEmpty { return }
        let what =
            names.isEmpty ? "is not there" : "has no column \(lacking.joined(separator: ", "))"
        throw DriftError.unreadable(
            "the table \(relation(table)) \(what); `daybook rebuild \(table.name)` makes it anew")
    }
}
