import DaybookLog
import Postgres

/// The projections' checkpoints in Postgres: (ledger, position, tree size, root), one a projection,
/// moved in the transaction that applies the events.
enum Checkpoints {
    /// A projection's row.
    struct Entry {
        /// Everything before it is applied.
        let head: TreeHead
        /// What the projection was built by; nil if an older program built it.
        let shape: String?
        let state: ProjectionStatus.State
        let reason: String?
    }

    /// All checkpoints by projection.
    ///
    /// - Throws: `ProjectionFault.contradiction` if one is another ledger's, or cannot be.
    static func load(
        _ connection: PostgresConnection, ledger: LedgerID
    ) throws -> [String: Entry] {
        let rows = try connection.query(
            "SELECT projection, ledger::text AS ledger, position, tree_size, root, shape, state,"
                + " reason FROM daybook.checkpoints", format: .binary)
        var entries: [String: Entry] = [:]
        for row in rows {
            guard let name = row.text("projection"), let head = TreeHead(reading: row) else {
                throw ProjectionFault.contradiction("a checkpoint in Postgres is not readable")
            }
            guard head.ledger == ledger else {
                throw ProjectionFault.contradiction(
                    "the database holds projections of ledger \(head.ledger), this is \(ledger)")
            }
            let state = row.text("state").flatMap { ProjectionStatus.State(rawValue: $0) }
            entries[name] = Entry(
                head: head, shape: row.text("shape"), state: state ?? .running,
                reason: row.text("reason"))
        }
        return entries
    }

    /// The ledger that some checkpoint is of; nil if there is none.
    static func ledger(_ connection: PostgresConnection) throws -> LedgerID? {
        let rows = try connection.query("SELECT ledger::text FROM daybook.checkpoints LIMIT 1")
        return rows.first?.text(0).flatMap { LedgerID($0) }
    }

    /// Begins a projection's checkpoint at `head`, or sets it there; one that failed runs again,
    /// one that is paused stays so. With `holdReason` it is paused for that reason.
    static func begin(
        _ connection: PostgresConnection, _ name: String, at head: TreeHead, shape: String,
        holdReason: String? = nil
    ) throws {
        _ = try connection.query(
            """
            INSERT INTO daybook.checkpoints AS c
                   (projection, ledger, position, tree_size, root, shape, state, reason)
            VALUES ($1, $2::uuid, $3, $4, $5, $6,
                    CASE WHEN $7::text IS NULL THEN 'running' ELSE 'paused' END, $7)
            ON CONFLICT (projection) DO UPDATE
               SET ledger = excluded.ledger, position = excluded.position,
                   tree_size = excluded.tree_size, root = excluded.root, shape = excluded.shape,
                   state = CASE c.state WHEN 'paused' THEN c.state ELSE excluded.state END,
                   reason = coalesce(excluded.reason, CASE c.state WHEN 'paused' THEN c.reason END),
                   updated_at = now()
            """, [.text(name)] + head.parameters + [.text(shape), holdReason.map { .text($0) }])
    }

    /// Keeps what a projection was built by, where an older program did not.
    static func adopt(_ connection: PostgresConnection, _ name: String, shape: String) throws {
        _ = try connection.query(
            "UPDATE daybook.checkpoints SET shape = $2 WHERE projection = $1 AND shape IS NULL",
            [.text(name), .text(shape)])
    }

    /// Moves the checkpoints of `projections` from where they were read to `head`.
    ///
    /// It comes first in a transaction: the rows stay locked until the end, so that of two
    /// transactions over the same events the later one finds the checkpoint moved.
    ///
    /// - Throws: `ProjectionFault.checkpointMoved` if one is not where it was read, or is paused.
    static func move(
        _ connection: PostgresConnection, _ projections: [(name: String, from: Position)],
        to head: TreeHead
    ) throws {
        precondition(projections.allSatisfy { $0.from < head.position }, "checkpoints move forward")
        let values = projections.indices.map { "($\($0 * 2 + 5), $\($0 * 2 + 6)::bigint)" }
        var parameters = head.parameters
        for projection in projections {
            parameters.append(.text(projection.name))
            parameters.append(.int64(projection.from))
        }
        let moved = try connection.query(
            """
            UPDATE daybook.checkpoints AS c
               SET position = $2, tree_size = $3, root = $4, state = 'running', reason = NULL,
                   updated_at = now()
              FROM (VALUES \(values.joined(separator: ", "))) AS v (name, position)
             WHERE c.projection = v.name AND c.position = v.position AND c.ledger = $1::uuid
               AND c.state <> 'paused'
            """, parameters)
        guard moved.affectedRowCount == projections.count else {
            throw ProjectionFault.checkpointMoved
        }
    }

    /// Writes down beside its checkpoint why a projection does not run.
    static func note(_ connection: PostgresConnection, _ status: ProjectionStatus) throws {
        _ = try connection.query(
            "UPDATE daybook.checkpoints SET state = $2, reason = $3, updated_at = now()"
                + " WHERE projection = $1",
            [
                .text(status.name), .text(status.state.rawValue), status.reason.map { .text($0) },
            ])
    }

    /// Whether a checkpoint lies on the log's own history.
    ///
    /// - Throws: `ProjectionFault.logContradicted` if it is ahead of the log, or the log had
    ///   another past at that position.
    static func check(_ checkpoint: TreeHead, of name: String, source: any LogSource) throws {
        let durable = source.durable
        guard checkpoint.position <= durable.position else {
            throw ProjectionFault.logContradicted(
                "projection \(name) in Postgres is at position \(checkpoint.position), the log ends"
                    + " at \(durable.position): the log lost acknowledged data, or is an old copy")
        }
        guard try source.place(of: checkpoint.position).head == checkpoint else {
            throw ProjectionFault.logContradicted(
                "projection \(name) in Postgres followed another history up to position"
                    + " \(checkpoint.position): log and database are not of one past")
        }
    }
}

extension TreeHead {
    /// The head that a row of `checkpoints` or `rebuilds` holds; nil if it is none.
    init?(reading row: PostgresRow) {
        guard let text = row.text("ledger"), let ledger = LedgerID(text),
            let position = row.int64("position"), position >= 0,
            let size = row.int64("tree_size"), size >= 0, let root = row.bytes("root"),
            root.count == Digest.byteCount
        else { return nil }
        self.init(
            ledger: ledger, size: UInt64(size), position: position,
            root: root.withUnsafeBytes { Digest($0) })
    }

    /// Ledger, position, size and root, in the order of the columns.
    var parameters: [PostgresValue?] {
        [
            .text(ledger.description), .int64(position), .int64(Int64(size)), .bytes(root.bytes),
        ]
    }
}
