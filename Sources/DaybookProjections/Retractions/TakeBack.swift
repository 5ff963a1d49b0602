import Avro
import DaybookCatalog
import DaybookLog
import Postgres

/// Takes the rows of one retraction out of the tables, inside the projector's transaction, after
/// all that came before it.
///
/// Groups of aggregates that the rows touched are made anew from the log: neither a least nor a
/// greatest value can be taken back, nor a sum of floating-point numbers to the last bit.
struct TakeBack {
    let connection: PostgresConnection
    let destination: ProjectionStep.Destination
    let transcoders: TranscoderSet
    let log: any LogSource
    let stored: StoredRetraction

    /// The tables that have rows in the ranges.
    func touchedTables() throws -> Set<String> {
        var names: Set<String> = []
        for span in stored.spans {
            try log.forEachBlock(in: span) { (block) throws(LogError) in
                do {
                    try block.forEachBatch { reader in
                        let facts = reader.facts
                        let batch = facts.position..<facts.position + Position(reader.rowCount)
                        if batch.overlaps(span) { names.insert(facts.table) }
                    }
                } catch {
                    throw .unreadable(block)
                }
            }
        }
        return names
    }

    /// Deletes the rows from a table.
    func deleteRows(of table: String) throws {
        _ = try connection.query(
            "DELETE FROM \(SQL.identifier(destination.schema, table)) AS t"
                + " WHERE \(positions("t.\(SQL.identifier(Table.positionColumn))"))")
    }

    /// Makes the groups anew that the rows touched.
    func remake(_ plan: AggregatePlan) throws {
        let touched = AggregateFold(plan)
        for span in stored.spans { try fold(span, without: RetractedRows(), into: touched) {} }
        if touched.isEmpty { return }
        let target = SQL.identifier(destination.schema, plan.aggregate.name)
        _ = try connection.query(plan.delete(from: target), touched.groupParameters())
        let gone = try RetractedRows(of: log, below: stored.position + 1)
        let anew = AggregateFold(plan, only: touched)
        let upsert = plan.upsert(into: target)
        for range in log.ranges(holding: plan.aggregate.table) {
            try fold(range.clamped(to: 0..<stored.position), without: gone, into: anew) {
                if anew.isFull { _ = try connection.query(upsert, anew.takeParameters()) }
            }
        }
        if !anew.isEmpty { _ = try connection.query(upsert, anew.takeParameters()) }
    }

    /// Opens the rejections again that the rows had corrected.
    func reopenRejections() throws {
        let closings = SQL.identifier(destination.auditSchema, "rejection_closings")
        let rejections = SQL.identifier(destination.auditSchema, "rejections")
        let opened = try connection.query(
            """
            DELETE FROM \(closings) AS c
             WHERE c.state = '\(RejectionState.corrected.rawValue)'
               AND \(positions("c.position"))
            RETURNING c.rejection
            """, format: .binary)
        if opened.isEmpty { return }
        let list = opened.compactMap { $0.int64(0) }.map(String.init).joined(separator: ",")
        for column in ["position", "retry_of"] {
            _ = try connection.query(
                """
                UPDATE \(rejections) SET state = '\(RejectionState.open.rawValue)'
                 WHERE \(column) = ANY ('{\(list)}'::bigint[])
                """)
        }
    }

    /// A condition on a column of positions. The ends let an index serve; a set of ranges is
    /// searched for each row, however many it has. (PostgreSQL, "Range and Multirange Operators")
    private func positions(_ column: String) -> String {
        guard let first = stored.spans.first, let last = stored.spans.last else {
            preconditionFailure("a retraction is of something")
        }
        let ranges = stored.spans.map { "[\($0.lowerBound),\($0.upperBound))" }
        return "\(column) >= \(first.lowerBound) AND \(column) < \(last.upperBound)"
            + " AND \(column) <@ '{\(ranges.joined(separator: ","))}'::int8multirange"
    }

    /// Folds accepted rows of a range of the log; `afterRow` is called after each.
    private func fold(
        _ range: Range<Position>, without gone: RetractedRows, into fold: AggregateFold,
        afterRow: () throws -> Void
    ) throws {
        let table = fold.plan.aggregate.table
        var row = ByteSink(capacity: 1024)
        var position = range.lowerBound
        while position < range.upperBound {
            for block in try log.blocks(from: position, byteLimit: 4 << 20)
            where position < range.upperBound {
                try block.forEachBatch { reader in
                    let facts = reader.facts
                    let batch = facts.position..<facts.position + Position(reader.rowCount)
                    guard facts.table == table, batch.overlaps(range) else { return }
                    let run = try transcoders.run(table, schema: reader.schema)
                    let transcoder = transcoders[run]
                    var place = facts.position
                    while let branch = try reader.nextBranch() {
                        defer { place += 1 }
                        guard branch == run.branch, range.contains(place), !gone.contains(place)
                        else {
                            try reader.skipRow(branch)
                            continue
                        }
                        row.removeAll()
                        try transcoder.append(&reader.cursor, position: place, to: &row)
                        fold.add(row.unsafeBytes, columns: transcoder.columns)
                        try afterRow()
                    }
                }
                position = block.endPosition
            }
        }
    }
}
