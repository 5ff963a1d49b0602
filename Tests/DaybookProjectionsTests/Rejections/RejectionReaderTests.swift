import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// An audit of 40 batches of 50 rows, four in five of them refused, of two tables and a few
/// senders; made by SQL, with a code that is rare and a state that stands at the end.
private enum MadeAudit {
    static let rows = """
        INSERT INTO daybook.batches (position, id, received_at, source, principal, table_name,
                format, rows, accepted, rejected)
        SELECT b * 50, ('01900000-0000-7000-8000-' || lpad(b::text, 12, '0'))::uuid,
            now() - interval '40 days' + b * interval '1 day', 'csv:' || b / 10 || '.csv',
            'p' || b % 3, CASE WHEN b > 34 THEN 'jobs' ELSE 'hires' END, 'csv', 50, 10, 40
          FROM generate_series(0, 39) b;
        INSERT INTO daybook.rejections (position, batch_id, table_name, source, line, received_at,
                principal, raw, raw_length, reasons, state, retry_of)
        SELECT b.position + i, b.id, b.table_name, b.source, i + 1, b.received_at, b.principal,
            '\\xff00', 2, '[]',
            CASE WHEN b.position > 1500 AND i % 3 = 0 THEN 'corrected'
                 WHEN (b.position + i) % 97 = 1 THEN 'waived' ELSE 'open' END,
            CASE WHEN i % 40 = 7 THEN b.position + i - 1 END
          FROM daybook.batches b, generate_series(0, 49) i WHERE i % 5 <> 4;
        INSERT INTO daybook.rejection_codes (code, position, columns)
        SELECT c, position, columns FROM daybook.rejections, LATERAL (VALUES
            ('missing_field', ARRAY['name', 'job'], position % 2 = 0),
            ('wrong_field_count', '{}', position % 2 = 1),
            ('too_long', ARRAY['job'], position % 3 = 0),
            ('duplicate_key', ARRAY['id'], position % 211 = 8)) v(c, columns, is_there)
         WHERE is_there;
        INSERT INTO daybook.rejection_closings
        SELECT position, state, position + 5000, batch_id, received_at, 'who', 'why'
          FROM daybook.rejections WHERE state <> 'open';
        """

    /// Every filter that is tried: each condition by itself, and all pairs and many threes.
    static func filters(now: Microseconds) -> [RejectionFilter] {
        let day: Int64 = 86_400_000_000
        let changes: [(inout RejectionFilter) -> Void] = [
            { $0.tables = ["jobs"] }, { $0.tables = ["hires", "jobs"] }, { $0.tables = [] },
            { $0.code = "missing_field" }, { $0.code = "duplicate_key" }, { $0.column = "job" },
            { $0.state = .open }, { $0.state = .corrected }, { $0.state = .waived },
            { $0.source = "csv:2.csv" }, { $0.principal = "p1" }, { $0.source = "none" },
            { $0.batch = "01900000-0000-7000-8000-000000000033" },
            { $0.since = now - 10 * day }, { $0.until = now - 20 * day - day / 2 },
        ]
        var filters = [RejectionFilter()]
        for (index, first) in changes.enumerated() {
            for (other, second) in changes.enumerated() where other >= index {
                var filter = RejectionFilter()
                first(&filter)
                second(&filter)
                filters.append(filter)
                changes[(index * 7 + other * 3) % changes.count](&filter)
                filters.append(filter)
            }
        }
        return filters
    }

    /// The same question in plain SQL.
    static func query(_ filter: RejectionFilter) -> String {
        func time(_ time: Microseconds) -> String {
            "timestamptz 'epoch' + \(time) * interval '1 microsecond'"
        }
        var conditions = ["true"]
        if let tables = filter.tables {
            conditions.append("table_name = ANY ('{\(tables.joined(separator: ","))}')")
        }
        let column = filter.column.map { "'\($0)' = ANY (columns)" } ?? "true"
        if filter.code != nil || filter.column != nil {
            let code = filter.code.map { "code = '\($0)'" } ?? "true"
            conditions.append(
                "position IN (SELECT position FROM daybook.rejection_codes "
                    + "WHERE \(code) AND \(column))")
        }
        if let state = filter.state { conditions.append("state = '\(state.rawValue)'") }
        if let source = filter.source { conditions.append("source = '\(source)'") }
        if let principal = filter.principal { conditions.append("principal = '\(principal)'") }
        if let batch = filter.batch { conditions.append("batch_id = '\(batch)'") }
        if let since = filter.since { conditions.append("received_at >= \(time(since))") }
        if let until = filter.until { conditions.append("received_at < \(time(until))") }
        return "FROM daybook.rejections WHERE " + conditions.joined(separator: " AND ")
    }
}

@Suite("Rejections in Postgres")
struct RejectionReaderTests {
    /// A database with the audit, without statistics, and the filters that are tried on it.
    private func audit() async throws -> (conninfo: String, filters: [RejectionFilter]) {
        let conninfo = try await TestCluster.freshDatabase()
        for name in try FileManager.default.contentsOfDirectory(
            atPath: packageRoot + "/sql/migrations").sorted() {
            let sql = try String(
                contentsOfFile: packageRoot + "/sql/migrations/" + name, encoding: .utf8)
            try PostgresConnection(.init(conninfo: conninfo)).execute(sql)
        }
        _ = try psql(conninfo, MadeAudit.rows)
        let now = try psql(conninfo, "SELECT (extract(epoch FROM now()) * 1000000)::bigint")
        return (conninfo, MadeAudit.filters(now: try #require(Int64(now))))
    }

    /// The lines that a query gives, as psql has them, over a connection that stays.
    private func lines(_ connection: PostgresConnection, _ sql: String) throws -> [String] {
        let result = try connection.query(sql)
        return result.map { row in
            result.columnNames.indices.map { row.text($0) ?? "" }.joined(separator: "|")
        }
    }

    @Test("Pages of any filter are what plain SQL gives, each rejection once and in order")
    func pages() async throws {
        let (conninfo, filters) = try await audit()
        let plain = try PostgresConnection(.init(conninfo: conninfo))
        let reader = RejectionReader { conninfo }
        for filter in filters {
            let wanted = try lines(
                plain, "SELECT position \(MadeAudit.query(filter)) ORDER BY position"
            ).compactMap { Position($0) }
            for limit in [7, 5_000] where limit == 5_000 || wanted.count < 100 {
                var found: [Position] = []
                var after: Position?
                repeat {
                    let page = try await reader.page(filter, after: after, limit: limit)
                    #expect(page.rejections.count <= limit)
                    #expect(page.next == nil || page.next == page.rejections.last?.position)
                    found += page.rejections.map(\.position)
                    after = page.next
                } while after != nil
                #expect(found == wanted, "\(filter)")
            }
        }
    }

    @Test("A page behind a position begins there, and the last one says that it is the last")
    func after() async throws {
        let (conninfo, filters) = try await audit()
        let reader = RejectionReader { conninfo }
        let all = try await reader.page(RejectionFilter(), after: nil, limit: 5_000).rejections
        #expect(all.count == 1_600)
        for filter in filters {
            let whole = try await reader.page(filter, after: nil, limit: 5_000)
            guard let middle = whole.rejections.dropFirst(whole.rejections.count / 2).first else {
                continue
            }
            let rest = try await reader.page(filter, after: middle.position, limit: 5_000)
            let wanted = whole.rejections.filter { $0.position > middle.position }
            #expect(rest.rejections == wanted && rest.next == nil)
            let exact = try await reader.page(
                filter, after: nil, limit: whole.rejections.count)
            #expect(exact.next == nil && exact.rejections == whole.rejections)
        }
        let beyond = try await reader.page(RejectionFilter(), after: .max, limit: 1)
        #expect(beyond.rejections.isEmpty && beyond.next == nil)
    }

    @Test("A rejection comes with its bytes, its form, its first rejection and what closed it")
    func values() async throws {
        let (conninfo, _) = try await audit()
        let reader = RejectionReader { conninfo }
        var filter = RejectionFilter()
        filter.state = .waived
        let page = try await reader.page(filter, after: nil, limit: 1)
        let waived = try #require(page.rejections.first)
        #expect(waived.raw == [0xFF, 0x00] && waived.rawLength == 2 && waived.format == "csv")
        #expect(waived.closing?.state == .waived && waived.closing?.note == "why")
        #expect(waived.closing?.position == waived.position + 5_000)
        let epoch = try psql(
            conninfo,
            "SELECT (extract(epoch FROM received_at) * 1000000)::bigint FROM daybook.rejections "
                + "WHERE position = \(waived.position)")
        #expect(String(waived.receivedAt) == epoch)
        let life = try await reader.life(of: 7, root: 6)
        #expect(life.state == .open && life.retries == [7] && life.closing == nil)
        #expect(try await reader.life(of: 4_000, root: 4_000).state == nil)
    }

    @Test("Counts of any filter are what plain SQL counts")
    func counts() async throws {
        let (conninfo, filters) = try await audit()
        let plain = try PostgresConnection(.init(conninfo: conninfo))
        let reader = RejectionReader { conninfo }
        for filter in filters {
            let summary = try await reader.summary(filter)
            let from = MadeAudit.query(filter)
            func named(_ name: String, _ from: String) throws -> [String] {
                try lines(
                    plain,
                    "SELECT \(name), count(*), count(*) FILTER (WHERE state = 'open') "
                        + "\(from) GROUP BY 1 ORDER BY 2 DESC, 1")
            }
            func counted(_ counts: [RejectionSummary.Named]) -> [String] {
                counts.map { "\($0.name)|\($0.count.count)|\($0.count.open)" }
            }
            #expect(try counted(summary.tables) == named("table_name", from), "\(filter)")
            #expect(try counted(summary.sources) == named("source", from), "\(filter)")
            let coded = "FROM (SELECT * \(from)) r JOIN daybook.rejection_codes c USING (position)"
            #expect(try counted(summary.codes) == named("c.code", coded), "\(filter)")
            #expect(try lines(plain, "SELECT count(*) \(from)") == ["\(summary.total)"])
            #expect(summary.ages.values.reduce(0) { $0 + $1.count } == summary.total)
            #expect(summary.otherSources == nil)
        }
        let ages = try await reader.summary(RejectionFilter()).ages
        #expect(ages[.hour] == nil && ages[.day] == nil && ages[.week]?.count == 240)
        #expect(ages[.older]?.count == 440)
    }

    @Test("Sources beyond the hundred with the most rejections are counted together")
    func sources() async throws {
        let (conninfo, _) = try await audit()
        _ = try psql(
            conninfo,
            "UPDATE daybook.rejections SET source = 'csv:' || position % 130 || '.csv', "
                + "state = 'open'")
        let summary = try await RejectionReader { conninfo }.summary(RejectionFilter())
        #expect(summary.sources.count == 100 && summary.otherSources?.sources == 4)
        let named = summary.sources.reduce(0) { $0 + $1.count.count }
        #expect(summary.otherSources?.count.count == 1_600 - named)
        #expect(summary.otherSources?.count.open == 1_600 - named)
    }

    @Test("No page reads a table from its front, with statistics or without")
    func plans() async throws {
        let (conninfo, filters) = try await audit()
        let connection = try PostgresConnection(.init(conninfo: conninfo))
        for isAnalyzed in [false, true] {
            if isAnalyzed { try connection.execute("ANALYZE") }
            for filter in filters {
                let plan = try connection.transaction {
                    try connection.execute(RejectionWalk.planning)
                    guard let range = try filter.range(after: nil, connection),
                        let walk = try RejectionWalk(filter, range, connection)
                    else { return "" }
                    let (sql, values) = walk.statement(limit: 101)
                    return try connection.query("EXPLAIN " + sql, values)
                        .compactMap { $0.text(0) }.joined(separator: "\n")
                }
                let isByIndex = !plan.contains("Seq Scan") && !plan.contains("Hash Join")
                let isJoined = plan.contains("Merge Join") || plan.contains("Join Filter")
                #expect(isByIndex && !isJoined, "\(filter)\n\(plan)")
            }
        }
    }
}
