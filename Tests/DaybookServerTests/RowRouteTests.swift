import Avro
import DaybookCatalog
import Foundation
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import DaybookServer

/// Gives rows as a test says, and remembers what was asked.
final class ScriptedRows: RowSource {
    struct Question: Equatable {
        let table: String
        var after: [String]?
        var key: [String]?
        var limit: Int?
    }

    private let result: Result<RowPage, RowSourceError>
    private let asked = Mutex<[Question]>([])

    init(_ result: Result<RowPage, RowSourceError> = .failure(.busy)) { self.result = result }

    /// Pages of these rows, NULL being nil; numbers are the columns that are given.
    convenience init(
        _ columns: [String], numbers: Set<String>, _ rows: [[String?]], hasMore: Bool = false
    ) {
        var builder = ReportTable.Builder(
            columns: columns.map {
                .init(name: $0, type: "t", form: numbers.contains($0) ? .number : .text)
            }, rowCount: rows.count)
        for value in rows.joined() {
            if let value {
                builder.append { $0.append(raw: Array(value.utf8)) }
            } else {
                builder.appendNull()
            }
        }
        self.init(.success(RowPage(rows: builder.finish(), hasMore: hasMore)))
    }

    var questions: [Question] { asked.withLock(\.self) }

    func page(
        of table: Table, after: [String]?, limit: Int
    ) async throws(RowSourceError) -> RowPage {
        asked.withLock { $0.append(Question(table: table.name, after: after, limit: limit)) }
        return try result.get()
    }

    func row(of table: Table, key: [String]) async throws(RowSourceError) -> RowPage {
        asked.withLock { $0.append(Question(table: table.name, key: key)) }
        return try result.get()
    }
}

@Suite("Rows by HTTP")
struct RowRouteTests {
    static func catalog() throws -> Catalog {
        try CatalogLoader.load(files: [
            (
                "jobs.yaml",
                """
                table: jobs
                key: [id]
                columns:
                  - {name: id, type: integer}
                  - {name: job, type: string, optional: true}
                """
            ),
            (
                "sales.yaml",
                """
                table: sales
                key: [shop, at]
                columns:
                  - {name: at, type: timestamp}
                  - {name: shop, type: string}
                """
            ),
            (
                "notes.yaml",
                "table: notes\nkey: []\ncolumns: [{name: note, type: string, optional: true}]"
            ),
            (
                "job_count.yaml",
                "aggregate: job_count\nfrom: jobs\ngroupBy: {job: job}\nmeasures: {n: count}"
            ),
        ])
    }

    private static let projections = FixedProjections(projections: [
        ProjectionStatus(name: "jobs", position: 12, state: "running"),
        ProjectionStatus(name: "sales", position: 9, state: "running"),
        ProjectionStatus(name: "notes", position: 3, state: "running"),
        ProjectionStatus(name: "audit", position: 1, state: "running"),
    ])

    private static let jobs = ["id", "job", "ledger_position"]

    @Test("A list has rows with their values as such, and next where there are more")
    func list() async throws {
        let rows = [["1", "a \"b\"", "4"], ["-9007199254740993", nil, "5"]]
        for hasMore in [false, true] {
            let source = ScriptedRows(
                Self.jobs, numbers: ["id", "ledger_position"], rows, hasMore: hasMore)
            try await withServer(
                projections: Self.projections, rows: source, catalog: Self.catalog()
            ) { client, _, _ in
                let answer = try await client.get("/v1/jobs", key: "reader")
                #expect(answer.status == .ok)
                #expect(answer.headers[.contentType] == "application/json")
                #expect(answer.headers[.vary] == "accept")
                #expect(answer.headers[.daybookPosition] == "12", "of this table only")
                let next = hasMore ? #""-9007199254740993""# : "null"
                #expect(
                    String(buffer: answer.body)
                        == #"{"rows":[{"id":1,"job":"a \"b\"","ledger_position":4},"#
                        + #"{"id":-9007199254740993,"job":null,"ledger_position":5}],"#
                        + #""next":\#(next)}"#)
                #expect(
                    answer.headers[.link]
                        == (hasMore ? "<?limit=100&after=-9007199254740993>; rel=\"next\"" : nil))
                #expect(
                    answer.headers[.daybookNext] == (hasMore ? "-9007199254740993" : nil))
                #expect(source.questions == [.init(table: "jobs", limit: 100)])
            }
        }
    }

    @Test("CSV has the dictionary's columns, as imports take them, and next in the headers")
    func csv() async throws {
        let source = ScriptedRows(
            Self.jobs, numbers: [], [["1", "a \"b\"", "4"], ["2", nil, "5"]], hasMore: true)
        try await withServer(
            projections: Self.projections, rows: source, catalog: Self.catalog()
        ) { client, _, _ in
            let answer = try await client.get("/v1/jobs?limit=2", accept: "text/csv")
            #expect(
                answer.headers[.contentType] == "text/csv; charset=utf-8; header=present")
            #expect(answer.headers[.daybookPosition] == "12")
            #expect(answer.headers[.daybookNext] == "2")
            #expect(answer.headers[.link] == "<?limit=2&after=2>; rel=\"next\"")
            #expect(
                String(buffer: answer.body) == "id,job\r\n1,\"a \"\"b\"\"\"\r\n2,\r\n")
            let one = try await client.get("/v1/jobs/1", accept: "text/csv")
            #expect(String(buffer: one.body).hasPrefix("id,job\r\n1,"))
            #expect(one.headers[.daybookNext] == nil && one.headers[.link] == nil)
        }
        let notes = ScriptedRows(
            ["note", "ledger_position"], numbers: [], [[nil, "4"], ["x", "5"]], hasMore: true)
        try await withServer(
            projections: Self.projections, rows: notes, catalog: Self.catalog()
        ) { client, _, _ in
            let answer = try await client.get("/v1/notes", accept: "text/csv")
            #expect(String(buffer: answer.body) == "note\r\n\"\"\r\nx\r\n", "no blank line")
            #expect(answer.headers[.daybookNext] == "5", "append-only: by the position")
        }
    }

    @Test("One row is the object itself, and a key that no row has is 404")
    func one() async throws {
        let source = ScriptedRows(
            Self.jobs, numbers: ["id", "ledger_position"], [["7", "x", "4"]])
        try await withServer(
            projections: Self.projections, rows: source, catalog: Self.catalog()
        ) { client, _, _ in
            let answer = try await client.get("/v1/jobs/7?min_position=12", key: "jobs")
            #expect(answer.status == .ok && answer.headers[.daybookPosition] == "12")
            #expect(
                String(buffer: answer.body) == #"{"id":7,"job":"x","ledger_position":4}"#)
            #expect(source.questions == [.init(table: "jobs", key: ["7"])])
        }
        let empty = ScriptedRows(Self.jobs, numbers: [], [])
        try await withServer(
            projections: Self.projections, rows: empty, catalog: Self.catalog()
        ) { client, _, _ in
            let answer = try await client.get("/v1/jobs/8")
            #expect(answer.status == .notFound)
            #expect(try answer.problem == "not-found")
            let list = try await client.get("/v1/jobs?after=99")
            #expect(String(buffer: list.body) == #"{"rows":[],"next":null}"#)
        }
    }

    /// A value a client may have made, encoded by its library.
    private func encoded(_ text: String) throws -> String {
        try #require(text.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
    }

    @Test("next is given back as after, and stands in a path, whatever the key holds")
    func keys() async throws {
        let shops = [
            "a,b", "50%", "%2C", "a/b?c#d", "Zoë & Søn", "+ +", "\"'", "a\nb", "..", "x;=y", "😀",
            "e\u{301}", "\u{301}",
        ]
        let time = "2021-11-07T02:48:42.5Z"
        for shop in shops {
            let source = ScriptedRows(
                ["at", "shop", "ledger_position"], numbers: [], [[time, shop, "4"]],
                hasMore: true)
            try await withServer(
                projections: Self.projections, rows: source, catalog: Self.catalog()
            ) { client, _, _ in
                let answer = try await client.get("/v1/sales?limit=3")
                let next = try #require(try answer.json["next"] as? String)
                #expect(answer.headers[.daybookNext] == next, "a header can hold it")
                let again = try await client.get("/v1/sales?after=\(try encoded(next))")
                #expect(again.status == .ok, "\(next)")
                let link = try #require(answer.headers[.link])
                let query = try #require(link.dropFirst().split(separator: ">").first)
                #expect(try await client.get("/v1/sales\(query)").status == .ok)
                #expect(try await client.get("/v1/sales/\(next)").status == .ok)
                #expect(
                    source.questions.dropFirst() == [
                        .init(table: "sales", after: [shop, time], limit: 100),
                        .init(table: "sales", after: [shop, time], limit: 3),
                        .init(table: "sales", key: [shop, time]),
                    ], "\(next)")
            }
        }
    }

    @Test("Keys are read as their columns' types, times with any offset")
    func normal() async throws {
        let source = ScriptedRows(["at", "shop", "ledger_position"], numbers: [], [])
        try await withServer(
            projections: Self.projections, rows: source, catalog: Self.catalog()
        ) { client, _, _ in
            _ = try await client.get("/v1/sales?after=x,2021-11-07T02:48:42.500%2B01:00&limit=9")
            _ = try await client.get("/v1/jobs?after=%2D07")
            _ = try await client.get("/v1/notes?after=17")
            #expect(
                source.questions == [
                    .init(table: "sales", after: ["x", "2021-11-07T01:48:42.5Z"], limit: 9),
                    .init(table: "notes", after: ["17"], limit: 100),
                ], "-07 is no integer of ours")
        }
    }

    @Test("What is not understood, or not for the key, is said before anything is read")
    func refusals() async throws {
        let source = ScriptedRows(Self.jobs, numbers: [], [])
        let cases: [(String, String?, Int, String, String)] = [
            ("jobs", nil, 401, "unauthorized", ""), ("jobs", "other", 403, "forbidden", "read"),
            ("jobs/1", nil, 401, "unauthorized", ""), ("jobs/1", "other", 403, "forbidden", ""),
            ("sales", "jobs", 403, "forbidden", "not for table sales"),
            ("sales/a,b", "jobs", 403, "forbidden", "not for table sales"),
            ("ghosts", "all", 404, "unknown-table", "ghosts"),
            ("ghosts/1", "all", 404, "unknown-table", "ghosts"),
            ("job_count", "all", 404, "unknown-table", "aggregate"),
            ("jobs?offset=3", "all", 400, "bad-option", "limit, after, min_position and timeout"),
            ("jobs/1?limit=3", "all", 400, "bad-option", "min_position and timeout"),
            ("jobs?limit=0", "all", 400, "bad-option", "1000"),
            ("jobs?limit=1001", "all", 400, "bad-option", "1000"),
            ("jobs?limit=x", "all", 400, "bad-option", "1000"),
            ("jobs?min_position=x", "all", 400, "bad-option", "min_position"),
            ("jobs?timeout=61", "all", 400, "bad-option", "timeout"),
            ("jobs?after=x", "all", 400, "bad-option", "next"),
            ("jobs?after=1,2", "all", 400, "bad-option", "next"),
            ("sales?after=x", "all", 400, "bad-option", "2 values"),
            ("sales?after=50%25,2021-01-01T00:00:00Z", "all", 400, "bad-option", "%25"),
            ("sales?after=%00,2021-01-01T00:00:00Z", "all", 400, "bad-option", "zero byte"),
            ("notes?after=x", "all", 400, "bad-option", "ledger_position"),
            ("notes?after=-1", "all", 400, "bad-option", "ledger_position"),
            ("notes/1", "all", 400, "bad-key", "no key"), ("jobs/x", "all", 400, "bad-key", "id"),
            ("jobs/%FF", "all", 400, "bad-key", "UTF-8"),
            ("jobs/1,2", "all", 400, "bad-key", "no value of id"),
        ]
        try await withServer(
            projections: Self.projections, rows: source, catalog: Self.catalog()
        ) { client, _, _ in
            for (path, key, status, kind, part) in cases {
                let answer = try await client.get("/v1/\(path)", key: key)
                #expect(answer.status.code == status, "\(path)")
                #expect(try answer.problem == kind, "\(path)")
                let detail = try answer.json["detail"] as? String ?? ""
                #expect(part.isEmpty || detail.contains(part), "\(path): \(detail)")
            }
            #expect(source.questions.isEmpty)
        }
    }

    @Test("Names of other routes stay theirs")
    func otherRoutes() async throws {
        let source = ScriptedRows(Self.jobs, numbers: [], [])
        try await withServer(rows: source, catalog: Self.catalog()) { client, _, _ in
            for path in ["status", "backups", "batches?idempotency_key=x", "rejections"] {
                _ = try await client.get("/v1/\(path)")
            }
            for path in ["batches/x", "rejections/1", "rejections/summary", "reports/x"] {
                _ = try await client.get("/v1/\(path)")
            }
            #expect(try await client.get("/v1/jobs/1/history").status == .notFound)
            #expect(source.questions.isEmpty)
        }
    }

    @Test("A read waits for its own table alone, and no longer than asked")
    func minimumPosition() async throws {
        let source = ScriptedRows(Self.jobs, numbers: [], [])
        let projections = MovingProjections([
            ProjectionStatus(name: "jobs", position: 4, state: "running"),
            ProjectionStatus(name: "sales", position: 0, state: "failed"),
        ])
        try await withServer(
            projections: projections, rows: source, catalog: Self.catalog()
        ) { client, _, _ in
            let late = try await client.get("/v1/jobs?min_position=5&timeout=0.1")
            #expect(late.status.code == 503)
            #expect(try late.problem == "behind")
            #expect(late.headers[.retryAfter] != nil)
            let lateRow = try await client.get("/v1/jobs/1?min_position=5&timeout=0.1")
            #expect(lateRow.status.code == 503)
            #expect(try lateRow.problem == "behind")
            #expect(source.questions.isEmpty)
            async let waiting = client.get("/v1/jobs?min_position=5")
            try await Task.sleep(for: .milliseconds(100))
            projections.set([
                ProjectionStatus(name: "jobs", position: 5, state: "running"),
                ProjectionStatus(name: "sales", position: 0, state: "failed"),
            ])
            let answer = try await waiting
            #expect(answer.status == .ok && answer.headers[.daybookPosition] == "5")
        }
    }

    @Test(
        "Without an answer the problem says whether to come again",
        arguments: [
            (RowSourceError.unavailable("gone"), 503, "postgres-unavailable", true),
            (.busy, 503, "rows-busy", true), (.notMade, 503, "behind", true),
            (.timedOut(seconds: 10), 504, "rows-timeout", false),
            (.failed("why"), 500, "rows-failed", false),
        ])
    func failures(error: RowSourceError, status: Int, kind: String, isRetried: Bool) async throws {
        try await withServer(
            rows: ScriptedRows(.failure(error)), catalog: Self.catalog()
        ) { client, _, _ in
            for path in ["jobs", "jobs/1"] {
                let answer = try await client.get("/v1/\(path)")
                #expect(answer.status.code == status)
                #expect(try answer.problem == kind)
                #expect((answer.headers[.retryAfter] != nil) == isRetried)
            }
        }
    }
}
