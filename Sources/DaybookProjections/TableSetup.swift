import DaybookCatalog
import DaybookLog
import Postgres

/// Makes the tables of the dictionary and begins their checkpoints.
struct TableSetup {
    let connection: PostgresConnection
    let catalog: Catalog
    let schema: String
    let ledger: LedgerID

    /// What there is after the setup.
    struct Outcome {
        /// The checkpoints of all projections that can run.
        var checkpoints: [String: TreeHead]
        /// Why a projection cannot begin, by name.
        var faults: [String: String] = [:]
    }

    /// Makes what is missing. A table and its first checkpoint are made in one transaction, so a
    /// table without a checkpoint is somebody else's and left alone.
    func run() throws -> Outcome {
        var outcome = Outcome(checkpoints: try Checkpoints.load(connection, ledger: ledger))
        let start = TreeHead.start(of: ledger)
        if outcome.checkpoints[auditProjectionName] == nil {
            try Checkpoints.begin(connection, auditProjectionName, at: start)
            outcome.checkpoints[auditProjectionName] = start
        }
        for table in catalog.tables where outcome.checkpoints[table.name] == nil {
            do {
                try connection.transaction {
                    try make(table)
                    try Checkpoints.begin(connection, table.name, at: start)
                }
                outcome.checkpoints[table.name] = start
            } catch ProjectionFault.cannotApply(let name, let reason) {
                outcome.faults[name] = reason
            }
        }
        return outcome
    }

    private func make(_ table: Table) throws {
        let name = SQL.identifier(schema, table.name)
        let found = try connection.query(
            "SELECT to_regclass($1) IS NOT NULL, to_regnamespace($2) IS NOT NULL",
            [.text(name), .text(SQL.identifier(schema))])
        if found[0].bool(0) == true {
            throw ProjectionFault.cannotApply(
                projection: table.name,
                reason: "a table \(name) is there that Daybook did not make: rename or drop it")
        }
        if found[0].bool(1) == false {
            try connection.execute("CREATE SCHEMA \(SQL.identifier(schema))")
        }
        let ddl = table.ddl(schema: schema)
        for statement in [ddl.createTable] + ddl.keyStatements + ddl.commentStatements {
            try connection.execute(statement)
        }
    }
}
