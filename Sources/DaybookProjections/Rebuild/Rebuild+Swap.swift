import DaybookLog
import Foundation
import Postgres

/// Swapping: the projector waits for a checkpoint's row, readers for a table's name, both shortly.
extension Rebuild {
    /// Waits for readers whose transaction is older than the new tables' rows: to them these would
    /// look empty. After the patience is over that is noted, and the swap goes on.
    func waitForOldReaders(fence: String, _ connection: PostgresConnection) throws {
        let deadline = ContinuousClock.now + .seconds(options.patienceSeconds)
        while true {
            let old =
                try connection.query(
                    """
                    SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()
                       AND backend_type = 'client backend'
                       AND backend_xmin IS NOT NULL AND age(backend_xmin) > age($1::xid)
                    """, [.text(fence)])[0].int64(0) ?? 0
            if old == 0 { return }
            if isStopping() { throw RebuildError.stopped }
            if ContinuousClock.now > deadline {
                report.notes.append(
                    "\(old) transactions that began before the rebuild were still open: what they "
                        + "read after the swap looks empty to them until they end")
                return
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    /// Makes the new tables of all rebuilds the live ones, in one transaction: what came since is
    /// applied, and the tables are renamed. Tries again while readers are in the way.
    ///
    /// - Throws: as `run`; then none of them is live.
    public static func swapIn(_ rebuilds: [Rebuild]) throws {
        for rebuild in rebuilds { try rebuild.translatingFaults { try rebuild.prepareSwap() } }
        guard let first = rebuilds.first, let connection = first.built?.connection else { return }
        let start = ContinuousClock.now
        let heads = rebuilds.map { $0.built?.head }
        try first.translatingFaults {
            try first.repeatedly(connection, tables: rebuilds.map(\.tables)) {
                for (rebuild, head) in zip(rebuilds, heads) {
                    if let head { rebuild.built?.head = head }
                }
                try lockCheckpoints(of: rebuilds.map(\.name), connection)
                for rebuild in rebuilds where try !rebuild.swap(connection) { return false }
                return true
            }
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        for rebuild in rebuilds {
            rebuild.report.seconds[.swapping, default: 0] += seconds / Double(rebuilds.count)
            rebuild.report.position = rebuild.built?.head.position ?? 0
            rebuild.report.isSwapped = true
            rebuild.built = nil
        }
    }

    /// Comes near once more, and waits for those who would not see the new rows.
    private func prepareSwap() throws {
        guard var ready = built else { preconditionFailure("tables are built before a swap") }
        try timed(.following) { try approach(&ready.head, ready.connection) }
        built = ready
        say(.swapping, ready.head.position)
        try timed(.swapping) { try waitForOldReaders(fence: ready.fence, ready.connection) }
    }

    /// In one order, so that two who lock several do not wait for each other.
    private static func lockCheckpoints(
        of names: [String], _ connection: PostgresConnection
    ) throws {
        for name in names.sorted() {
            _ = try connection.query(
                "SELECT FROM daybook.checkpoints WHERE projection = $1 FOR UPDATE", [.text(name)])
        }
    }

    /// Applies the rest and swaps, inside the caller's transaction; false if the log does not show
    /// yet what the live tables have.
    private func swap(_ connection: PostgresConnection) throws -> Bool {
        guard var head = built?.head else { preconditionFailure("tables are built before a swap") }
        let live = try lockedCheckpoint(connection)
        let log = try source()
        try refuseForeign(live, connection)
        if options.target == nil, let live, live.head.position > head.position,
            live.head.position != aheadPosition
        {
            guard live.head.position <= log.durable.position else { return false }
            try follow(&head, to: live.head.position, log, connection) { try $0() }
        }
        try TableSwap(connection: connection, tables: tables)
            .run(from: ProjectionTables.buildSchema)
        try Checkpoints.begin(
            connection, name, at: head, shape: shape, holdReason: options.holdReason)
        try RebuildRecord.noteSwap(
            connection, name, head: head, shape: shape,
            old: live.map { ($0.head, $0.shape ?? shape) })
        _ = try connection.query(
            "DELETE FROM daybook.rebuild_pieces WHERE projection = $1", [.text(name)])
        built?.head = head
        return true
    }

    /// A table that is there without a checkpoint is not ours, and is not swapped away.
    private func refuseForeign(
        _ live: Checkpoints.Entry?, _ connection: PostgresConnection
    ) throws {
        guard live == nil, try exists(tables.live(tables.tables[0]), connection) else { return }
        throw RebuildError.obstacle(
            "a table \(tables.live(tables.tables[0])) is there that Daybook did not make: rename "
                + "or drop it")
    }

    /// The live projection's checkpoint, which nobody moves until the transaction ends.
    func lockedCheckpoint(_ connection: PostgresConnection) throws -> Checkpoints.Entry? {
        _ = try connection.query(
            "SELECT FROM daybook.checkpoints WHERE projection = $1 FOR UPDATE", [.text(name)])
        return try Checkpoints.load(connection, ledger: try source().ledger)[name]
    }

    /// Runs `body` in a transaction until it says that it is done. Readers of `tables` are not kept
    /// waiting longer than `lockTimeoutMilliseconds` at a time, and pass between two tries.
    func repeatedly(
        _ connection: PostgresConnection, tables: [ProjectionTables], _ body: () throws -> Bool
    ) throws {
        struct NotYet: Error {}
        let deadline = ContinuousClock.now + .seconds(options.patienceSeconds)
        while true {
            do {
                return try connection.transaction {
                    try connection.execute("SET LOCAL synchronous_commit = on")
                    try connection.execute(
                        "SET LOCAL lock_timeout = \(Rebuild.lockTimeoutMilliseconds)")
                    if try !body() { throw NotYet() }
                }
            } catch is NotYet {
            } catch let error as PostgresError {
                guard case .server(let refusal) = error,
                    ["55P03", "40P01"].contains(refusal.sqlState)
                else { throw error }
            }
            if isStopping() { throw RebuildError.stopped }
            let names = tables.flatMap { tables in tables.tables.map { tables.live($0) } }
            endAutovacuum(of: names, connection)
            guard ContinuousClock.now < deadline else {
                throw RebuildError.readersInTheWay(
                    seconds: Int(options.patienceSeconds), who: try readers(of: names, connection))
            }
            Thread.sleep(forTimeInterval: Double.random(in: 0.05...0.3))
        }
    }

    /// Ends an autovacuum of the live tables, which would do so by itself, but only for who waits
    /// longer than we let readers wait. Without the right to it, it is waited for.
    private func endAutovacuum(of tables: [String], _ connection: PostgresConnection) {
        for table in tables {
            _ = try? connection.query(
                """
                SELECT pg_cancel_backend(a.pid)
                  FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                 WHERE l.relation = to_regclass($1) AND a.backend_type = 'autovacuum worker'
                """, [.text(table)])
        }
    }

    private func readers(
        of tables: [String], _ connection: PostgresConnection
    ) throws -> String {
        let rows = try tables.flatMap { table in
            try Array(connection.query(
            """
            SELECT DISTINCT 'process ' || a.pid || ', ' || coalesce(a.usename, '') || ', since '
                   || date_trunc('second', a.xact_start)
              FROM pg_locks l JOIN pg_stat_activity a USING (pid)
             WHERE l.relation = to_regclass($1) AND a.pid <> pg_backend_pid() LIMIT 3
            """, [.text(table)]))
        }
        return Set(rows.compactMap { $0.text(0) }).sorted().prefix(3).joined(separator: "; ")
    }

    // MARK: Going back

    /// Swaps the old tables in again; those that were live become the old ones, so that it can be
    /// undone too. The projector then applies what came since.
    ///
    /// - Throws: `RebuildError.nothingToUndo`, `.oldDefinition`.
    public func undo() throws -> Position {
        let connection = try prepare()
        guard let old = try RebuildRecord.load(connection, name)?.old,
            try tables.tables.allSatisfy({ try exists(tables.old($0), connection) })
        else { throw RebuildError.nothingToUndo(name) }
        guard old.shape == shape else { throw RebuildError.oldDefinition(name) }
        if let obstacle = try tables.obstacle(connection) { throw RebuildError.obstacle(obstacle) }
        try Checkpoints.check(old.head, of: name, source: try source())
        try repeatedly(connection, tables: [tables]) {
            let live = try lockedCheckpoint(connection)
            try tables.drop(connection)
            try TableSwap(connection: connection, tables: tables)
                .run(from: ProjectionTables.oldSchema)
            try Checkpoints.begin(connection, name, at: old.head, shape: shape)
            try RebuildRecord.noteSwap(
                connection, name, head: old.head, shape: shape,
                old: live.map { ($0.head, $0.shape ?? shape) })
            return true
        }
        return old.head.position
    }

    /// Drops the old tables; whether there were any.
    public func dropOld() throws -> Bool {
        let connection = try prepare()
        var isAny = false
        for table in tables.tables where try exists(tables.old(table), connection) {
            try connection.execute("DROP TABLE \(tables.old(table))")
            isAny = true
        }
        _ = try connection.query(
            "UPDATE daybook.rebuilds SET old_position = NULL WHERE projection = $1", [.text(name)])
        return isAny
    }
}
