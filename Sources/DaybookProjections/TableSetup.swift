import DaybookCatalog
import DaybookLog
import Postgres

/// Makes the tables of the dictionary and its aggregates, begins their checkpoints, and tells which
/// are to be built anew.
struct TableSetup {
    let connection: PostgresConnection
    let catalog: Catalog
    let schema: String
    let source: any LogSource

    /// A projection that is further behind the others than so many events is built beside them,
    /// so that they need not wait for it.
    private static let directEventCountMax: Int64 = 100_000

    /// How every projection stands, after what is missing was made. A table and its first
    /// checkpoint are made in one transaction, so a table without a checkpoint is somebody else's
    /// and left alone.
    ///
    /// - Parameter previous: what was known before the connection was lost, if there was one.
    func run(previous: [ProjectionStatus]) throws -> [ProjectionStatus] {
        let entries = try Checkpoints.load(connection, ledger: source.ledger)
        let furthest = entries.values.map(\.head.position).max() ?? 0
        let failed = Dictionary(
            uniqueKeysWithValues: previous.filter { $0.state == .failed }.map { ($0.name, $0) })
        return try ProjectionShape.names(of: catalog).map { name in
            guard let shape = ProjectionShape.digest(of: name, in: catalog) else {
                preconditionFailure("every projection of a catalog has a shape")
            }
            guard let entry = entries[name] else {
                return try begin(
                    name, shape, isBeside: furthest > TableSetup.directEventCountMax)
            }
            try Checkpoints.check(entry.head, of: name, source: source)
            if entry.shape == nil { try Checkpoints.adopt(connection, name, shape: shape) }
            var status = ProjectionStatus(name: name, position: entry.head.position)
            if entry.state == .failed, let known = failed[name] {
                status.state = .failed
                status.reason = known.reason
            } else if (entry.shape ?? shape) != shape {
                status.state = .building
            } else if entry.state == .paused {
                status.state = .paused
                status.reason = entry.reason
            }
            return status
        }
    }

    private func begin(
        _ name: String, _ shape: String, isBeside: Bool
    ) throws -> ProjectionStatus {
        var status = ProjectionStatus(name: name, position: 0)
        do {
            try refuseForeign(name)
            if isBeside && name != auditProjectionName {
                status.state = .building
                return status
            }
            try connection.transaction {
                try make(name)
                try Checkpoints.begin(
                    connection, name, at: .start(of: source.ledger), shape: shape)
            }
        } catch ProjectionFault.cannotApply(_, let reason) {
            status.state = .failed
            status.reason = "\(reason); then start the server again"
        }
        return status
    }

    /// A table that is there without a checkpoint is not ours.
    private func refuseForeign(_ name: String) throws {
        if name == auditProjectionName { return }
        let target = SQL.identifier(schema, name)
        let found = try connection.query("SELECT to_regclass($1) IS NOT NULL", [.text(target)])
        guard found[0].bool(0) == true else { return }
        throw ProjectionFault.cannotApply(
            projection: name,
            reason: "a table \(target) is there that Daybook did not make: rename or drop it")
    }

    private func make(_ name: String) throws {
        guard let ddl = catalog.ddl(ofProjection: name, schema: schema) else { return }
        let found = try connection.query(
            "SELECT to_regnamespace($1) IS NOT NULL", [.text(SQL.identifier(schema))])
        if found[0].bool(0) == false {
            try connection.execute("CREATE SCHEMA \(SQL.identifier(schema))")
        }
        for statement in [ddl.createTable] + ddl.keyStatements + ddl.commentStatements {
            try connection.execute(statement)
        }
    }
}

extension Catalog {
    /// The statements that make a table's or an aggregate's table; nil for the audit, whose tables
    /// are made by the migrations.
    func ddl(ofProjection name: String, schema: String) -> TableDDL? {
        if let table = table(named: name) { return table.ddl(schema: schema) }
        guard let aggregate = aggregate(named: name), let table = table(named: aggregate.table)
        else { return nil }
        return aggregate.ddl(of: table, schema: schema)
    }
}
