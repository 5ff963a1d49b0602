import Foundation
import Synchronization
import TestSupport
import Testing

/// A table whose keys hold whatever a client may send, and one that has no key.
private enum Parts {
    static let parts = """
        table: parts
        key: [maker, number]
        columns:
          - {name: number,  type: integer}
          - {name: maker,   type: string, maxLength: 40}
          - {name: name,    type: string, optional: true}
          - {name: price,   type: "decimal(12,3)", optional: true}
          - {name: weight,  type: number, optional: true}
          - {name: since,   type: date, optional: true}
          - {name: seen_at, type: timestamp, optional: true}
          - {name: is_sold, type: boolean, optional: true}
          - {name: tag,     type: uuid, optional: true}
        """
    static let notes = """
        table: notes
        key: []
        columns:
          - {name: note, type: string, optional: true}
        """
    static let codes = """
        table: codes
        key: [code]
        columns:
          - {name: code, type: string}
        """

    static let words = [
        "a,b", "a/b", "50%", "%2C", "%", "\"quoted\"", "'", "\\", "Zoë", "søn & Co", "😀", "+ +",
        "e\u{301}", "x?y#z", "..", ".", "a;b=c", " padded ", "line\nbreak", "tab\there", "日本", "A",
        "a", "ä", "{}", "[1]", "null", "-1", "0",
    ]

    static func catalog(in folder: TemporaryFolder) throws -> String {
        for (name, text) in [("parts", parts), ("notes", notes), ("codes", codes)] {
            try folder.write(text, to: "catalog/projections/\(name).yaml")
        }
        try FileManager.default.copyItem(
            atPath: "\(packageRoot)/sql", toPath: folder.path("catalog/sql"))
        return folder.path("catalog")
    }

    static func rows() -> [[String: Any]] {
        words.enumerated().flatMap { index, word in
            (0..<3).map { number in
                var row: [String: Any] = ["maker": word, "number": number - 1]
                guard number > 0 else { return row }
                row["name"] = words[words.count - 1 - index]
                row["price"] = Double(index) / 8
                row["weight"] = Double(index) / 3 * 1e-9
                row["since"] = "2024-02-\(10 + index % 19)"
                row["seen_at"] = "2024-01-01T01:00:\(10 + index).12345\(number)+02:00"
                row["is_sold"] = index % 2 == 0
                row["tag"] = "6f1b0f7e-2c58-4f6c-9a53-0c1f5a3f6d\(10 + index)"
                return row
            }
        }
    }
}

extension Integration {
    @Suite("Rows by HTTP") struct Rows {
        /// What a list answers.
        private struct Page {
            let rows: [[String: Any]]
            let next: String?

            init(_ answer: HTTPAnswer) throws {
                try #require(answer.status == 200, "\(answer.text)")
                let object = try JSONSerialization.jsonObject(with: answer.body)
                let page = try #require(object as? [String: Any])
                try #require(Set(page.keys) == ["rows", "next"])
                rows = try #require(page["rows"] as? [[String: Any]])
                next = page["next"] as? String
            }
        }

        private func encoded(_ text: String) throws -> String {
            try #require(text.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
        }

        /// All rows of a table, page by page, each page's next given back as it is told.
        private func all(
            _ table: String, limit: Int, _ daybook: DaybookServer
        ) async throws -> [[String: Any]] {
            var rows: [[String: Any]] = []
            var query = "?limit=\(limit)"
            for _ in 0..<5_000 {
                let page = try Page(try await daybook.client.get("/v1/\(table)\(query)"))
                #expect(page.rows.count <= limit)
                rows += page.rows
                guard let next = page.next else { return rows }
                #expect(page.rows.count == limit, "a page with more behind it is full")
                query = "?limit=\(limit)&after=\(try encoded(next))"
            }
            throw DaybookFailure(description: "\(table) has no last page")
        }

        /// The rows as psql has them: objects, in the order of the key.
        private func expected(
            _ table: String, by key: String, _ daybook: DaybookServer
        ) throws -> [NSDictionary] {
            let lines = try daybook.sql(
                "SELECT coalesce(json_agg(t ORDER BY \(key)), '[]') FROM \(table) AS t")
            // psql quotes the one field of its line.
            let text = lines.trimmingCharacters(in: .newlines).dropFirst().dropLast()
                .replacing("\"\"", with: "\"")
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            return try #require(object as? [NSDictionary])
        }

        @Test("HR: pages of every size are psql's rows, and each row is found by its key")
        func history() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                for table in DaybookServer.tables {
                    // Our times end with Z, Postgres's with its own offset.
                    let wanted = try expected(table, by: "id", daybook)
                    for limit in [7, 100, 1_000] where limit > 7 || wanted.count < 500 {
                        let rows = try await all(table, limit: limit, daybook)
                        #expect(rows.count == wanted.count && !rows.isEmpty)
                        for (row, wanted) in zip(rows, wanted) {
                            #expect(normal(row) == normal(wanted), "\(table)")
                        }
                    }
                    let row = try #require(wanted.randomElement())
                    let id = try #require(row["id"] as? Int)
                    let answer = try await daybook.client.get("/v1/\(table)/\(id)")
                    let one = try JSONSerialization.jsonObject(with: answer.body)
                    #expect(normal(try #require(one as? [String: Any])) == normal(row))
                    let end = try daybook.status().durable_position
                    #expect(answer.header("daybook-position") == "\(end)")
                }
                let text = try await daybook.client.get("/v1/hired_employees?limit=1").text
                let wanted = #/"datetime":"2021-[0-9-]+T[0-9:]+Z"/#
                #expect(text.contains(wanted), "\(text)")
                let aggregate = try await daybook.client.get("/v1/hires_by_quarter")
                #expect(aggregate.status == 404 && aggregate.text.contains("SQL"))
            }
        }

        /// A row whose times are moments.
        private func normal(_ row: [AnyHashable: Any]) -> NSDictionary {
            var row = row
            for name in ["datetime", "seen_at"] {
                guard let text = row[name] as? String else { continue }
                let whole = text.replacing(#/\.[0-9]+/#, with: "")
                let fraction = text.firstMatch(of: #/\.([0-9]+)/#).map { String($0.1) } ?? ""
                row[name] = [
                    ISO8601DateFormatter().date(from: whole).map { "\($0)" } ?? text, fraction,
                ]
            }
            return row as NSDictionary
        }

        private func normal(_ row: NSDictionary) -> NSDictionary {
            normal(row as? [AnyHashable: Any] ?? [:])
        }

        @Test("Keys with commas, slashes, signs, any letters page, are found, go back as CSV")
        func parts() async throws {
            let folder = try TemporaryFolder()
            let catalog = try Parts.catalog(in: folder)
            try await withDaybook(catalog: catalog) { daybook in
                let body = try JSONSerialization.data(withJSONObject: Parts.rows())
                let answer = try await daybook.client.append(
                    String(decoding: body, as: UTF8.self), to: "parts")
                let verdicts = try answer.verdicts()
                #expect(verdicts.rejected.isEmpty, "\(answer.text)")
                let codes = Parts.words.map { ["code": $0] }
                _ = try await daybook.client.append(
                    String(
                        decoding: try JSONSerialization.data(withJSONObject: codes),
                        as: UTF8.self), to: "codes")
                _ = try await daybook.client.append(
                    #"[{"note":"x"},{},{"note":"x"},{"note":"y, \"z\""},{}]"#, to: "notes")
                try await daybook.waitUntilProjected("parts", "codes", "notes")

                for (table, key) in [
                    ("parts", "maker, number"), ("codes", "code"), ("notes", "ledger_position"),
                ] {
                    let wanted = try expected(table, by: key, daybook)
                    for limit in [1, 4, 1_000] {
                        let rows = try await all(table, limit: limit, daybook)
                        #expect(
                            rows.map { $0["ledger_position"] as? Int }
                                == wanted.map { $0["ledger_position"] as? Int }, "\(table)")
                    }
                    for (row, wanted) in zip(try await all(table, limit: 9, daybook), wanted) {
                        expectSame(row, wanted)
                    }
                }
                for row in try expected("parts", by: "maker, number", daybook) {
                    try await expectFound(row, daybook)
                }
                try await expectCSVGoesBack(daybook, catalog)
            }
        }

        /// Decimals are text in our JSON, numbers in Postgres's.
        private func expectSame(_ row: [String: Any], _ wanted: NSDictionary) {
            var (found, wanted) = (row, wanted as? [String: Any] ?? [:])
            if let price = wanted["price"] as? Double {
                #expect((found["price"] as? String).flatMap(Double.init) == price)
                (found["price"], wanted["price"]) = (nil, nil)
            }
            #expect(normal(found) == normal(wanted))
        }

        private func expectFound(_ row: NSDictionary, _ daybook: DaybookServer) async throws {
            let maker = try #require(row["maker"] as? String)
            // A client's library takes dots away that stand alone between slashes; not here.
            let path = "/v1/parts/\(try encoded(maker)),\(try #require(row["number"] as? Int))"
            let answer = try await daybook.client.get(path)
            #expect(answer.status == 200, "\(path): \(answer.text)")
            let object = try JSONSerialization.jsonObject(with: answer.body)
            expectSame(try #require(object as? [String: Any]), row)
        }

        /// What the lists give as CSV is imported into another ledger, whose tables are the same.
        private func expectCSVGoesBack(_ daybook: DaybookServer, _ catalog: String) async throws {
            try await withDaybook(catalog: catalog) { other in
                for table in ["parts", "codes", "notes"] {
                    var path = "/v1/\(table)?limit=40"
                    var count = 0
                    while true {
                        let answer = try await daybook.client.send(
                            "GET", path, headers: ["accept": "text/csv"])
                        #expect(answer.status == 200)
                        try other.folder.write(answer.text, to: "page.csv")
                        let summary = try other.json(
                            ["import", table, other.folder.path("page.csv"), "--header"],
                            as: ImportSummary.self)
                        #expect(summary.rejected == 0 && summary.rows > 0)
                        count += summary.accepted
                        guard let next = answer.header("daybook-next") else { break }
                        let link = try #require(answer.header("link"))
                        #expect(link.hasSuffix("; rel=\"next\""))
                        path = "/v1/\(table)?limit=40&after=\(try encoded(next))"
                        #expect(link.contains("limit=40"))
                    }
                    try await other.waitUntilProjected(table)
                    #expect(try daybook.sql("SELECT count(*) FROM \(table)") == "\(count)\n")
                    let all = "SELECT to_jsonb(t) - 'ledger_position' FROM \(table) t ORDER BY 1"
                    let wanted = try daybook.sql(all)
                    #expect(try other.sql(all) == wanted)
                }
            }
        }

        @Test("What was retracted is gone, and reads go on while the table is built anew")
        func retractedAndRebuilt() async throws {
            try await withDaybook { daybook in
                try await daybook.appendJobs(1...300)
                #expect(try await daybook.client.get("/v1/jobs/7").status == 200)
                let result = try daybook.run(["retract", "jobs", "7", "--note", "a test"])
                #expect(result.status == 0, "\(result.errorText)")
                try await daybook.waitUntilProjected("jobs")
                let gone = try await daybook.client.get("/v1/jobs/7")
                #expect(gone.status == 404 && gone.text.contains("history"))
                let ids = try await all("jobs", limit: 50, daybook).map { $0["id"] as? Int }
                #expect(ids == Array(1...300).filter { $0 != 7 })

                let isDone = Mutex(false)
                let client = HTTPClient(port: daybook.client.port, key: daybook.client.key)
                async let reading = {
                    var count = 0
                    while !isDone.withLock(\.self) {
                        let answer = try await client.get("/v1/jobs?limit=1000")
                        #expect(try Page(answer).rows.count == 299)
                        #expect(try await client.get("/v1/jobs/8").status == 200)
                        count += 1
                    }
                    return count
                }()
                // On a thread of its own: it blocks, and the reading needs one of the few of all.
                nonisolated(unsafe) let server = daybook
                await withCheckedContinuation { continuation in
                    Thread.detachNewThread {
                        for _ in 0..<3 {
                            let result = try? server.run(["rebuild", "jobs"])
                            #expect(result?.status == 0, "\(result?.errorText ?? "no result")")
                        }
                        continuation.resume()
                    }
                }
                isDone.withLock { $0 = true }
                #expect(try await reading > 3)
            }
        }

        @Test("With Postgres away reads are told to come again, and appends go on")
        func away() async throws {
            let place = "postgresql://nobody@127.0.0.1:\(try freePort())/none"
            try await withDaybook(postgres: place) { daybook in
                let answer = try await daybook.client.append(
                    #"{"id": 1, "job": "J"}"#, to: "jobs")
                #expect(answer.status == 200, "\(answer.text)")
                for path in ["/v1/jobs", "/v1/jobs/1"] {
                    let away = try await daybook.client.get(path)
                    #expect(away.status == 503 && away.header("retry-after") == "5")
                    #expect(away.text.contains("postgres-unavailable"), "\(away.text)")
                }
                let behind = try await daybook.client.get("/v1/jobs?min_position=1&timeout=0.1")
                #expect(behind.status == 503 && behind.text.contains("behind"))
            }
        }

        @Test("Whoever appends and takes the position along reads what was written")
        func ownWrites() async throws {
            try await withDaybook { daybook in
                for id in 1...20 {
                    let answer = try await daybook.client.append(
                        #"{"id": \#(id), "job": "J"}"#, to: "jobs")
                    let position = try #require(answer.header("daybook-position"))
                    let row = try await daybook.client.get(
                        "/v1/jobs/\(id)?min_position=\(position)")
                    #expect(row.status == 200, "\(row.text)")
                    #expect(row.text.contains("\"id\":\(id),"))
                }
            }
        }
    }
}
