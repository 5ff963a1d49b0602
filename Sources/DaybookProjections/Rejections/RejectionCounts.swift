import DaybookLog
import Postgres

/// Counts the rejections that pass a filter, by what they have in common.
struct RejectionCounts {
    private let rejections: String
    private let values: [PostgresValue]

    init(_ filter: RejectionFilter, _ range: Range<Position>) {
        var values = BoundValues()
        var conditions = [
            "r.position >= \(values.bind(range.lowerBound))",
            "r.position < \(values.bind(range.upperBound))",
        ]
        if let tables = filter.tables {
            conditions.append("r.table_name = ANY (\(values.bind(tables)))")
        }
        if let state = filter.state {
            conditions.append("r.state = \(values.bind(state.rawValue))")
        }
        if let source = filter.source { conditions.append("r.source = \(values.bind(source))") }
        if let principal = filter.principal {
            conditions.append("r.principal = \(values.bind(principal))")
        }
        if let coded = filter.codeCondition(&values) { conditions.append(coded) }
        rejections = "daybook.rejections r WHERE \(conditions.joined(separator: " AND "))"
        self.values = values.values
    }

    /// Reads every rejection that passes, three times.
    func count(_ connection: PostgresConnection) throws -> RejectionSummary {
        var summary = RejectionSummary()
        try countStates(connection, &summary)
        try countSources(connection, &summary)
        let codes = try connection.query(
            """
            SELECT c.code, count(*), count(*) FILTER (WHERE p.state = 'open')
              FROM (SELECT r.position, r.state FROM \(rejections)) p
              JOIN daybook.rejection_codes c ON c.position = p.position
             GROUP BY c.code ORDER BY 2 DESC, 1
            """, values, format: .binary)
        summary.codes = codes.compactMap { row in
            row.text(0).map { .init($0, RejectionCounts.count(row, from: 1)) }
        }
        return summary
    }

    private func countStates(
        _ connection: PostgresConnection, _ summary: inout RejectionSummary
    ) throws {
        let result = try connection.query(
            """
            SELECT r.table_name, r.state,
                CASE WHEN r.received_at > now() - interval '1 hour' THEN 'under 1 hour'
                     WHEN r.received_at > now() - interval '1 day' THEN 'under 1 day'
                     WHEN r.received_at > now() - interval '7 days' THEN 'under 7 days'
                     WHEN r.received_at > now() - interval '30 days' THEN 'under 30 days'
                     ELSE 'older' END AS age, count(*)
              FROM \(rejections) GROUP BY 1, 2, 3
            """, values, format: .binary)
        var tables: [String: RejectionSummary.Count] = [:]
        for row in result {
            guard let table = row.text(0), let state = row.text(1).flatMap(RejectionState.init),
                let age = row.text(2).flatMap(RejectionSummary.Age.init),
                let count = row.int64(3)
            else { continue }
            let part = RejectionSummary.Count(count: count, open: state == .open ? count : 0)
            summary.states[state, default: 0] += count
            summary.ages[age, default: .init(count: 0, open: 0)].add(part)
            tables[table, default: .init(count: 0, open: 0)].add(part)
        }
        summary.tables = tables.map { .init($0.key, $0.value) }
            .sorted { ($1.count.count, $0.name) < ($0.count.count, $1.name) }
    }

    private func countSources(
        _ connection: PostgresConnection, _ summary: inout RejectionSummary
    ) throws {
        let most = RejectionSummary.sourceCountMax
        let result = try connection.query(
            """
            SELECT min(source), sum(count)::bigint, sum(open)::bigint, min(place), count(*)
              FROM (SELECT source, count, open,
                        row_number() OVER (ORDER BY count DESC, source) AS place
                      FROM (SELECT r.source, count(*) AS count,
                                count(*) FILTER (WHERE r.state = 'open') AS open
                              FROM \(rejections) GROUP BY r.source) s) s
             GROUP BY least(place, \(most + 1)) ORDER BY least(place, \(most + 1))
            """, values, format: .binary)
        for row in result {
            let count = RejectionCounts.count(row, from: 1)
            if let place = row.int64(3), place > most {
                summary.otherSources = .init(sources: row.int64(4) ?? 0, count: count)
            } else {
                summary.sources.append(.init(row.text(0) ?? "", count))
            }
        }
    }

    private static func count(_ row: PostgresRow, from column: Int) -> RejectionSummary.Count {
        .init(count: row.int64(column) ?? 0, open: row.int64(column + 1) ?? 0)
    }
}

extension RejectionSummary.Count {
    fileprivate mutating func add(_ other: RejectionSummary.Count) {
        count += other.count
        self.open += other.open
    }
}
