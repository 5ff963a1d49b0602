import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import DaybookServer

/// Answers reports with what a test says, and remembers what was asked.
final class ScriptedReports: ReportSource {
    private let result: Result<ReportTable, ReportError>
    private let asked = Mutex<[[ScalarValue]]>([])

    init(_ result: Result<ReportTable, ReportError> = .failure(.busy)) { self.result = result }

    var arguments: [[ScalarValue]] { asked.withLock(\.self) }

    func run(
        _ report: Report, arguments: [ScalarValue]
    ) async throws(ReportError) -> ReportTable {
        asked.withLock { $0.append(arguments) }
        return try result.get()
    }
}

/// Projections that a test moves while it runs.
final class MovingProjections: ProjectionStatusSource {
    private let state: Mutex<[ProjectionStatus]>
    let end = Position.max
    let postgres = ""
    let postgresState = "connected"

    init(_ statuses: [ProjectionStatus]) { state = Mutex(statuses) }

    var projections: [ProjectionStatus] { state.withLock(\.self) }

    func set(_ statuses: [ProjectionStatus]) { state.withLock { $0 = statuses } }
}

@Suite("Reports by HTTP")
struct ReportRouteTests {
    static func reports() throws -> [Report] {
        try ReportLoader.load(files: [
            (
                "sales.sql",
                """
                -- title: Sales
                -- parameters:
                --   year: {type: integer, default: 2021}
                --   least: {type: "decimal(8,2)", default: 0.5}
                -- chart: {type: bar, x: name, y: sold}
                SELECT :year, :least
                """
            )
        ])
    }

    /// A table of every form, a NULL in each column, and text that JSON and CSV must quote.
    static func table() -> ReportTable {
        let columns: [(String, ReportTable.Column.Form)] = [
            ("name", .text), ("sold", .number), ("isNew", .boolean), ("more", .json),
        ]
        let rows: [[String?]] = [
            ["a \"b\", c\nd", "12", "true", #"{"a": [1]}"#], ["", "1e+20", "false", "null"],
            ["Zoë", "NaN", nil, "[]"], [nil, nil, nil, nil], ["-", "-Infinity", "true", "1"],
        ]
        var builder = ReportTable.Builder(
            columns: columns.map { .init(name: $0.0, type: "t", form: $0.1) },
            rowCount: rows.count)
        for value in rows.joined() {
            if let value {
                builder.append { $0.append(raw: Array(value.utf8)) }
            } else {
                builder.appendNull()
            }
        }
        return builder.finish()
    }

    @Test("A position that the log does not have is refused at once")
    func beyondEnd() async throws {
        let projections = FixedProjections(end: 7)
        let reports = ServedReports(try Self.reports(), source: ScriptedReports())
        try await withServer(projections: projections, reports: reports) { client, _, _ in
            let answer = try await client.get("/v1/reports/sales?min_position=8&timeout=5")
            #expect(answer.status == .badRequest)
            #expect(try answer.problem == "beyond-end")
        }
    }

    @Test("JSON has numbers, truth values and JSON as such, and NULL as null, in the query's order")
    func json() async throws {
        let source = ScriptedReports(.success(Self.table()))
        let served = ServedReports(try Self.reports(), source: source)
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "a", position: 12, state: "running"),
            ProjectionStatus(name: "b", position: 9, state: "running"),
        ])
        try await withServer(projections: projections, reports: served) { client, _, _ in
            let answer = try await client.get("/v1/reports/sales?least=1.5", key: "reader")
            #expect(answer.status == .ok && answer.headers[.contentType] == "application/json")
            #expect(answer.headers[.daybookPosition] == "9")
            let json = try answer.json
            #expect(json["report"] as? String == "sales" && json["title"] as? String == "Sales")
            let parameters = try #require(json["parameters"] as? [String: Any])
            #expect(parameters["year"] as? Int == 2021 && parameters["least"] as? String == "1.50")
            let columns = try #require(json["columns"] as? [[String: String]])
            #expect(columns.map { $0["name"] } == ["name", "sold", "isNew", "more"])
            let chart = try #require(json["chart"] as? [String: Any])
            #expect(chart["type"] as? String == "bar" && chart["y"] as? [String] == ["sold"])
            let rows = try #require(json["rows"] as? [[String: Any]])
            #expect(rows.map { $0["name"] as? String } == ["a \"b\", c\nd", "", "Zoë", nil, "-"])
            #expect(rows.map { $0["sold"] as? Double } == [12, 1e20, nil, nil, nil])
            #expect(rows.map { $0["isNew"] as? Bool } == [true, false, nil, nil, true])
            #expect((rows[0]["more"] as? [String: [Int]]) == ["a": [1]])
            #expect(source.arguments == [[.integer(2021), .decimal(unscaled: 150)]])
        }
    }

    @Test("CSV is what another reader reads, for whoever asks for it")
    func csv() async throws {
        let served = ServedReports(
            try Self.reports(), source: ScriptedReports(.success(Self.table())))
        try await withServer(reports: served) { client, _, _ in
            let answer = try await client.get("/v1/reports/sales", accept: "text/csv")
            #expect(answer.headers[.contentType]?.hasPrefix("text/csv") == true)
            let script = "import csv, json, sys; json.dump(list(csv.reader(sys.stdin)), sys.stdout)"
            let result = try runTool(
                try pythonPath, ["-c", script], input: Data(buffer: answer.body))
            let rows = try JSONDecoder().decode([[String]].self, from: result.output)
            #expect(rows[0] == ["name", "sold", "isNew", "more"])
            #expect(rows[1] == ["a \"b\", c\nd", "12", "true", #"{"a": [1]}"#])
            #expect(rows[4] == ["", "", "", ""] && rows.count == 6)
            #expect(String(buffer: answer.body).contains("\r\n\"\",1e+20,"), "empty, not NULL")
            let json = try await client.get(
                "/v1/reports/sales", accept: "application/json, text/csv;q=0.5")
            #expect(json.headers[.contentType] == "application/json")
        }
    }

    @Test("What is wrong with the question is said with what would be right")
    func mistakes() async throws {
        let source = ScriptedReports(.success(Self.table()))
        let served = ServedReports(try Self.reports(), source: source)
        try await withServer(reports: served) { client, _, _ in
            let parameters =
                "sales takes year (integer, 2021 by default), "
                + "least (decimal(8,2), 0.50 by default)"
            for query in ["yaer=1", "year=x", "year=1&year=2", "least=1.555"] {
                let answer = try await client.get("/v1/reports/sales?\(query)")
                #expect(answer.status == .badRequest)
                #expect(try answer.problem == "bad-parameter")
                #expect((try answer.json["detail"] as? String)?.hasSuffix(parameters) == true)
            }
            let unknown = try await client.get("/v1/reports/sails")
            #expect(unknown.status == .notFound)
            #expect((try unknown.json["detail"] as? String)?.hasSuffix("there are sales") == true)
            #expect(try await client.get("/v1/reports/sales", key: nil).status == .unauthorized)
            #expect(try await client.get("/v1/reports/sales", key: "other").status == .forbidden)
            #expect(try await client.get("/v1/reports/sales", key: "jobs").status == .forbidden)
            let position = try await client.get("/v1/reports/sales?min_position=-1")
            #expect(try position.problem == "bad-option")
            let timeout = try await client.get("/v1/reports/sales?timeout=61")
            #expect(try timeout.problem == "bad-option")
            #expect(source.arguments.isEmpty)
        }
    }

    @Test(
        "Without an answer the problem says whether to come again",
        arguments: [
            (ReportError.unavailable("gone"), 503, "postgres-unavailable", true),
            (.busy, 503, "reports-busy", true),
            (.timedOut(seconds: 10), 504, "report-timeout", false),
            (.tooLarge(rowLimit: 5), 422, "report-too-large", false),
            (.failed("sales.sql:3: why"), 500, "report-failed", false),
        ])
    func failures(error: ReportError, status: Int, kind: String, isRetried: Bool) async throws {
        let served = ServedReports(try Self.reports(), source: ScriptedReports(.failure(error)))
        try await withServer(reports: served) { client, _, _ in
            let answer = try await client.get("/v1/reports/sales")
            #expect(answer.status.code == status)
            #expect(try answer.problem == kind)
            #expect((answer.headers[.retryAfter] != nil) == isRetried)
        }
    }

    @Test("A read waits until the projections have passed the position, and no longer than asked")
    func minimumPosition() async throws {
        @Sendable func statuses(_ position: Int64, _ state: String = "running")
            -> [ProjectionStatus]
        {
            [
                ProjectionStatus(name: "a", position: position, state: state),
                ProjectionStatus(name: "b", position: 100, state: "running"),
            ]
        }
        let source = ScriptedReports(.success(Self.table()))
        let served = ServedReports(try Self.reports(), source: source)
        let projections = MovingProjections(statuses(4))
        try await withServer(projections: projections, reports: served) { client, _, _ in
            let start = ContinuousClock.now
            let late = try await client.get("/v1/reports/sales?min_position=5&timeout=0.2")
            #expect(late.status.code == 503)
            #expect(try late.problem == "behind")
            #expect(late.headers[.retryAfter] != nil)
            #expect(ContinuousClock.now - start >= .milliseconds(200))
            #expect(source.arguments.isEmpty, "nothing was asked")

            async let waiting = client.get("/v1/reports/sales?min_position=5")
            try await Task.sleep(for: .milliseconds(100))
            projections.set(statuses(5))
            let answer = try await waiting
            #expect(answer.status == .ok && answer.headers[.daybookPosition] == "5")

            projections.set(statuses(5, "failed"))
            let before = ContinuousClock.now
            let hopeless = try await client.get("/v1/reports/sales?min_position=6&timeout=30")
            #expect(hopeless.status.code == 503)
            #expect(ContinuousClock.now - before < .seconds(10), "a stopped one is not waited for")
        }
    }

    @Test("GET /v1 lists the tables with their rules and the reports with their parameters")
    func catalog() async throws {
        let served = ServedReports(try Self.reports(), source: ScriptedReports())
        try await withServer(reports: served) { client, _, _ in
            let json = try await client.get("/v1", key: "other").json
            let tables = try #require(json["tables"] as? [[String: Any]])
            #expect(tables.map { $0["name"] as? String } == ["departments", "jobs"])
            #expect(tables[1]["key"] as? [String] == ["id"])
            let columns = try #require(tables[1]["columns"] as? [[String: Any]])
            #expect(columns.map { $0["type"] as? String } == ["integer", "string"])
            let reports = try #require(json["reports"] as? [[String: Any]])
            #expect(reports.map { $0["name"] as? String } == ["sales"])
            let parameters = try #require(reports[0]["parameters"] as? [[String: Any]])
            #expect(parameters[0]["default"] as? Int == 2021)
            let limited = try await client.get("/v1", key: "jobs").json
            #expect((limited["tables"] as? [[String: Any]])?.count == 1)
            #expect(try await client.get("/v1", key: nil).status == .unauthorized)
        }
    }
}
