import DaybookCatalog
import Postgres

/// The tables of one projection, and the statements by which they are made beside the live ones.
struct ProjectionTables {
    /// Where tables are built.
    static let buildSchema = "daybook_build"
    /// Where tables are kept that were live before.
    static let oldSchema = "daybook_old"

    /// The projection's name.
    let name: String
    /// The schema of the live tables.
    let schema: String
    /// The tables' names, the same in every schema.
    let tables: [String]
    private let ddl: TableDDL?
    /// Whether rows are brought up to date by key, so that the key comes before the rows.
    private let isKeyedFirst: Bool

    /// - Throws: `RebuildError.unknownProjection` if the catalog has none of that name.
    init(_ name: String, catalog: Catalog, schema: String) throws(RebuildError) {
        self.name = name
        if name == auditProjectionName {
            self.schema = "daybook"
            tables = AuditRows.tables
            ddl = nil
            isKeyedFirst = false
            return
        }
        guard let ddl = catalog.ddl(ofProjection: name, schema: ProjectionTables.buildSchema)
        else {
            throw .unknownProjection(name, known: ProjectionShape.names(of: catalog))
        }
        self.schema = schema
        tables = [name]
        self.ddl = ddl
        isKeyedFirst = catalog.aggregate(named: name) != nil
    }

    /// Where rows go while the tables are built.
    static let destination = ProjectionStep.Destination(
        schema: buildSchema, auditSchema: buildSchema)

    /// A table's name with its schema, quoted.
    func live(_ table: String) -> String { SQL.identifier(schema, table) }
    func build(_ table: String) -> String { SQL.identifier(ProjectionTables.buildSchema, table) }
    func old(_ table: String) -> String { SQL.identifier(ProjectionTables.oldSchema, table) }

    /// Makes the tables anew in the build schema, without what slows filling down: keys, and an
    /// autovacuum, which would also keep the swap from its lock.
    func create(_ connection: PostgresConnection) throws {
        try drop(connection)
        if let ddl {
            try connection.execute(ddl.createTable)
            if isKeyedFirst { for key in ddl.keyStatements { try connection.execute(key) } }
            for comment in ddl.commentStatements { try connection.execute(comment) }
        } else {
            for table in tables {
                try connection.execute(
                    "CREATE TABLE \(build(table)) (LIKE \(live(table)) INCLUDING DEFAULTS"
                        + " INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMMENTS)")
            }
        }
        for table in tables {
            try connection.execute("ALTER TABLE \(build(table)) SET (autovacuum_enabled = false)")
        }
    }

    /// Drops what is in the build schema.
    func drop(_ connection: PostgresConnection) throws {
        for table in tables { try connection.execute("DROP TABLE IF EXISTS \(build(table))") }
    }

    /// Makes keys and indexes inside the caller's transaction, those too that somebody has added to
    /// the live tables; gives a note for each of these that does not fit the new table.
    func index(_ connection: PostgresConnection) throws -> [String] {
        if let ddl, !isKeyedFirst {
            for key in ddl.keyStatements { try connection.execute(key) }
        }
        var notes: [String] = []
        for table in tables {
            for statement in try addedIndexes(of: table, connection) {
                try connection.execute("SAVEPOINT added")
                do {
                    try connection.execute(statement.sql)
                } catch {
                    guard case .server = error, !error.isTransient else { throw error }
                    try connection.execute("ROLLBACK TO SAVEPOINT added")
                    notes.append("\(statement.name) was not carried over: \(error)")
                }
            }
            try connection.execute("ANALYZE \(build(table))")
        }
        if name == auditProjectionName {
            try AuditRows.updateAllStates(connection, in: ProjectionTables.buildSchema)
        }
        return notes
    }

    /// Statements for the live table's indexes and constraints that the new one has not.
    private func addedIndexes(
        of table: String, _ connection: PostgresConnection
    ) throws -> [(name: String, sql: String)] {
        // Names are printed with their schema where that is not on the path.
        try connection.execute("SET search_path = pg_catalog")
        defer { try? connection.execute("RESET search_path") }
        let rows = try connection.query(
            """
            SELECT c.relname, pg_get_indexdef(i.indexrelid) AS definition, o.conname,
                   pg_get_constraintdef(o.oid) AS rule
              FROM pg_index i
              JOIN pg_class c ON c.oid = i.indexrelid
              LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.conrelid = i.indrelid
             WHERE i.indrelid = to_regclass($1)
               AND NOT EXISTS (
                   SELECT FROM pg_constraint n
                    WHERE n.conrelid = to_regclass($2)
                      AND pg_get_constraintdef(n.oid) = pg_get_constraintdef(o.oid))
             ORDER BY 1
            """, [.text(live(table)), .text(build(table))])
        let names = try connection.query(
            "SELECT format('%I.%I', $1::text, $3::text), format('%I.%I', $2::text, $3::text)",
            [.text(schema), .text(ProjectionTables.buildSchema), .text(table)])[0]
        guard let from = names.text(0), let to = names.text(1) else { return [] }
        return rows.compactMap { row in
            guard let name = row.text("relname") else { return nil }
            if let constraint = row.text("conname"), let rule = row.text("rule") {
                let added = SQL.identifier(constraint)
                return (name, "ALTER TABLE \(to) ADD CONSTRAINT \(added) \(rule)")
            }
            return row.text("definition").map { definition in
                (name, definition.replacing(" ON \(from) USING ", with: " ON \(to) USING "))
            }
        }
    }

    /// Why the live tables cannot be swapped out without somebody losing something.
    func obstacle(_ connection: PostgresConnection) throws -> String? {
        for table in tables {
            let found = try connection.query(
                """
                SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass
                  FROM pg_constraint WHERE confrelid = to_regclass($1) AND contype = 'f'
                UNION ALL
                SELECT 'the trigger ' || tgname FROM pg_trigger
                 WHERE tgrelid = to_regclass($1) AND NOT tgisinternal
                UNION ALL
                SELECT 'the policy ' || polname FROM pg_policy WHERE polrelid = to_regclass($1)
                UNION ALL
                SELECT 'the materialized view ' || c.oid::regclass
                  FROM pg_depend d
                  JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
                  JOIN pg_class c ON c.oid = w.ev_class AND c.relkind = 'm'
                 WHERE d.refobjid = to_regclass($1)
                 LIMIT 1
                """, [.text(live(table))])
            if let what = found.first?.text(0) {
                return "\(what) hangs on \(live(table)) and would stay with the old table: "
                    + "drop it, rebuild, and make it again"
            }
        }
        return nil
    }
}
