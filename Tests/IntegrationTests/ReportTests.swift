import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Reports") struct Reports {
        /// What a Python program that knows nothing of us makes of the files.
        private struct Expected: Decodable {
            let quarters: [[Cell]]
            let above: [[Cell]]
        }

        /// A value as text or number.
        private enum Cell: Decodable, Equatable, CustomStringConvertible {
            case text(String)
            case number(Int)

            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                if let number = try? container.decode(Int.self) {
                    self = .number(number)
                } else {
                    self = .text(try container.decode(String.self))
                }
            }

            var description: String {
                switch self {
                case .text(let text): text
                case .number(let number): "\(number)"
                }
            }
        }

        private static let script = """
            import collections, csv, datetime, json, sys
            folder, year = sys.argv[1], int(sys.argv[2])
            def rows(name):
                with open(f"{folder}/{name}.csv", newline="", encoding="utf-8") as file:
                    return list(csv.reader(file))
            departments, jobs = dict(rows("departments")), dict(rows("jobs"))
            quarters = collections.defaultdict(lambda: [0, 0, 0, 0])
            hired = collections.Counter()
            for row in rows("hired_employees"):
                if len(row) != 5 or "" in row:
                    continue
                at = datetime.datetime.fromisoformat(row[2].replace("Z", "+00:00"))
                at = at.astimezone(datetime.timezone.utc)
                if at.year == year:
                    quarters[row[3], row[4]][(at.month - 1) // 3] += 1
                    hired[row[3]] += 1
            by_name = sorted(
                ((departments[d].encode(), jobs[j].encode(), *q) for (d, j), q in quarters.items()))
            mean = sum(hired.values()) / len(hired) if hired else 0
            above = sorted(
                ((int(d), departments[d], n) for d, n in hired.items() if n > mean),
                key=lambda row: (-row[2], row[0]))
            json.dump({
                "quarters": [[d.decode(), j.decode(), *q] for d, j, *q in by_name],
                "above": above}, sys.stdout)
            """

        private func expected(_ data: HRData, year: Int) throws -> Expected {
            let result = try runTool(try pythonPath, ["-c", Self.script, data.folder, "\(year)"])
            guard result.status == 0 else { throw DaybookFailure(description: result.errorText) }
            return try JSONDecoder().decode(Expected.self, from: result.output)
        }

        private struct Answer: Decodable {
            let report: String
            let columns: [Column]
            let rows: [[String: Cell]]
            let parameters: [String: Int]
            let chart: Chart

            struct Column: Decodable {
                let name: String
                let type: String
            }

            struct Chart: Decodable {
                let x: [String]
                let y: [String]
            }

            /// The rows' values in the order of the columns.
            var cells: [[Cell?]] { rows.map { row in columns.map { row[$0.name] } } }
        }

        @Test(
            "The HR reports are what another program counts, as JSON, CSV and table",
            arguments: HRData.Origin.available)
        func hr(origin: HRData.Origin) async throws {
            try await withDaybook { daybook in
                let data = try HRData(origin, in: daybook.folder)
                for table in ["departments", "jobs", "hired_employees"] {
                    #expect(try daybook.run(["import", table, data.file(table)]).status == 0)
                }
                let end = try daybook.status().durable_position
                for year in [2021, 2022] {
                    let expected = try expected(data, year: year)
                    #expect(year != 2021 || expected.quarters.count > 500)
                    for (name, columns, rows) in [
                        (
                            "hires-by-quarter", ["department", "job", "q1", "q2", "q3", "q4"],
                            expected.quarters
                        ),
                        ("departments-above-mean", ["id", "department", "hired"], expected.above),
                    ] {
                        let path = "/v1/reports/\(name)?year=\(year)&min_position=\(end)"
                        try await expect(
                            name, path: path, year: year, columns: columns, rows: rows, daybook)
                    }
                }
                let byDefault = try await daybook.client.get("/v1/reports/hires-by-quarter")
                let explicit = try await daybook.client.get(
                    "/v1/reports/hires-by-quarter?year=2021")
                #expect(byDefault.body == explicit.body && byDefault.status == 200)
            }
        }

        private func expect(
            _ name: String, path: String, year: Int, columns: [String], rows: [[Cell]],
            _ daybook: DaybookServer
        ) async throws {
            let json = try await daybook.client.get(path)
            try #require(json.status == 200, "\(json.text)")
            let answer = try JSONDecoder().decode(Answer.self, from: json.body)
            #expect(answer.report == name && answer.parameters == ["year": year])
            #expect(answer.columns.map(\.name) == columns)
            #expect(Set(answer.chart.x + answer.chart.y).isSubset(of: columns))
            // Compared as a whole first: a difference of long arrays takes minutes to print.
            let areEqual = answer.cells == rows
            #expect(areEqual, "\(name) \(year): \(answer.rows.count) rows, \(rows.count) expected")

            let csv = try await daybook.client.send("GET", path, headers: ["accept": "text/csv"])
            let read = "import csv, json, sys; json.dump(list(csv.reader(sys.stdin)), sys.stdout)"
            let parsed = try runTool(try pythonPath, ["-c", read], input: csv.body)
            let lines = try JSONDecoder().decode([[String]].self, from: parsed.output)
            let text = [columns] + rows.map { $0.map(\.description) }
            #expect(lines.count == text.count && zip(lines, text).first { $0 != $1 } == nil)

            let arguments = ["report", name, "--param", "year=\(year)"]
            let command = try daybook.run(arguments + ["--format", "csv"])
            #expect(command.status == 0 && command.output == csv.body, "\(command.errorText)")
            let sameJSON = try daybook.json(arguments, as: Answer.self).cells == rows
            #expect(sameJSON)
            let table = try daybook.run(arguments)
            try expectTable(table.text, columns: columns, rows: rows)
        }

        /// Every column begins and ends where the line below the names says; numbers stand to the
        /// right, text to the left.
        private func expectTable(_ text: String, columns: [String], rows: [[Cell]]) throws {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            try #require(lines.count == rows.count + 4, "names, a line, rows, the count, the end")
            let widths = lines[1].split(separator: " ").map(\.count)
            #expect(widths.count == columns.count)
            #expect(lines[rows.count + 2] == (rows.count == 1 ? "(1 row)" : "(\(rows.count) rows)"))
            let different = zip(rows, lines[2...]).first { row, line in
                var expected = ""
                for (cell, width) in zip(row, widths) {
                    let value = cell.description
                    let space = String(repeating: " ", count: width - value.count)
                    if case .number = cell {
                        expected += space + value
                    } else {
                        expected += value + space
                    }
                    expected += "  "
                }
                while expected.last == " " { expected.removeLast() }
                return expected != line
            }
            #expect(different == nil)
        }

        @Test("Without a server the command brings the tables to the end and leaves nothing behind")
        func withoutServer() async throws {
            try await withDaybook(start: false) { daybook in
                let data = try HRData(.made, in: daybook.folder)
                for table in ["departments", "jobs", "hired_employees"] {
                    #expect(try daybook.run(["import", table, data.file(table)]).status == 0)
                }
                let expected = try expected(data, year: 2021)
                let answer = try daybook.json(
                    ["report", "departments-above-mean"], as: Answer.self)
                #expect(answer.cells == expected.above)
                let lock = "\(daybook.data)/postgres/postmaster.pid"
                #expect(!FileManager.default.fileExists(atPath: lock))

                let list = try daybook.run(["report"])
                #expect(list.status == 0 && list.text.contains("hires-by-quarter"))
                #expect(list.text.contains("--param year=2021 (integer)"))
                for wrong in [
                    ["report", "nothing"], ["report", "hires-by-quarter", "--param", "year=x"],
                    ["report", "hires-by-quarter", "--param", "jahr=2021"],
                    ["report", "hires-by-quarter", "--param", "2021"],
                ] {
                    let result = try daybook.run(wrong)
                    #expect(result.status == 2 && !result.errorText.isEmpty, "\(wrong)")
                }
                let elsewhere = try daybook.run(["report", "hires-by-quarter", "--schema", "none"])
                #expect(elsewhere.status == 1)
                #expect(elsewhere.errorText.contains("hires-by-quarter.sql:"))
            }
        }

        @Test("A mistake in a report's file keeps the server from starting, with its place")
        func mistake() async throws {
            let folder = try TemporaryFolder()
            let catalog = try OtherTrade.catalog(in: folder)
            try folder.write("-- title: T\nSELECT :x", to: "catalog/sql/reports/bad.sql")
            try await withDaybook(catalog: catalog, start: false) { daybook in
                let result = try daybook.run(["serve"])
                #expect(result.status == 2)
                #expect(result.errorText.contains("sql/reports/bad.sql:2:8: the parameter `x`"))
                #expect(!FileManager.default.fileExists(atPath: daybook.data))
            }
        }

        @Test("Postgres away is 503, and a report is there again when Postgres is")
        func postgresAway() async throws {
            let postgres = try PostgresCluster()
            try await withDaybook(postgres: postgres.url) { daybook in
                let path = "/v1/reports/departments-above-mean"
                let away = try await daybook.client.get(path)
                #expect(away.status == 503 && away.header("retry-after") != nil)
                try postgres.start()
                try await daybook.waitUntilProjected("hires_by_quarter")
                #expect(try await daybook.client.get(path).status == 200)
                try postgres.kill()
                // Its children may answer for a moment longer.
                try await wait("503") { try await daybook.client.get(path).status == 503 }
                try postgres.start()
                try await wait("the report") { try await daybook.client.get(path).status == 200 }
            }
        }
    }
}
