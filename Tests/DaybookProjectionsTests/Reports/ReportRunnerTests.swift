import DaybookCatalog
import DaybookProjections
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import LedgerWorld

@Suite("Reports on Postgres")
struct ReportRunnerTests {
    private func report(_ sql: String, _ parameters: String = "{}") throws -> Report {
        let text = "-- title: T\n-- parameters: \(parameters)\n\(sql)"
        return try #require(try ReportLoader.load(files: [("sql/reports/r.sql", text)]).first)
    }

    private func rows(_ table: ReportTable) -> [[String?]] {
        (0..<table.rowCount).map { row in
            table.columns.indices.map { table.value(row: row, column: $0) }
        }
    }

    @Test("Values of every type come as what they are, whatever the database's settings")
    func types() async throws {
        let conninfo = try await TestCluster.freshDatabase()
        _ = try psql(
            conninfo,
            """
            DO $$ BEGIN
              EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Kolkata''',
                current_database());
              EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''',
                current_database());
            END $$
            """)
        let runner = ReportRunner { conninfo }
        let table = try await runner.run(
            try report(
                """
                SELECT 1::int2 AS a, -2::int4 AS b, 9007199254740993 AS c, 0.1::float8 AS d,
                  'NaN'::float4 AS e, 12.30::numeric AS f, true AS g, NULL::bool AS h,
                  '2021-11-07 02:48:42.5+02'::timestamptz AS i, '2021-02-03'::date AS j,
                  '2021-11-07 02:48:42'::timestamp AS k, '{"a":1}'::jsonb AS l,
                  'infinity'::timestamptz AS m, 'a''b' AS n, '{1,2}'::int[] AS o
                """), arguments: [])
        #expect(
            rows(table) == [
                [
                    "1", "-2", "9007199254740993", "0.1", "NaN", "12.30", "true", nil,
                    "2021-11-07T00:48:42.5Z", "2021-02-03", "2021-11-07T02:48:42", #"{"a": 1}"#,
                    "infinity", "a'b", "{1,2}",
                ]
            ])
        #expect(table.columns.prefix(5).allSatisfy { $0.form == .number })
        #expect(table.columns[5].form == .text && table.columns[6].form == .boolean)
        #expect(table.columns[11].form == .json)
        #expect(table.columns[8].type == "timestamp with time zone")
        #expect(table.columns[14].type == "integer[]")
    }

    @Test("Parameters of every type are bound: no value is ever part of the query")
    func parameters() async throws {
        let conninfo = try await TestCluster.freshDatabase()
        _ = try psql(conninfo, "CREATE TABLE t (x text); INSERT INTO t VALUES ('there')")
        let runner = ReportRunner { conninfo }
        let all = try report(
            """
            SELECT :i AS i, :n, :d, :b, :s, :day, :at, :u, pg_typeof(:d)::text, ':s' AS quoted,
              length(:s)
            """,
            """
            {i: {type: integer}, n: {type: number}, d: {type: "decimal(6,2)"}, b: {type: boolean},
            --  s: {type: string}, day: {type: date}, at: {type: timestamp}, u: {type: uuid}}
            """)
        let evil = "'); DROP TABLE t; --"
        let arguments = try all.arguments([
            ("i", "-9223372036854775808"), ("n", "1e-7"), ("d", "12.5"), ("b", "true"),
            ("s", evil), ("day", "0001-01-01"), ("at", "2021-11-07T02:48:42.123456+05:30"),
            ("u", "6F1B0F7E-2C58-4F6C-9A53-0C1F5A3F6D11"),
        ])
        let table = try await runner.run(all, arguments: arguments)
        #expect(
            rows(table) == [
                [
                    "-9223372036854775808", "1e-07", "12.50", "true", evil, "0001-01-01",
                    "2021-11-06T21:18:42.123456Z", "6f1b0f7e-2c58-4f6c-9a53-0c1f5a3f6d11",
                    "numeric", ":s", "\(evil.count)",
                ]
            ])
        #expect(try psql(conninfo, "SELECT x FROM t") == "there")
    }

    @Test("A report only reads, is one query, and its mistakes name file and line")
    func readOnly() async throws {
        let conninfo = try await TestCluster.freshDatabase()
        _ = try psql(
            conninfo,
            """
            CREATE TABLE t (x int);
            CREATE FUNCTION add() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING 1'
            """)
        let runner = ReportRunner { conninfo }
        for (sql, place, what) in [
            ("SELECT add()", "r.sql", "25006"), ("SELECT\n  x,\n  y FROM t", "r.sql:5", "42703"),
            ("DELETE FROM t RETURNING x", "r.sql:3", "42601"),
            ("WITH d AS (DELETE FROM t RETURNING x) SELECT * FROM d", "r.sql:3", "0A000"),
            ("COMMIT", "r.sql:3", "42601"),
        ] {
            let error = await #expect(throws: ReportError.self) {
                try await runner.run(try report(sql), arguments: [])
            }
            guard case .failed(let why) = error else {
                Issue.record("\(sql): \(String(describing: error))")
                continue
            }
            #expect(why.hasPrefix("sql/reports/\(place)") && why.contains(what), "\(why)")
        }
        #expect(try psql(conninfo, "SELECT count(*) FROM t") == "0")
        // The connection goes on.
        let table = try await runner.run(
            try report("SELECT 1 AS a ORDER BY 1 -- no more"), arguments: [])
        #expect(rows(table) == [["1"]])
    }

    @Test("A query that runs or grows too long is ended, in the tables' own schema")
    func limits() async throws {
        let conninfo = try await TestCluster.freshDatabase()
        _ = try psql(
            conninfo, "CREATE SCHEMA \"my tables\"; CREATE TABLE \"my tables\".t AS SELECT 7")
        var options = ReportRunner.Options()
        options.timeoutSeconds = 1
        options.rowLimit = 10
        options.schema = "my tables"
        options.connectionCount = 1
        options.waitingCount = 1
        let runner = ReportRunner(options: options) { conninfo }
        #expect(rows(try await runner.run(try report("TABLE t"), arguments: [])) == [["7"]])
        let many = try report(
            "SELECT n FROM generate_series(1, :n) AS n ORDER BY n DESC",
            "{n: {type: integer}}")
        let ten = try await runner.run(many, arguments: [.integer(10)])
        #expect(rows(ten) == (1...10).reversed().map { ["\($0)"] })
        await #expect(throws: ReportError.tooLarge(rowLimit: 10)) {
            try await runner.run(many, arguments: [.integer(11)])
        }
        let slow = try report("SELECT pg_sleep(60)")
        let start = ContinuousClock.now
        // One runs, one waits, and the third is told at once.
        async let first = Result { try await runner.run(slow, arguments: []) }
        async let second = Result { try await runner.run(slow, arguments: []) }
        async let third = Result { try await runner.run(slow, arguments: []) }
        let errors = await [first, second, third].compactMap { $0.error as? ReportError }
        #expect(errors.count { $0 == .timedOut(seconds: 1) } == 2)
        #expect(errors.count { $0 == .busy } == 1)
        #expect(ContinuousClock.now - start < .seconds(50))
        #expect(try await runner.run(many, arguments: [.integer(0)]).rowCount == 0)
    }

    @Test("A connection that was lost is made again; without Postgres it says so")
    func lost() async throws {
        let conninfo = try await TestCluster.freshDatabase()
        let place = Mutex<String?>(nil)
        let runner = ReportRunner { place.withLock(\.self) }
        let one = try report("SELECT 1 AS one")
        await #expect(throws: ReportError.self) { try await runner.run(one, arguments: []) }
        place.withLock { $0 = "host=/nowhere" }
        let error = await #expect(throws: ReportError.self) {
            try await runner.run(one, arguments: [])
        }
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        place.withLock { $0 = conninfo }
        #expect(rows(try await runner.run(one, arguments: [])) == [["1"]])
        let killed = try psql(
            conninfo,
            """
            SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
             WHERE application_name = 'daybook reports' AND datname = current_database()
            """)
        #expect(killed == "1")
        #expect(rows(try await runner.run(one, arguments: [])) == [["1"]])
    }
}

extension Result where Failure == any Error {
    /// What a body gave or threw.
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }

    fileprivate var error: (any Error)? {
        if case .failure(let error) = self { error } else { nil }
    }
}
