import Foundation
import TestSupport
import Testing

/// `daybook rejections list --json` and `GET /v1/rejections`.
struct RejectionList: Decodable {
    let rejections: [Entry]
    let next: Int?

    struct Entry: Decodable {
        let position: Int
        let batch_id: String
        let table: String
        let source: String
        let line: Int?
        let received_at: String
        let principal: String
        let state: String
        let reasons: [Verdicts.Reason]
        let raw: String?
        let raw_base64: String?
    }
}

/// `daybook rejections summary --json`.
struct RejectionTotals: Decodable {
    let total: Int
    let open: Int
    let by_code: [Count]
    let by_table: [Count]
    let by_source: [Count]
    let by_age: [Count]

    struct Count: Decodable, Equatable {
        var code: String?
        var table: String?
        var source: String?
        var age: String?
        let count: Int
        let open: Int
    }
}

extension Integration {
    @Suite("Rejections") struct Rejections {
        @Test("The HR history's rejections are its real lines", arguments: HRData.Origin.available)
        func history(origin: HRData.Origin) async throws {
            try await withDaybook { daybook in
                let data = try HRData(origin, in: daybook.folder)
                for table in DaybookServer.tables {
                    _ = try daybook.json(
                        ["import", table, data.file(table)], as: ImportSummary.self)
                }
                let end = try daybook.status().durable_position
                try await daybook.waitUntilProjected("audit")
                let list = try daybook.json(["rejections", "list"], as: RejectionList.self)
                #expect(list.next == nil && list.rejections.count == 70)
                let found = list.rejections.map { entry in
                    HRData.Refused(
                        line: entry.line ?? 0, text: entry.raw ?? "",
                        code: entry.reasons[0].code, column: entry.reasons[0].column ?? "")
                }
                #expect(found == data.refusedHires)
                #expect(list.rejections.allSatisfy { $0.source == "csv:hired_employees.csv" })

                let totals = try daybook.json(["rejections", "summary"], as: RejectionTotals.self)
                #expect(totals.total == 70 && totals.open == 70)
                #expect(
                    totals.by_code == [
                        .init(code: "wrong_field_count", count: 54, open: 54),
                        .init(code: "missing_field", count: 16, open: 16),
                    ])
                #expect(totals.by_table == [.init(table: "hired_employees", count: 70, open: 70)])
                #expect(totals.by_age[0] == .init(age: "under 1 hour", count: 70, open: 70))

                try await expectPages(daybook, list, end)
                try expectShown(daybook, list)
            }
        }

        /// Pages by HTTP put together are the list.
        private func expectPages(
            _ daybook: DaybookServer, _ list: RejectionList, _ end: Int
        ) async throws {
            for query in ["", "&code=missing_field", "&state=open&table=hired_employees"] {
                var found: [Int] = []
                var after = ""
                while true {
                    let answer = try await daybook.client.get(
                        "/v1/rejections?limit=9&min_position=\(end)\(query)\(after)")
                    #expect(answer.status == 200, "\(answer.text)")
                    #expect(Int(answer.header("daybook-position") ?? "") ?? 0 >= end)
                    let page = try JSONDecoder().decode(RejectionList.self, from: answer.body)
                    found += page.rejections.map(\.position)
                    guard let next = page.next else { break }
                    after = "&after=\(next)"
                }
                let wanted = list.rejections.filter {
                    query != "&code=missing_field" || $0.reasons[0].code == "missing_field"
                }
                #expect(found == wanted.map(\.position))
            }
        }

        private func expectShown(
            _ daybook: DaybookServer, _ list: RejectionList
        ) throws {
            let entry = list.rejections[3]
            let rejected = Set(list.rejections.map(\.position))
            let accepted = try #require(
                (entry.position..<(entry.position + 70)).first { !rejected.contains($0) })
            let shown = try daybook.json(
                ["rejections", "show", String(entry.position)], as: RejectionList.Entry.self)
            #expect(shown.raw == entry.raw && shown.line == entry.line && shown.state == "open")
            let text = try daybook.run(["rejections", "show", String(entry.position)]).text
            #expect(text.contains("from        csv:hired_employees.csv, line \(entry.line ?? 0)"))
            let other = try daybook.run(["rejections", "show", String(accepted)])
            #expect(other.status == 2)
            #expect(other.errorText.contains("an accepted row of table hired_employees"))
        }

        @Test("An export is CSV that Python reads, with the columns of its table to be corrected")
        func export() async throws {
            try await withDaybook { daybook in
                let data = try HRData(.made, in: daybook.folder)
                for table in DaybookServer.tables {
                    _ = try daybook.json(
                        ["import", table, data.file(table)], as: ImportSummary.self)
                }
                let rows = [
                    #"{"id": 7001, "name": "=SUM(A1)\n\"x\", é", "datetime": "2021-01-01", "#
                        + #""department_id": 1.5, "job_id": null, "more": [1, {"a": ","}]}"#,
                    #"{"name": "Solo", "name": "Twice Named", "job_id": 3}"#,
                ]
                let answer = try await daybook.client.append(
                    "[\(rows.joined(separator: ","))]", to: "hired_employees")
                #expect(answer.status == 400, "\(answer.text)")
                try await daybook.waitUntilProjected("audit")
                let path = daybook.folder.path("refused.csv")
                let made = try daybook.run([
                    "rejections", "export", "--table", "hired_employees", "--out", path,
                ])
                #expect(made.status == 0, "\(made.errorText)")
                let records = try readByPython(path)
                #expect(
                    records[0] == [
                        "position", "table", "state", "codes", "reasons", "source", "line",
                        "received_at", "principal", "raw", "id", "name", "datetime",
                        "department_id", "job_id",
                    ])
                #expect(records.count == 73)
                for (record, refused) in zip(records.dropFirst(), data.refusedHires) {
                    #expect(record[9] == refused.text && record[6] == String(refused.line))
                    #expect(record[3] == refused.code && record[2] == "open")
                    let cells =
                        refused.text.components(separatedBy: ",")
                        + Array(repeating: "", count: 5)
                    #expect(Array(record[10...]) == Array(cells[..<5]))
                }
                #expect(records[71][9] == rows[0])
                #expect(
                    Array(records[71][10...])
                        == ["7001", "=SUM(A1)\n\"x\", é", "2021-01-01", "1.5", ""])
                #expect(Array(records[72][10...]) == ["", "", "", "", "3"])

                let plain = try daybook.run(["rejections", "export", "--code", "missing_field"])
                #expect(plain.text.hasPrefix("position,table,state,codes,reasons,source,line,"))
                let object = try JSONDecoder().decode(
                    RejectionList.self,
                    from: try daybook.run(["rejections", "export", "--format", "json"]).output)
                #expect(object.rejections.count == 72 && object.next == nil)
            }
        }

        @Test("Without a server the ledger is projected first; wrong usage is said")
        func withoutServer() async throws {
            try await withDaybook(start: false) { daybook in
                try await daybook.importHistory()
                let list = try daybook.json(
                    ["rejections", "list", "--limit", "4", "--code", "wrong_field_count"],
                    as: RejectionList.self)
                #expect(list.rejections.count == 4)
                #expect(list.next == list.rejections.last?.position)
                let text = try daybook.run(["rejections", "list", "--limit", "2"]).text
                #expect(text.contains("(2 rejections; go on with --after "))
                for (option, value, part) in [
                    ("--code", "none", "malformed_batch"), ("--state", "shut", "waived"),
                    ("--since", "2021-01-01T00:00:00", "with an offset"),
                    ("--table", "ghosts", "departments, hired_employees, jobs"),
                ] {
                    let result = try daybook.run(["rejections", "list", option, value])
                    #expect(result.status == 2 && result.errorText.contains(part), "\(option)")
                }
            }
        }

        private func readByPython(_ path: String) throws -> [[String]] {
            let script = """
                import csv, json, sys
                with open(sys.argv[1], newline="", encoding="utf-8") as file:
                    json.dump(list(csv.reader(file, strict=True)), sys.stdout)
                """
            let result = try runTool(try requireTool("python3"), ["-c", script, path])
            #expect(result.status == 0, "\(result.errorText)")
            return try JSONDecoder().decode([[String]].self, from: result.output)
        }
    }
}
