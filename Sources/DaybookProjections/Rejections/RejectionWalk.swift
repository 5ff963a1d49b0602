import DaybookLog
import Postgres

/// Values of a statement, bound one after the other.
struct BoundValues {
    private(set) var values: [PostgresValue] = []

    /// The next parameter, for a bigint.
    mutating func bind(_ value: Int64) -> String { bind(.int64(value), "bigint") }
    /// The next parameter, for a text.
    mutating func bind(_ text: String) -> String { bind(.text(text), "text") }
    /// The next parameter, for a list of texts.
    mutating func bind(_ texts: [String]) -> String {
        let items = texts.map { text in
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        return bind(.text("{\(items.joined(separator: ","))}"), "text[]")
    }

    private mutating func bind(_ value: PostgresValue, _ type: String) -> String {
        values.append(value)
        return "$\(values.count)::\(type)"
    }
}

/// A way to the positions of the rejections that pass a filter, in order, from an index.
///
/// Every condition of a filter has an index that gives its positions in order (that is a path). One
/// path is walked; the other conditions are looked up at each position. Which one is walked is not
/// left to the planner, whose guess is off by orders of magnitude where rows of a kind stand close
/// together, as they do in a log: a few entries of each path are counted, and the shortest is
/// taken. They also say where the first rejection can be at the earliest.
struct RejectionWalk {
    /// Each statement below has one good plan: nested loops over indexes. The settings keep the
    /// planner to it where it has no statistics yet.
    static let planning = """
        SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
        SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
        SET LOCAL enable_sort = off; SET LOCAL max_parallel_workers_per_gather = 0
        """
    /// So many entries of a path are counted before it counts as long.
    private static let probeCount = 1_000

    private enum Path: Equatable {
        case code, column, source, principal, state, all
    }

    private let filter: RejectionFilter
    private var range: Range<Position>
    private var path: Path

    /// Chooses the path; nil if nothing passes the filter.
    init?(
        _ filter: RejectionFilter, _ range: Range<Position>, _ connection: PostgresConnection
    ) throws {
        self.filter = filter
        self.range = range
        let paths = RejectionWalk.paths(of: filter)
        path = paths.first ?? .all
        guard paths.count > 1 else { return }
        var shortest = Int64.max
        var start = range.lowerBound
        for candidate in paths {
            var values = BoundValues()
            let limit = RejectionWalk.probeCount
            let positions = self.positions(
                by: candidate, isAlone: true, limit: limit, binding: &values)
            let row = try connection.query(
                "SELECT count(*), min(position) FROM (\(positions)) p", values.values,
                format: .binary
            ).first
            guard let count = row?.int64(0), let first = row?.int64(1) else { return nil }
            start = max(start, first)
            if count < shortest {
                shortest = count
                path = candidate
            }
        }
        self.range = start..<max(start, range.upperBound)
    }

    /// The most telling first: of long paths the first one is taken.
    private static func paths(of filter: RejectionFilter) -> [Path] {
        var paths: [Path] = []
        if filter.code != nil {
            paths.append(.code)
        } else if filter.column != nil {
            paths.append(.column)
        }
        if filter.source != nil { paths.append(.source) }
        if filter.principal != nil { paths.append(.principal) }
        if filter.tables != nil || filter.state != nil { paths.append(.state) }
        return paths
    }

    /// The first rejections, at most `limit`.
    func rejections(
        limit: Int, _ connection: PostgresConnection
    ) throws -> [ProjectedRejection] {
        let (sql, values) = statement(limit: limit)
        return try connection.query(sql, values, format: .binary)
            .compactMap(RejectionRow.rejection)
    }

    /// The query that gives them, and its values. The limit of one row keeps the planner from
    /// walking over all rejections, which spares it a sort, instead of looking each one up.
    func statement(limit: Int) -> (sql: String, values: [PostgresValue]) {
        var values = BoundValues()
        let positions = self.positions(
            by: path, isAlone: false, limit: limit, binding: &values)
        let sql = """
            SELECT \(RejectionRow.columns) FROM (\(positions)) p
             CROSS JOIN LATERAL (
                SELECT * FROM daybook.rejections r WHERE r.position = p.position LIMIT 1) r
              LEFT JOIN daybook.batches b ON b.id = r.batch_id
              LEFT JOIN daybook.rejection_closings x
                ON x.rejection = coalesce(r.retry_of, r.position)
             ORDER BY p.position
            """
        return (sql, values.values)
    }

    /// A query that gives positions in order; `isAlone` leaves the other conditions out.
    private func positions(
        by path: Path, isAlone: Bool, limit: Int, binding values: inout BoundValues
    ) -> String {
        var others = isAlone ? [] : conditions(besides: path, binding: &values)
        switch path {
        case .code, .column:
            return coded(others, isByColumn: path == .column, limit, &values)
        case .source, .principal:
            return batched(others, isBySource: path == .source, limit, &values)
        case .state: return inStates(others, limit, &values)
        case .all:
            others += within("r.position", &values)
            return "SELECT r.position FROM daybook.rejections r WHERE "
                + others.joined(separator: " AND ") + " ORDER BY r.position LIMIT \(limit)"
        }
    }

    private func within(_ position: String, _ values: inout BoundValues) -> [String] {
        [
            "\(position) >= \(values.bind(range.lowerBound))",
            "\(position) < \(values.bind(range.upperBound))",
        ]
    }

    /// The filter's other conditions on `daybook.rejections r`. What is asked of other tables
    /// stands in scalar subqueries, which the planner does not make joins of.
    private func conditions(besides path: Path, binding values: inout BoundValues) -> [String] {
        var conditions: [String] = []
        if path != .state {
            if let tables = filter.tables {
                conditions.append("r.table_name = ANY (\(values.bind(tables)))")
            }
            if let state = filter.state {
                conditions.append("r.state = \(values.bind(state.rawValue))")
            }
        }
        if path != .source, let source = filter.source {
            conditions.append("r.source = \(values.bind(source))")
        }
        if path != .principal, let principal = filter.principal {
            conditions.append("r.principal = \(values.bind(principal))")
        }
        if path != .code, path != .column, let coded = filter.codeCondition(&values) {
            conditions.append(coded)
        }
        return conditions
    }

    /// By the codes' own table: of one code, or of every code those that name the column.
    private func coded(
        _ others: [String], isByColumn: Bool, _ limit: Int, _ values: inout BoundValues
    ) -> String {
        let code = isByColumn ? "k.code" : values.bind(filter.code ?? "")
        var conditions = ["c.code = \(code)"] + within("c.position", &values)
        if let column = filter.column {
            conditions.append("\(values.bind(column)) = ANY (c.columns)")
        }
        if !others.isEmpty {
            conditions.append(
                """
                (SELECT \(others.joined(separator: " AND ")) FROM daybook.rejections r
                  WHERE r.position = c.position)
                """)
        }
        let ofOneCode = """
            SELECT c.position FROM daybook.rejection_codes c
             WHERE \(conditions.joined(separator: " AND ")) ORDER BY c.position LIMIT \(limit)
            """
        guard isByColumn else { return ofOneCode }
        return """
            SELECT DISTINCT p.position FROM (\(RejectionNames.codes)) k
             CROSS JOIN LATERAL (\(ofOneCode)) p ORDER BY p.position LIMIT \(limit)
            """
    }

    /// By the index of tables and states, each pair of them by itself.
    private func inStates(
        _ others: [String], _ limit: Int, _ values: inout BoundValues
    ) -> String {
        let tables =
            filter.tables.map { "SELECT unnest(\(values.bind($0))) AS name" }
            ?? RejectionNames.tables
        let states = filter.state.map { [$0] } ?? RejectionState.allCases
        let conditions =
            ["r.table_name = t.name", "r.state = s.name"] + within("r.position", &values) + others
        return """
            SELECT p.position FROM (\(tables)) t
             CROSS JOIN unnest(\(values.bind(states.map(\.rawValue)))) s(name)
             CROSS JOIN LATERAL (
                SELECT r.position FROM daybook.rejections r
                 WHERE \(conditions.joined(separator: " AND "))
                 ORDER BY r.position LIMIT \(limit)) p
             ORDER BY p.position LIMIT \(limit)
            """
    }

    /// By the batches of one source or sender: the rejections between a batch's ends.
    private func batched(
        _ others: [String], isBySource: Bool, _ limit: Int, _ values: inout BoundValues
    ) -> String {
        let condition =
            isBySource
            ? "b.source = \(values.bind(filter.source ?? ""))"
            : "b.principal = \(values.bind(filter.principal ?? ""))"
        let from = values.bind(range.lowerBound)
        let to = values.bind(range.upperBound)
        let conditions =
            [
                "r.position >= greatest(b.position, \(from))",
                "r.position < least(b.position + b.rows, \(to))",
            ] + others
        return """
            SELECT r.position FROM daybook.batches b CROSS JOIN LATERAL (
                SELECT r.position FROM daybook.rejections r
                 WHERE \(conditions.joined(separator: " AND "))
                 ORDER BY r.position LIMIT \(limit)) r
             WHERE \(condition) AND b.rejected > 0 AND b.position < \(to)
               AND b.position >= coalesce(
                   (SELECT max(position) FROM daybook.batches WHERE position <= \(from)), 0)
             ORDER BY b.position, r.position LIMIT \(limit)
            """
    }
}

/// The few names that many rows share, each found by one look into an index.
///
/// Source: PostgreSQL wiki, "Loose indexscan".
enum RejectionNames {
    static let codes = distinct("code", of: "daybook.rejection_codes")
    static let tables = distinct("table_name", of: "daybook.rejections")

    private static func distinct(_ column: String, of table: String) -> String {
        let name = column == "code" ? "code" : "name"
        return """
            WITH RECURSIVE n(name) AS (
                (SELECT \(column) FROM \(table) ORDER BY \(column) LIMIT 1)
                UNION ALL
                SELECT (SELECT d.\(column) FROM \(table) d WHERE d.\(column) > n.name
                         ORDER BY d.\(column) LIMIT 1) FROM n WHERE n.name IS NOT NULL)
            SELECT n.name AS \(name) FROM n WHERE n.name IS NOT NULL
            """
    }
}

extension RejectionFilter {
    /// That a rejection `r` has the code, or a reason that names the column; nil if neither is
    /// asked for.
    func codeCondition(_ values: inout BoundValues) -> String? {
        guard code != nil || column != nil else { return nil }
        let named = column.map { "\(values.bind($0)) = ANY (k.columns)" } ?? "true"
        let codes =
            code.map { "k.code = \(values.bind($0))" }
            ?? "k.code = ANY (ARRAY(\(RejectionNames.codes)))"
        return """
            coalesce((SELECT bool_or(\(named)) FROM daybook.rejection_codes k
              WHERE \(codes) AND k.position = r.position), false)
            """
    }

    /// The positions between which all that passes stands: times rise with positions, and a batch
    /// is a run of them. Nil if there are none.
    func range(after: Position?, _ connection: PostgresConnection) throws -> Range<Position>? {
        var from: Position = 0
        var to = Position.max
        if let after {
            guard after < Position.max else { return nil }
            from = max(0, after + 1)
        }
        func start(of time: Microseconds) throws -> Position? {
            let time = time - PostgresEpoch.microseconds
            return try connection.query(
                """
                SELECT position FROM daybook.batches WHERE received_at >= $1
                 ORDER BY received_at LIMIT 1
                """,
                [
                    .binary(
                        withUnsafeBytes(of: time.bigEndian) { [UInt8]($0) },
                        typeOID: TypeOID.timestamptz)
                ], format: .binary
            ).first?.int64(0)
        }
        if let since {
            guard let first = try start(of: since) else { return nil }
            from = max(from, first)
        }
        if let until, let end = try start(of: until) { to = end }
        if let batch {
            let found = try connection.query(
                "SELECT position, position + rows FROM daybook.batches WHERE id = $1::uuid",
                [.text(batch)], format: .binary
            ).first
            guard let first = found?.int64(0), let end = found?.int64(1) else { return nil }
            from = max(from, first)
            to = min(to, end)
        }
        return from < to ? from..<to : nil
    }
}
