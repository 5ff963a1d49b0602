import DaybookCatalog
import DaybookLog
import Foundation
import Postgres

/// What the new tables have that the live ones have not, and the other way round.
public struct RebuildComparison: Sendable {
    /// A batch that a row came with.
    public struct Origin: Sendable {
        /// The event's position.
        public let position: Position
        /// The batch's id.
        public let batchID: String
        /// Where the batch came from.
        public let source: String
        /// Who sent it.
        public let principal: String
        /// When the ledger took it, in microseconds from 1970 UTC.
        public let receivedAt: Microseconds
    }

    /// A row that was added or removed, or a changed one.
    public struct Sample: Sendable {
        /// What a rebuild does with the row.
        public enum Kind: String, Sendable { case added, removed, changed }
        /// What a rebuild does with it.
        public let kind: Kind
        /// Its key, as text.
        public let key: String
        /// For a changed row: column, and the values before and after.
        public let changes: [(column: String, before: String, after: String)]
        /// The event that explains it; nil for rows that come of many events.
        public let origin: Origin?
    }

    /// Where the live tables stood.
    public let livePosition: Position
    /// Rows that only the new tables have.
    public let addedCount: Int
    /// Rows that only the live tables have.
    public let removedCount: Int
    /// Rows with other values.
    public let changedCount: Int
    /// Some rows of each kind.
    public let samples: [Sample]

    /// Whether both are the same.
    public var isEmpty: Bool { addedCount + removedCount + changedCount == 0 }
}

/// Comparing: new and live tables in one snapshot, at one position if the live ones are kept.
extension Rebuild {
    /// Compares at the live tables' position, or at the one that was asked for, wherever the live
    /// tables are; nil if there is nothing to compare with.
    func compare(
        _ head: inout TreeHead, _ connection: PostgresConnection
    ) throws -> RebuildComparison? {
        guard try exists(tables.live(tables.tables[0]), connection) else { return nil }
        let snapshot = try connect()
        let live =
            options.target == nil
            ? try align(&head, connection, snapshot) : try look(snapshot)
        guard let live else { return nil }
        defer { try? snapshot.execute("ROLLBACK") }
        let log = try source()
        if name == auditProjectionName { return try compareAudit(live, snapshot) }
        guard let shape = try commonShape(snapshot) else { return nil }
        var options = RowComparison.Options()
        options.sampleLimit = self.options.sampleCount
        let key = RowHashKey(log.ledger)
        let position = head.position
        let differences = try RowComparison(shape, hashKey: key, options: options).compare(
            TableRows(snapshot, from: tables.build(name), shape: shape),
            TableRows(snapshot, from: tables.live(name), shape: shape)
        ) { [self] _, rowCount in say(.comparing, Position(rowCount), of: position) }
        return try RebuildComparison(differences, livePosition: live.position, log: log)
    }

    /// Opens a transaction that sees the live tables as they are; gives where that is.
    private func look(_ snapshot: PostgresConnection) throws -> TreeHead? {
        try snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return try Checkpoints.load(snapshot, ledger: try source().ledger)[name]?.head
    }

    /// Brings the new tables to where the live ones are, and opens a transaction by `snapshot` that
    /// sees both there. Live tables that are behind are waited for as long as they come nearer.
    /// Gives where the live ones are.
    private func align(
        _ head: inout TreeHead, _ connection: PostgresConnection, _ snapshot: PostgresConnection
    ) throws -> TreeHead? {
        let holder = try connect()
        let deadline = ContinuousClock.now + .seconds(Rebuild.lateSeconds)
        var lastMove = (position: Position(-1), at: ContinuousClock.now)
        while true {
            try holder.execute("BEGIN")
            let live = try lockedCheckpoint(holder)
            let log = try source()
            if let live, live.state == .running, live.head.position < head.position {
                if live.head.position > lastMove.position {
                    lastMove = (live.head.position, .now)
                }
                if ContinuousClock.now - lastMove.at < .seconds(Rebuild.lateSeconds) {
                    try holder.execute("ROLLBACK")
                    if isStopping() { throw RebuildError.stopped }
                    Thread.sleep(forTimeInterval: 0.02)
                    continue
                }
            }
            if let live, live.head.position > log.durable.position {
                // The log shows it a moment later; the projector need not wait for that.
                try holder.execute("ROLLBACK")
                if ContinuousClock.now > deadline {
                    try passOver(live.head, log.durable)
                    return try look(snapshot)
                }
                Thread.sleep(forTimeInterval: 0.02)
                continue
            }
            if let live, live.head.position > head.position {
                try follow(&head, to: live.head.position, log, connection) { work in
                    try connection.transaction { try work() }
                }
            }
            try snapshot.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            _ = try snapshot.query("SELECT count(*) FROM daybook.checkpoints")
            try holder.execute("ROLLBACK")
            return live?.head
        }
    }

    /// Takes note of live tables that have more than the log, if they are to go.
    private func passOver(_ live: TreeHead, _ end: TreeHead) throws {
        guard options.replacesAhead else {
            throw RebuildError.contradiction(
                "\(name) is at position \(live.position), the log ends at \(end.position): it "
                    + "lost data, or is an old copy; put the whole log back, or take the tables "
                    + "back to its end by `daybook restore --from log`")
        }
        aheadPosition = live.position
        report.notes.append(
            "the table that was live was at position \(live.position), further than the log, "
                + "which ends at \(end.position): rows from there on are in the schema "
                + "\(ProjectionTables.oldSchema) alone, until the next rebuild")
    }

    /// The columns that both tables have; nil if their keys are not the same columns.
    private func commonShape(_ connection: PostgresConnection) throws -> RowLayout? {
        let rows = try connection.query(
            """
            SELECT a.attname::text FROM pg_attribute a JOIN pg_attribute b USING (attname)
             WHERE a.attrelid = to_regclass($1) AND b.attrelid = to_regclass($2)
               AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = b.atttypid
            """, [.text(tables.live(name)), .text(tables.build(name))])
        let common = Set(rows.compactMap { $0.text(0) })
        if let table = catalog.table(named: name) {
            let key =
                table.key.isEmpty
                ? [Table.positionColumn] : table.key.map { table.columns[$0].name }
            return common.isSuperset(of: key) ? RowLayout(table, only: common) : nil
        }
        guard let aggregate = catalog.aggregate(named: name) else { return nil }
        let shape = RowLayout(AggregatePlan(aggregate, in: catalog))
        return common.isSuperset(of: shape.columns.map(\.name)) ? shape : nil
    }

    private func compareAudit(
        _ live: TreeHead, _ connection: PostgresConnection
    ) throws -> RebuildComparison {
        func count(_ left: (String) -> String, _ right: (String) -> String) throws -> Int {
            try tables.tables.reduce(0) { sum, table in
                let rows = try connection.query(
                    "SELECT count(*) FROM (TABLE \(left(table)) EXCEPT TABLE \(right(table))) AS d")
                return sum + Int(rows[0].int64(0) ?? 0)
            }
        }
        return RebuildComparison(
            livePosition: live.position, addedCount: try count(tables.build, tables.live),
            removedCount: try count(tables.live, tables.build), changedCount: 0, samples: [])
    }
}

extension RebuildComparison {
    fileprivate init(
        _ differences: RowDifferences, livePosition: Position, log: any LogSource
    ) throws {
        func text(_ key: [CellValue]) -> String { key.map(\.description).joined(separator: ",") }
        func sample(_ row: LoneRow, _ kind: Sample.Kind) throws -> Sample {
            Sample(
                kind: kind, key: text(row.key), changes: [],
                origin: try row.position.flatMap { try Origin($0, log) })
        }
        let changed = try differences.different.map { row in
            Sample(
                kind: .changed, key: text(row.key),
                changes: row.cells.map {
                    ($0.column, $0.found.description, $0.expected.description)
                },
                origin: try row.position.flatMap { try Origin($0, log) })
        }
        self.init(
            livePosition: livePosition, addedCount: differences.missingCount,
            removedCount: differences.extraCount, changedCount: differences.differentCount,
            samples: try differences.missing.map { try sample($0, .added) }
                + differences.extra.map { try sample($0, .removed) } + changed)
    }
}

extension RebuildComparison.Origin {
    /// The batch that holds a position; nil beyond the log's end.
    fileprivate init?(_ position: Position, _ log: any LogSource) throws {
        guard position >= 0, position < log.durable.position,
            let block = try log.blocks(from: position, byteLimit: 1).first
        else { return nil }
        var facts: BatchFacts?
        try block.forEachBatch { reader in
            if reader.facts.position <= position { facts = reader.facts }
        }
        guard let facts else { return nil }
        self.init(
            position: position, batchID: facts.id, source: facts.source,
            principal: facts.principal, receivedAt: facts.receivedAt)
    }
}
