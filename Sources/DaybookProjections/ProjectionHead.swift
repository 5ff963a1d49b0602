import DaybookCatalog
import DaybookLog
import Postgres

/// Where a projection stands in the ledger's history, as its checkpoint says.
public struct ProjectionHead: Sendable {
    /// Everything before it is applied, nothing from it on.
    public let head: TreeHead
    /// Running, paused or failed.
    public let state: ProjectionStatus.State
    /// Whether its tables are what the catalog has; they are made anew otherwise.
    public let isCurrent: Bool

    /// The ledger whose projections a database has; nil if it has none.
    public static func ledger(_ connection: PostgresConnection) throws -> LedgerID? {
        let there = try connection.query("SELECT to_regclass('daybook.checkpoints') IS NOT NULL")
        return there[0].bool(0) == true ? try Checkpoints.ledger(connection) : nil
    }

    /// All projections of the catalog that have begun, by name.
    ///
    /// - Throws: `RebuildError.contradiction` if a checkpoint is of another ledger than `ledger`;
    ///   nil takes the ledger of the checkpoints, which must be one.
    public static func all(
        _ connection: PostgresConnection, catalog: Catalog, ledger: LedgerID?
    ) throws -> [String: ProjectionHead] {
        do {
            guard let ledger = try ledger ?? Checkpoints.ledger(connection) else { return [:] }
            var heads: [String: ProjectionHead] = [:]
            for (name, entry) in try Checkpoints.load(connection, ledger: ledger) {
                guard let shape = ProjectionShape.digest(of: name, in: catalog) else { continue }
                heads[name] = ProjectionHead(
                    head: entry.head, state: entry.state,
                    isCurrent: (entry.shape ?? shape) == shape)
            }
            return heads
        } catch ProjectionFault.contradiction(let reason) {
            throw RebuildError.contradiction(reason)
        }
    }
}
