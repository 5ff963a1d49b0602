import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Verify") struct Verify {
        struct Report: Decodable {
            let ok: Bool
            let tables: [Summary]
            let missing: [Row]
            let extra: [Row]
            let different: [Cell]

            struct Summary: Decodable {
                let table: String
                let ok: Bool
                let position: Int?
                let rows: Int?
                let digest: String?
                let digest_of_log: String?
                let repair: Repair?
                let problem: String?
            }
            struct Repair: Decodable, Equatable {
                let deleted: Int
                let inserted: Int
            }
            struct Row: Decodable {
                let table: String
                let key: Int
                let position: Int
                let row: Values
            }
            struct Values: Decodable {
                let id: Int
                let name: String
                let datetime: String
            }
            struct Cell: Decodable, Equatable {
                let table: String
                let key: Int
                let column: String
                let log: String
                let found: String
                let position: Int
            }

            func summary(_ table: String) -> Summary? { tables.first { $0.table == table } }
        }

        private func report(_ result: ToolResult) throws -> Report {
            do {
                return try JSONDecoder().decode(Report.self, from: result.output)
            } catch {
                throw DaybookFailure(description: "\(error)\n\(result.text)\n\(result.errorText)")
            }
        }

        @Test("Fault 33: hires edited, deleted, added by hand are named, repaired, server or none")
        func hires() async throws {
            let history = try TemporaryFolder()
            let data = try HRData(.made, in: history)
            try await withDaybook { daybook in
                for table in ["departments", "jobs", "hired_employees"] {
                    let result = try daybook.run(["import", table, data.file(table)])
                    #expect(result.status == 0, "\(result.errorText)")
                }
                try await daybook.waitUntilProjected("departments", "jobs", "hired_employees")
                let sound = try daybook.run(["verify", "tables", "--json"])
                #expect(sound.status == 0, "\(sound.errorText)")
                let all = try report(sound)
                #expect(all.ok && all.tables.allSatisfy(\.ok))
                #expect(Set(all.tables.map(\.table)).isSuperset(of: ["departments", "jobs"]))
                let hires = try #require(all.summary("hired_employees"))
                #expect(hires.rows == data.acceptedHires.count)
                #expect(hires.digest == hires.digest_of_log && hires.digest?.count == 32)

                try spoil(daybook)
                try await expectFound(daybook)
                try daybook.stop()
                // Without a server the command starts Postgres itself, and stops it.
                try await expectFound(daybook)
                let repaired = try daybook.run(["verify", "tables", "--repair", "--json"])
                #expect(repaired.status == 0, "\(repaired.errorText)")
                let done = try report(repaired)
                #expect(done.ok && done.extra.count == 1)
                let repair = done.summary("hired_employees")?.repair
                #expect(repair == Report.Repair(deleted: 2, inserted: 2))

                try await daybook.start()
                let after = try report(try daybook.run(["verify", "--json"]))
                #expect(after.ok && after.different.isEmpty)
                #expect(after.summary("hired_employees")?.digest == hires.digest)

                try spoil(daybook)
                let text = try daybook.run(["verify", "tables", "hired_employees", "--repair"])
                #expect(text.status == 0, "\(text.errorText)")
                #expect(text.text.contains("1 missing, 1 extra, 1 different"))
                #expect(text.text.contains(#"name is "Nobody", the log has "#))
                #expect(try daybook.run(["verify", "tables"]).status == 0)
            }
        }

        private func spoil(_ daybook: DaybookServer) throws {
            _ = try daybook.sql(
                """
                UPDATE hired_employees SET name = 'Nobody' WHERE id =
                    (SELECT min(id) FROM hired_employees);
                DELETE FROM hired_employees WHERE id = (SELECT max(id) FROM hired_employees);
                INSERT INTO hired_employees
                    VALUES (-1, 'No Body', '2021-02-03 04:05:06+00', 1, 1, 3)
                """)
        }

        private func expectFound(_ daybook: DaybookServer) async throws {
            let result = try daybook.run(["verify", "tables", "hired_employees", "--json"])
            #expect(result.status == 1, "\(result.errorText)")
            #expect(result.errorText.contains("--repair"))
            let found = try report(result)
            #expect(!found.ok && found.tables.count == 1)
            let cell = try #require(found.different.first)
            #expect(found.different.count == 1 && cell.column == "name")
            #expect(cell.found == "Nobody" && cell.log.hasPrefix("Zoë"))
            #expect(found.missing.count == 1 && found.missing[0].row.id == found.missing[0].key)
            #expect(found.extra.map(\.key) == [-1] && found.extra.map(\.position) == [3])
            #expect(found.extra.map(\.row.datetime) == ["2021-02-03T04:05:06Z"])
        }

        @Test("verify log is log verify; wrong names are wrong usage; no Postgres is exit 4")
        func edges() async throws {
            try await withDaybook(postgres: "postgresql://nobody@127.0.0.1:1/none") { daybook in
                let away = try daybook.run(["verify", "tables"], timeoutSeconds: 180)
                #expect(away.status == 4, "\(away.errorText)")
                try daybook.stop()
                let log = try daybook.run(["verify", "log", "--json"])
                let same = try daybook.run(["log", "verify", "--json"])
                #expect(log.status == 0 && log.text == same.text)
            }
            try await withDaybook { daybook in
                let unknown = try daybook.run(["verify", "tables", "nothing"])
                #expect(unknown.status == 2 && unknown.errorText.contains("hired_employees"))
                try await daybook.waitUntilProjected("jobs")
                _ = try daybook.sql("DROP TABLE jobs")
                let dropped = try daybook.run(["verify", "tables", "--json"])
                #expect(dropped.status == 1)
                let found = try report(dropped)
                #expect(found.summary("jobs")?.problem?.contains("daybook rebuild jobs") == true)
                #expect(found.summary("departments")?.ok == true)
                let none = try daybook.run([
                    "verify", "tables", "--data", daybook.folder.path("none"),
                ])
                #expect(none.status == 2, "\(none.errorText)")
            }
        }
    }
}
