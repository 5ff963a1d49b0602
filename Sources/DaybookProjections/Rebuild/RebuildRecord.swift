import DaybookLog
import Postgres

/// A projection's row in `daybook.rebuilds`: how far its rebuild is, or what it replaced.
struct RebuildRecord {
    /// What is done next.
    enum Phase: String {
        /// Rows are copied, up to `head`.
        case filling
        /// Rows are there up to `head`; keys and indexes are missing.
        case keys
        /// Everything up to `head` is there, and what comes after is applied.
        case following
        /// It is live; the one before is in the schema of old tables.
        case swapped
    }

    let phase: Phase
    let shape: String
    /// What the new tables are made from.
    let source: String
    let head: TreeHead
    /// Where the projection stood that was swapped out, and what it was built by.
    let old: (head: TreeHead, shape: String)?

    static func load(
        _ connection: PostgresConnection, _ name: String
    ) throws -> RebuildRecord? {
        let rows = try connection.query(
            """
            SELECT ledger::text AS ledger, position, tree_size, root, shape, phase, source,
                   old_position, old_tree_size, old_root, old_shape
              FROM daybook.rebuilds WHERE projection = $1
            """, [.text(name)], format: .binary)
        guard let row = rows.first, let head = TreeHead(reading: row),
            let shape = row.text("shape"), let source = row.text("source"),
            let phase = row.text("phase").flatMap({ Phase(rawValue: $0) })
        else { return nil }
        var old: (TreeHead, String)?
        if let position = row.int64("old_position"), let size = row.int64("old_tree_size"),
            let root = row.bytes("old_root"), root.count == Digest.byteCount,
            let shape = row.text("old_shape")
        {
            let head = TreeHead(
                ledger: head.ledger, size: UInt64(size), position: position,
                root: root.withUnsafeBytes { Digest($0) })
            old = (head, shape)
        }
        return RebuildRecord(
            phase: phase, shape: shape, source: source, head: head, old: old)
    }

    /// Begins a rebuild whose filling ends at `end`. What the last one replaced is remembered: it
    /// can be undone until this one is swapped in.
    static func begin(
        _ connection: PostgresConnection, _ name: String, shape: String, source: String,
        end: TreeHead
    ) throws {
        _ = try connection.query(
            "DELETE FROM daybook.rebuild_pieces WHERE projection = $1", [.text(name)])
        _ = try connection.query(
            """
            INSERT INTO daybook.rebuilds
                   (projection, ledger, position, tree_size, root, shape, source, phase)
            VALUES ($1, $2::uuid, $3, $4, $5, $6, $7, 'filling')
            ON CONFLICT (projection) DO UPDATE
               SET ledger = excluded.ledger, position = excluded.position,
                   tree_size = excluded.tree_size, root = excluded.root, shape = excluded.shape,
                   source = excluded.source, phase = excluded.phase, started_at = now()
            """, [.text(name)] + end.parameters + [.text(shape), .text(source)])
    }

    /// Moves a rebuild on, to a phase and a head.
    static func move(
        _ connection: PostgresConnection, _ name: String, _ phase: Phase, to head: TreeHead
    ) throws {
        _ = try connection.query(
            """
            UPDATE daybook.rebuilds
               SET ledger = $2::uuid, position = $3, tree_size = $4, root = $5, phase = $6
             WHERE projection = $1
            """, [.text(name)] + head.parameters + [.text(phase.rawValue)])
    }

    /// Notes what was swapped in, at `head` and by `shape`, and what for.
    static func noteSwap(
        _ connection: PostgresConnection, _ name: String, head: TreeHead, shape: String,
        old: (head: TreeHead, shape: String)?
    ) throws {
        var parameters: [PostgresValue?] = [.text(name)] + head.parameters + [.text(shape)]
        if let old {
            parameters += [
                .int64(old.head.position), .int64(Int64(old.head.size)),
                .bytes(old.head.root.bytes), .text(old.shape),
            ]
        } else {
            parameters += [nil, nil, nil, nil]
        }
        _ = try connection.query(
            """
            UPDATE daybook.rebuilds
               SET ledger = $2::uuid, position = $3, tree_size = $4, root = $5, shape = $6,
                   phase = 'swapped', swapped_at = now(), old_position = $7::bigint,
                   old_tree_size = $8::bigint, old_root = $9::bytea, old_shape = $10::text
             WHERE projection = $1
            """, parameters)
    }

    /// Ends a rebuild that is not to be swapped in; what the one before replaced is remembered.
    static func abandon(_ connection: PostgresConnection, _ name: String) throws {
        for statement in [
            "DELETE FROM daybook.rebuild_pieces WHERE projection = $1",
            "DELETE FROM daybook.rebuilds WHERE projection = $1 AND old_position IS NULL",
            "UPDATE daybook.rebuilds SET phase = 'swapped' WHERE projection = $1",
        ] {
            _ = try connection.query(statement, [.text(name)])
        }
    }
}
