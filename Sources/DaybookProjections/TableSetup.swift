import DaybookCatalog
import DaybookLog
import Postgres

/// Makes the tables of the dictionary and begins their checkpoints.
struct TableSetup {
    let connection: PostgresConnection
    let catalog: Catalog
    let schema: String
    let ledger: LedgerID

    /// The projections' checkpoints, after every table of the dictionary was made that is missing.
    ///
    /// A table and its first checkpoint are made in one transaction, so that a table without a
    /// checkpoint is somebody else's and left alone.
    func run() throws -> [String: TreeHead] {
        var checkpoints = try Checkpoints.load(connection, ledger: ledger)
        let start = TreeHead(
            ledger: ledger, size: 0, position: 0, root: MerkleFrontier().root)
        if checkpoints[auditProjectionName] == nil {
            try Checkpoints.note(
                connection, ProjectionStatus(name: auditProjectionName, position: 0), head: start)
            checkpoints[auditProjectionName] = start
        }
        for table in catalog.tables where checkpoints[table.name] == nil {
            try connection.transaction {
                try make(table)
                try Checkpoints.note(
                    connection, ProjectionStatus(name: table.name, position: 0), head: start)
            }
            checkpoints[table.name] = start
        }
        return checkpoints
    }

    private func make(_ table: Table) throws {
        let name = SQL.identifier(schema, table.name)
        let found = try connection.query("SELECT to_regclass($1) IS NOT NULL", [.text(name)])
        if found[0].bool(0) == true {
            throw ProjectionFault.cannotApply(
                projection: table.name,
                reason: "a table \(name) is there that Daybook did not make: rename or drop it, "
                    + "then start again")
        }
        try connection.execute("CREATE SCHEMA IF NOT EXISTS \(SQL.identifier(schema))")
        let ddl = table.ddl(schema: schema)
        for statement in [ddl.createTable] + ddl.keyStatements + ddl.commentStatements {
            try connection.execute(statement)
        }
    }
}
