import DaybookLog
import Postgres

extension DriftCheck {
    /// What a repair did.
    public struct Repair: Sendable {
        /// Where the projection stood meanwhile.
        public let position: Position
        /// How many rows were taken away: those that were other than they should be, and those
        /// that should not be there.
        public let deletedRowCount: Int
        /// How many rows of the log were put in their place.
        public let insertedRowCount: Int
    }

    /// The table in which a repair keeps the keys of the rows that differ.
    private static let keyTable = "pg_temp.daybook_repair"

    /// Compares one table or aggregate; if they differ, takes the differing rows away, puts the
    /// log's rows for just those keys in their place, and compares those keys again, all in one
    /// transaction. The projector waits for it: it holds the projection's checkpoint. Blocks.
    ///
    /// - Returns: what was found, and what was done: nil if there was nothing to do, a failure if
    ///   more rows differ than fit the memory, or the table would still be other than the log; then
    ///   it is as it was.
    /// - Throws: as `check`.
    public func repair(
        _ name: String, progress: RowComparison.Progress = { _, _ in }
    ) throws -> (found: Outcome, done: Result<Repair, DriftError>?) {
        let expected = try ExpectedRows(name, catalog, connection)
        let kept = DifferingRows(byteLimit: options.comparison.memoryByteLimit)
        let found = try check(expected, keeping: kept, progress: progress)
        if found.differences.isEmpty { return (found, nil) }
        do {
            if kept.isCut {
                throw DriftError.notRepaired(
                    "more rows of \(name) differ than a repair holds: `daybook rebuild \(name)`"
                        + " makes it anew")
            }
            let done = try readingFaults(of: name) {
                try connection.transaction {
                    try replace(kept, of: expected, foundAt: found.position)
                }
            }
            return (found, .success(done))
        } catch let error as DriftError {
            return (found, .failure(error))
        }
    }

    private func replace(
        _ kept: DifferingRows, of expected: ExpectedRows, foundAt position: Position
    ) throws -> Repair {
        let (name, shape) = (expected.name, expected.shape)
        let (head, log) = try start(name, isLocked: true)
        guard head.position >= position else {
            throw DriftError.notRepaired(
                "\(name) has gone back to position \(head.position) meanwhile: run it again")
        }
        var isRetracted = false
        try log.forEachRetraction(below: head.position) {
            if $0.position >= position { isRetracted = true }
        }
        if isRetracted {
            throw DriftError.notRepaired(
                "rows were retracted while \(name) was compared: run it again")
        }
        let keyColumns = shape.key.map {
            "\(SQL.identifier(shape.columns[$0].name)) \(shape.columns[$0].sqlType)"
        }
        try connection.execute(
            "CREATE TEMPORARY TABLE daybook_repair (\(keyColumns.joined(separator: ", ")))"
                + " ON COMMIT DROP")
        try kept.keys.copy(into: DriftCheck.keyTable, connection)
        let rows = try expected.some(
            kept, keyTable: DriftCheck.keyTable, of: log, position..<head.position,
            hashKey: RowHashKey(log.ledger))
        let touched =
            "\(relation(name)) AS t WHERE EXISTS"
            + " (SELECT FROM \(DriftCheck.keyTable) AS k WHERE \(shape.keysMatch("t", "k")))"
        let deleted = try connection.query("DELETE FROM \(touched)")
        try rows.copy(into: "\(relation(name)) (\(shape.columnList))", connection)
        let rest = try comparison(shape, log).compare(
            rows, TableRows(connection, from: touched, shape: shape))
        guard rest.isEmpty else {
            throw DriftError.notRepaired(
                "\(rest.count) rows of \(name) would still differ, so all was left as it was")
        }
        return Repair(
            position: head.position, deletedRowCount: deleted.affectedRowCount,
            insertedRowCount: rows.count)
    }
}
