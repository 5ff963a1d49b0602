import DaybookLog
import Postgres

/// The projections' checkpoints in Postgres: (ledger, position, tree size, root), one a projection,
/// moved in the transaction that applies the events.
enum Checkpoints {
    /// All checkpoints by projection.
    static func load(
        _ connection: PostgresConnection, ledger: LedgerID
    ) throws -> [String: TreeHead] {
        let rows = try connection.query(
            "SELECT projection, replace(ledger::text, '-', '') AS ledger, position, tree_size,"
                + " root FROM daybook.checkpoints", format: .binary)
        var checkpoints: [String: TreeHead] = [:]
        for row in rows {
            guard let name = row.text("projection"), let text = row.text("ledger"),
                let found = LedgerID(text), let position = row.int64("position"),
                let size = row.int64("tree_size"), let root = row.bytes("root"),
                root.count == Digest.byteCount
            else { throw ProjectionFault.contradiction("a checkpoint in Postgres is not readable") }
            guard found == ledger else {
                throw ProjectionFault.contradiction(
                    "the database holds projections of ledger \(found), this is \(ledger)")
            }
            checkpoints[name] = TreeHead(
                ledger: found, size: UInt64(size), position: position,
                root: root.withUnsafeBytes { Digest($0) })
        }
        return checkpoints
    }

    /// Moves the checkpoints of `projections` to `head`.
    ///
    /// - Throws: `ProjectionFault.contradiction` if one is not where it was read: somebody else
    ///   projects into this database.
    static func move(
        _ connection: PostgresConnection, _ projections: [(name: String, from: Position)],
        to head: TreeHead
    ) throws {
        precondition(projections.allSatisfy { $0.from <= head.position }, "checkpoints move forward")
        let values = projections.indices.map { "($\($0 * 2 + 5), $\($0 * 2 + 6)::bigint)" }
        var parameters: [PostgresValue?] = [
            .text(head.ledger.description), .int64(head.position), .int64(Int64(head.size)),
            .bytes(head.root.bytes),
        ]
        for projection in projections {
            parameters.append(.text(projection.name))
            parameters.append(.int64(projection.from))
        }
        let moved = try connection.query(
            """
            UPDATE daybook.checkpoints AS c
               SET position = $2, tree_size = $3, root = $4, updated_at = now()
              FROM (VALUES \(values.joined(separator: ", "))) AS v (name, position)
             WHERE c.projection = v.name AND c.position = v.position AND c.ledger = $1::uuid
            """, parameters)
        guard moved.affectedRowCount == projections.count else {
            throw ProjectionFault.contradiction(
                "another process moved a checkpoint: two servers project into one database")
        }
    }

    /// Writes down that a projection runs from `head` on, or why it does not run.
    static func note(
        _ connection: PostgresConnection, _ status: ProjectionStatus, head: TreeHead
    ) throws {
        _ = try connection.query(
            """
            INSERT INTO daybook.checkpoints
                (projection, ledger, position, tree_size, root, state, reason)
            VALUES ($1, $2::uuid, $3, $4, $5, $6, $7)
            ON CONFLICT (projection) DO UPDATE
               SET state = excluded.state, reason = excluded.reason, updated_at = now()
            """,
            [
                .text(status.name), .text(head.ledger.description), .int64(head.position),
                .int64(Int64(head.size)), .bytes(head.root.bytes), .text(status.state.rawValue),
                status.reason.map { .text($0) },
            ])
    }

    /// Whether a checkpoint lies on the log's own history.
    ///
    /// - Throws: `ProjectionFault.contradiction` if it is ahead of the log or has another root.
    static func check(_ checkpoint: TreeHead, of name: String, engine: any LogEngine) throws {
        let durable = engine.durable
        guard checkpoint.position <= durable.position else {
            throw ProjectionFault.contradiction(
                "projection \(name) in Postgres is at position \(checkpoint.position), the log ends"
                    + " at \(durable.position): the log lost acknowledged data")
        }
        if checkpoint.position == 0 { return }
        let known: TreeHead?
        if checkpoint.position == durable.position {
            known = durable
        } else {
            known = try engine.blocks(from: checkpoint.position - 1, byteLimit: 1).first?.head
        }
        guard let known, known.position == checkpoint.position, known.root == checkpoint.root else {
            throw ProjectionFault.contradiction(
                "projection \(name) in Postgres followed another history up to position"
                    + " \(checkpoint.position): log and database are not of one past")
        }
    }
}
