import DaybookCatalog
import Foundation
import TestSupport
import Testing

/// One mistaken report and every line that it must give.
struct ReportMistake: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let file: String
    let text: String
    let expected: [String]

    init(_ what: String, file: String = "r.sql", _ text: String, expect expected: String...) {
        testDescription = what
        self.file = file
        self.text = text
        self.expected = expected
    }
}

@Suite("Reports from their files")
struct ReportLoaderTests {
    @Test("The header says what it is, and parameters become bound values of their types")
    func whole() throws {
        let text = """
            -- title: Sales
            -- doc: >
            --   What was sold,
            --   by day
            -- parameters:
            --   since: {type: date, default: 2021-01-01, doc: "First day: included"}
            --   least: {type: "decimal(8,2)"}
            -- chart: {type: bar, x: day, y: [sold, returned]}
            --
            SELECT day, ':no', sold -- :neither
              FROM sales WHERE day >= :since AND sold > :least AND day::text <> ':since';
            """
        let report = try #require(
            try ReportLoader.load(files: [("sql/reports/daily-sales2.sql", text)]).first)
        #expect(report.name == "daily-sales2" && report.title == "Sales")
        #expect(report.doc == "What was sold, by day")
        #expect(report.parameters.map(\.name) == ["since", "least"])
        #expect(report.parameters.map(\.type) == [.date, .decimal(precision: 8, scale: 2)])
        #expect(report.parameters[0].doc == "First day: included")
        #expect(report.parameters[0].defaultValue?.text(type: .date) == "2021-01-01")
        #expect(report.parameters[1].defaultValue == nil)
        let chart = try #require(report.chart)
        #expect(chart.kind == .bar && chart.x == ["day"] && chart.y == ["sold", "returned"])
        #expect(
            report.sql.hasSuffix(
                """
                SELECT day, ':no', sold -- :neither
                  FROM sales WHERE day >= CAST($1 AS date) AND sold > CAST($2 AS numeric(8,2)) \
                AND day::text <> ':since'
                """))
        #expect(
            report.sql.split(separator: "\n", omittingEmptySubsequences: false).count
                == text.split(separator: "\n", omittingEmptySubsequences: false).count)
    }

    @Test("A mistake names its place, what is wrong and what would be right", arguments: mistakes)
    func mistake(mistake: ReportMistake) {
        let error = #expect(throws: CatalogError.self) {
            try ReportLoader.load(files: [(mistake.file, mistake.text)])
        }
        #expect(
            error?.description.split(separator: "\n").map(String.init) == mistake.expected)
    }

    static let mistakes: [ReportMistake] = headers + queries

    static let headers: [ReportMistake] = [
        ReportMistake(
            "an unknown key", "-- title: T\n-- titel: T\nSELECT 1",
            expect: "r.sql:2:4: the header has no `titel`; did you mean `title`?"),
        ReportMistake(
            "no header", "SELECT 1",
            expect: "r.sql:1:1: the report has no header; begin the file with `-- title: …`"),
        ReportMistake(
            "no title", "-- doc: D\nSELECT 1",
            expect: "r.sql:1:4: the report has no `title`; begin the file with `-- title: …`"),
        ReportMistake(
            "prose for a header", "-- how many there are\nSELECT 1",
            expect: "r.sql:1:4: the header is not a mapping; write it as `key: value` pairs"),
        ReportMistake(
            "a header that is no YAML", "-- title: [T\nSELECT 1",
            expect: "r.sql:2:1: the YAML does not parse: did not find expected ',' or ']'; "
                + "mend it; text with quotes, `:`, `#` or a sign in front stands in quotes"),
        ReportMistake(
            "a bad default",
            "-- title: T\n-- parameters:\n--   year: {type: integer, default: last}\nSELECT :year",
            expect: "r.sql:3:37: `last` is no integer; "
                + "write a whole number of at most 64 bits, such as 12"),
        ReportMistake(
            "a bad type", "-- title: T\n-- parameters:\n--   y: {type: int}\nSELECT :y",
            expect: "r.sql:3:16: `int` is no type; did you mean `integer`?"),
        ReportMistake(
            "no type", "-- title: T\n-- parameters:\n--   y: {doc: D}\nSELECT :y",
            expect: "r.sql:3:9: parameter `y` has no `type`; the types are integer, number, "
                + "decimal(p,s), boolean, string, date, timestamp, uuid"),
        ReportMistake(
            "an unknown key of a parameter",
            "-- title: T\n-- parameters:\n--   y: {type: integer, min: 1}\nSELECT :y",
            expect: "r.sql:3:25: parameter `y` has no `min`; its keys are type, default, doc"),
        ReportMistake(
            "a name of the interface's",
            "-- title: T\n-- parameters:\n--   timeout: {type: integer}\nSELECT :timeout",
            expect: "r.sql:3:6: a parameter may not be named `timeout`; "
                + "that option is the interface's own; choose another name"),
        ReportMistake(
            "a chart of no kind", "-- title: T\n-- chart: {type: pie, x: a, y: b}\nSELECT 1",
            expect: "r.sql:2:18: `type` cannot be `pie`; write `bar`, `heatmap`"),
        ReportMistake(
            "a chart without an axis", "-- title: T\n-- chart: {type: bar, x: a}\nSELECT 1",
            expect: "r.sql:2:11: the chart has no `y`; "
                + "write `{type: bar, x: department, y: hired}`"),
        ReportMistake(
            "a bad file name", file: "sql/reports/My Report.sql", "-- title: T\nSELECT 1",
            expect: "sql/reports/My Report.sql:1:1: `My Report` is no name for a report; name the "
                + "file with lower-case letters, digits and `-`, a letter first, such as "
                + "`hires-by-quarter.sql`"),
    ]

    static let queries: [ReportMistake] = [
        ReportMistake(
            "a parameter that is not declared", "-- title: T\nSELECT\n  'ä', :year",
            expect: "r.sql:3:8: the parameter `year` is not declared; there is none yet"),
        ReportMistake(
            "a parameter that is misspelt, and so not used",
            "-- title: T\n-- parameters:\n--   year: {type: integer}\nSELECT :yaer",
            expect: "r.sql:3:6: the query does not use the parameter `year`; "
                + "write `:year` where its value stands, or remove it",
            "r.sql:4:8: the parameter `yaer` is not declared; did you mean `year`?"),
        ReportMistake(
            "a zero byte, behind which Postgres would not read", "-- title: T\nSELECT 1\0, 2",
            expect: "r.sql:2:9: the query holds a zero byte; "
                + "remove it: Postgres reads no further"),
        ReportMistake(
            "a second statement", "-- title: T\nSELECT 1; -- one\n DROP TABLE jobs;",
            expect: "r.sql:3:2: the file has a second statement; write one query a file"),
        ReportMistake(
            "no statement", "-- title: T\n/* SELECT 1 */ ;",
            expect: "r.sql:1:1: the file has no query; write a SELECT below the header"),
        ReportMistake(
            "a number for a parameter", "-- title: T\nSELECT $1",
            expect: "r.sql:2:8: `$1` is no parameter of a report; "
                + "declare a parameter in the header and write `:name`"),
        ReportMistake(
            "a quote without end", "-- title: T\nSELECT 'it''s, :year",
            expect: "r.sql:2:8: a quote or comment begins here and does not end; end it"),
        ReportMistake(
            "a comment without end", "-- title: T\nSELECT 1 /* a /* b */",
            expect: "r.sql:2:10: a quote or comment begins here and does not end; end it"),
    ]

    @Test("All files of a folder are read in order of name, and only reports")
    func folder() throws {
        let folder = try TemporaryFolder()
        try folder.write("-- title: B\nSELECT 2", to: "reports/b.sql")
        try folder.write("-- title: A\nSELECT 1", to: "reports/a.sql")
        try folder.write("# Reports", to: "reports/README.md")
        try folder.write("SELECT", to: "reports/.hidden.sql")
        #expect(try ReportLoader.load(folder: folder.path("reports")).map(\.title) == ["A", "B"])
        #expect(try ReportLoader.load(folder: folder.path("nowhere")).isEmpty)
    }

    @Test("The shipped reports are sound")
    func shipped() throws {
        let reports = try ReportLoader.load(folder: packageRoot + "/sql/reports")
        #expect(reports.map(\.name) == ["departments-above-mean", "hires-by-quarter"])
        for report in reports {
            #expect(report.parameters.map(\.name) == ["year"] && report.chart != nil)
            #expect(report.parameters[0].defaultValue == .integer(2021))
        }
    }

    @Test("Arguments are checked by their types, and a mistake names the parameters")
    func arguments() throws {
        let report = try #require(
            try ReportLoader.load(files: [
                (
                    "r.sql",
                    """
                    -- title: T
                    -- parameters:
                    --   year: {type: integer, default: 2021}
                    --   name: {type: string}
                    SELECT :year, :name
                    """
                )
            ]).first)
        #expect(
            try report.arguments([("name", "O'Neil; DROP")])
                == [.integer(2021), .string("O'Neil; DROP")])
        #expect(
            try report.arguments([("year", "-3"), ("name", "")]) == [.integer(-3), .string("")])
        let mistakes: [([(String, String)], String)] = [
            ([("name", "a"), ("yaer", "1")], "there is no parameter yaer"),
            ([("name", "a"), ("year", "1.5")], "year is not a whole number of at most 64 bits"),
            ([("name", "a"), ("year", "")], "year is not a whole number of at most 64 bits"),
            ([("name", "a"), ("name", "b")], "name stands twice"),
            ([("name", "a\0b")], "name is not text without zero bytes"),
            ([], "name is missing"),
        ]
        for (given, what) in mistakes {
            let error = #expect(throws: ReportArgumentError.self) { try report.arguments(given) }
            let text = try #require(error?.description)
            #expect(text.hasPrefix(what), "\(text)")
            #expect(text.hasSuffix("; r takes year (integer, 2021 by default), name (string)"))
        }
    }
}
