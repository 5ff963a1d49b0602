import DaybookLog
import Postgres

/// What an operator does with projections: it stands in their checkpoints, where the projector
/// finds it within a second, in whatever process it runs.
public struct ProjectionControl {
    private let connection: PostgresConnection

    /// Control over the projections of the database that `connection` leads to.
    public init(_ connection: PostgresConnection) {
        self.connection = connection
    }

    /// Every projection that has begun, in order of name.
    ///
    /// - Throws: `RebuildError.contradiction` if they are of another ledger than `log`.
    public func list(_ log: any LogSource) throws -> [ProjectionStatus] {
        do {
            return try Checkpoints.load(connection, ledger: log.ledger).map { name, entry in
                ProjectionStatus(
                    name: name, position: entry.head.position, state: entry.state,
                    reason: entry.reason)
            }.sorted { $0.name < $1.name }
        } catch ProjectionFault.contradiction(let reason) {
            throw RebuildError.contradiction(reason)
        }
    }

    /// Lets a projection stand still.
    ///
    /// - Throws: `RebuildError.unknownProjection`.
    public func pause(_ name: String) throws {
        try set(name, .paused, reason: "paused by an operator")
    }

    /// Lets a projection go on that was paused or has failed.
    ///
    /// - Throws: `RebuildError.unknownProjection`.
    public func resume(_ name: String) throws {
        try set(name, .running, reason: nil)
    }

    private func set(
        _ name: String, _ state: ProjectionStatus.State, reason: String?
    ) throws {
        let changed = try connection.query(
            "UPDATE daybook.checkpoints SET state = $2, reason = $3, updated_at = now()"
                + " WHERE projection = $1",
            [.text(name), .text(state.rawValue), reason.map { .text($0) }])
        guard changed.affectedRowCount == 1 else {
            let rows = try connection.query(
                "SELECT projection FROM daybook.checkpoints ORDER BY 1")
            throw RebuildError.unknownProjection(name, known: rows.compactMap { $0.text(0) })
        }
    }
}
