import Foundation
import TestSupport
import Testing

/// A scenario of docs/restore.md: a command that a test runs by it must stand in it.
struct Scenario {
    let text: String

    init(_ title: String) throws {
        let runbook = try String(contentsOfFile: "\(packageRoot)/docs/restore.md", encoding: .utf8)
        let sections = runbook.components(separatedBy: "\n## ").dropFirst()
        text = try #require(sections.first { $0.hasPrefix("\(title)\n") }, "no section \(title)")
    }

    /// Runs a command on the ledger; what the test's folders and times are called need not stand
    /// in the runbook.
    func run(_ daybook: DaybookServer, _ arguments: [String]) throws -> ToolResult {
        let words = arguments.prefix { !$0.contains("/") && !$0.contains(":") }
        let command = (["daybook"] + words.filter { $0 != "--json" }).joined(separator: " ")
        #expect(text.contains(command), "docs/restore.md does not say \(command)")
        return try daybook.run(arguments)
    }

    /// Runs a command that must succeed, and reads the JSON object that it prints.
    func json<Value: Decodable>(
        _ daybook: DaybookServer, _ arguments: [String], as type: Value.Type
    ) throws -> Value {
        let result = try run(daybook, arguments + ["--json"])
        guard result.status == 0 else {
            throw DaybookFailure(
                description: "daybook \(arguments) exited \(result.status)\n\(result.errorText)")
        }
        return try JSONDecoder().decode(type, from: result.output)
    }
}

extension Integration {
    @Suite("Runbook") struct Runbook {
        /// `daybook restore --log --json`.
        struct PutBack: Decodable {
            let ledger: String
            let position: Int
            let root: String
            let segments: Int
            let events: Int
            let put_back: Bool
            let moved_to: String?
        }

        /// `daybook ledger create --json`.
        struct Created: Decodable {
            let ledger: String
            let from_ledger: String
            let from_position: Int
            let tables: [ImportSummary]
        }

        /// Runs a scenario on a ledger with the HR history, with a server on it.
        private func onHistory(
            _ kind: PostgresKind, _ title: String,
            _ body: (DaybookServer, Scenario) async throws -> Void
        ) async throws {
            let scenario = try Scenario(title)
            let cluster = kind == .url ? try PostgresCluster() : nil
            try cluster?.start()
            defer { withExtendedLifetime(cluster) {} }
            try await withDaybook(postgres: cluster?.url) { daybook in
                try await daybook.importHistory()
                try await body(daybook, scenario)
            }
        }

        @Test("1. A table was damaged by hand", arguments: PostgresKind.allCases)
        func damagedTable(_ kind: PostgresKind) async throws {
            try await onHistory(kind, "1. A table was damaged by hand") { daybook, scenario in
                let vault = try daybook.backUp().folder
                let before = try daybook.rows()
                func damage() throws {
                    _ = try daybook.sql(
                        "DELETE FROM departments WHERE id = 3;"
                            + "UPDATE departments SET department = 'Edited' WHERE id = 4")
                    #expect(try scenario.run(daybook, ["verify", "tables", "--json"]).status == 1)
                }
                try damage()
                let repaired = try scenario.run(
                    daybook, ["verify", "tables", "departments", "--repair"])
                #expect(repaired.status == 0 && repaired.text.contains("1 missing, 0 extra"))
                #expect(try daybook.rows() == before)

                try damage()
                let fromLog = try scenario.json(
                    daybook, ["restore", "--from", "log", "--table", "departments"],
                    as: Restored.self)
                let counts = fromLog["departments"].map { [$0.added, $0.removed, $0.changed] }
                #expect(counts == [1, 0, 1] && !fromLog.held)
                #expect(try daybook.rows() == before)
                let undo = try scenario.run(daybook, ["rebuild", "departments", "--undo"])
                #expect(undo.status == 0, "\(undo.errorText)")
                #expect(try daybook.rows() != before)

                _ = try daybook.sql("DROP TABLE jobs CASCADE")
                try await whileAppending(daybook) {
                    let result = try daybook.run(
                        ["restore", "--from", vault, "--table", "departments", "--table", "jobs"])
                    #expect(result.status == 0, "\(result.text)\(result.errorText)")
                }
                try daybook.expectTablesSound()
                let after = try daybook.rows()
                #expect(after["departments"] == before["departments"])
                #expect(after["jobs"]?.contains("Meanwhile") == true)
            }
        }

        @Test("2. Postgres is lost", arguments: PostgresKind.allCases)
        func lostPostgres(_ kind: PostgresKind) async throws {
            try await onHistory(kind, "2. Postgres is lost") { daybook, scenario in
                let vault = try daybook.backUp()
                try await daybook.appendJobs(9_001...9_010)
                let before = try daybook.rows()

                try losePostgres(daybook, kind)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                try daybook.expectTablesSound()
                #expect(try daybook.rows() == before)

                try losePostgres(daybook, kind)
                let restored = try scenario.json(
                    daybook, ["restore", "--from", vault.target], as: Restored.self)
                #expect(restored.projections.map(\.projection).sorted() == before.keys.sorted())
                #expect(restored.position == vault.position + 10)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                try daybook.expectTablesSound()
                #expect(try daybook.rows() == before)
            }
        }

        /// Takes all that Postgres has away, under a server that goes on taking rows for a while.
        private func losePostgres(_ daybook: DaybookServer, _ kind: PostgresKind) throws {
            switch kind {
            case .embedded:
                try daybook.stop()
                try daybook.lose("postgres")
            case .url:
                let all = "DROP SCHEMA daybook, daybook_old, daybook_build, public CASCADE"
                _ = try daybook.sql(
                    "CREATE SCHEMA IF NOT EXISTS daybook_old;"
                        + "CREATE SCHEMA IF NOT EXISTS daybook_build; \(all); CREATE SCHEMA public")
                try daybook.stop()
            }
        }

        @Test(
            "3. The log is lost, Postgres lives, and there is a copy of the log",
            arguments: PostgresKind.allCases)
        func lostLogWithCopy(_ kind: PostgresKind) async throws {
            let title = "3. The log is lost, Postgres lives, and there is a copy of the log"
            try await onHistory(kind, title) { daybook, scenario in
                let vault = try daybook.backUp("--with-log")
                try await daybook.appendJobs(9_001...9_010)
                let before = try daybook.rows(positions: false)
                try daybook.stop()
                try daybook.lose("log", "state")

                let rescue = try scenario.json(
                    daybook, ["backup", "create", "--out", daybook.folder.path("rescue")],
                    as: MadeBackup.self)
                #expect(!rescue.held_against_log && rescue.position > vault.position)
                let back = try scenario.json(
                    daybook, ["restore", "--log", vault.folder], as: PutBack.self)
                #expect(back.position == vault.log_position && back.put_back)
                #expect(try scenario.run(daybook, ["log", "verify"]).status == 0)

                try await daybook.startHeld()
                try await wait("the projector to see it") {
                    try daybook.status().projections["jobs"]?.state == "halted"
                }
                #expect(try daybook.status().postgres_state == "connected")
                let saved = try saveRows(from: back.position, daybook, scenario)
                #expect(saved["jobs"]?.count == 10 && saved["departments"]?.isEmpty == true)
                let restored = try scenario.json(
                    daybook, ["restore", "--from", "log"], as: Restored.self)
                #expect(restored.position == back.position && !restored.held)
                #expect(restored["jobs"]?.removed == 10)
                #expect(restored["jobs"]?.notes.joined().contains("daybook_old") == true)
                #expect(restored["audit"]?.swapped == true)

                try daybook.stop()
                try await daybook.start()
                let imported = try scenario.json(
                    daybook, ["import", "jobs", daybook.folder.path("jobs.ndjson")],
                    as: ImportSummary.self)
                #expect(imported.accepted == 10 && imported.rejected == 0)
                try await daybook.waitUntilProjected("jobs", "hired_employees", "hires_by_quarter")
                try daybook.expectTablesSound()
                #expect(try daybook.rows(positions: false) == before)
                #expect(
                    try daybook.run(["rebuild", "audit", "--dry-run"]).status == 0,
                    "the audit is of the same past")
            }
        }

        /// Saves what Postgres alone has, by the runbook's own query.
        private func saveRows(
            from position: Int, _ daybook: DaybookServer, _ scenario: Scenario
        ) throws -> [String: [Substring]] {
            var saved: [String: [Substring]] = [:]
            let query = "SELECT to_jsonb(t) - 'ledger_position' FROM $TABLE AS t"
            #expect(scenario.text.contains(query))
            let conninfo = try #require(try daybook.status().postgres)
            for table in DaybookServer.tables {
                let select = query.replacing("$TABLE", with: table)
                let result = try runTool(
                    "psql",
                    [
                        "-XAtq", conninfo, "-c",
                        "\(select) WHERE ledger_position >= \(position) ORDER BY ledger_position",
                    ])
                #expect(result.status == 0, "\(result.errorText)")
                try daybook.folder.write(result.text, to: "\(table).ndjson")
                saved[table] = result.text.split(separator: "\n")
            }
            return saved
        }

        @Test(
            "4. The log is lost, Postgres lives, and there is no copy of the log",
            arguments: PostgresKind.allCases)
        func lostLogWithoutCopy(_ kind: PostgresKind) async throws {
            let title = "4. The log is lost, Postgres lives, and there is no copy of the log"
            try await onHistory(kind, title) { daybook, scenario in
                try await daybook.appendJobs(9_001...9_010)
                let before = try daybook.rows(positions: false)
                let end = try daybook.status().durable_position
                try daybook.stop()
                try daybook.lose("log", "state")

                let said = try scenario.run(
                    daybook, ["backup", "create", "--out", daybook.folder.path("rescue")])
                #expect(said.status == 0)
                #expect(said.errorText.contains("was not held against one"), "\(said.errorText)")
                let withLog = try daybook.run(["backup", "create", "--with-log"])
                #expect(withLog.status == 2, "\(withLog.errorText)")

                let rescue = daybook.folder.path("rescue")
                let taken = try daybook.run(["ledger", "create", "--from-backup", rescue])
                #expect(taken.status == 2, "\(taken.errorText)")
                #expect(taken.errorText.contains("holds the tables of ledger"))
                #expect(!FileManager.default.fileExists(atPath: "\(daybook.data)/log"))
                try useEmptyPlace(daybook, kind)
                let created = try scenario.json(
                    daybook, ["ledger", "create", "--from-backup", rescue], as: Created.self)
                #expect(created.from_position == end && created.from_ledger != created.ledger)
                #expect(created.tables.allSatisfy { $0.rejected == 0 })

                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                try daybook.expectTablesSound()
                #expect(try daybook.rows(positions: false) == before)
                let first = try daybook.run(["log", "cat", "--to", "3"])
                #expect(first.text.contains("provenance"), "\(first.text)\(first.errorText)")
            }
        }

        /// Another folder, and an empty database.
        private func useEmptyPlace(_ daybook: DaybookServer, _ kind: PostgresKind) throws {
            daybook.use(data: daybook.folder.path("data2"))
            guard kind == .url, let url = daybook.environment["DAYBOOK_POSTGRES"] else { return }
            let made = try runTool("psql", ["-Xq", "-c", "CREATE DATABASE anew", url])
            #expect(made.status == 0, "\(made.errorText)")
            daybook.use(postgres: url.replacing(/postgres$/, with: "anew"))
        }

        @Test("5. Both are lost, and there is a copy of the log")
        func bothLostWithCopy() async throws {
            let title = "5. Both are lost, and there is a copy of the log"
            try await onHistory(.embedded, title) { daybook, scenario in
                let vault = try daybook.backUp("--with-log")
                let before = try daybook.rows()
                try daybook.stop()
                try FileManager.default.removeItem(atPath: daybook.data)

                let back = try scenario.json(
                    daybook, ["restore", "--log", vault.folder], as: PutBack.self)
                #expect(back.position == vault.log_position && back.moved_to == nil)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                #expect(try daybook.rows() == before)
                #expect(try scenario.run(daybook, ["log", "verify"]).status == 0)
                try daybook.expectTablesSound()
                let verified = try scenario.run(daybook, ["backup", "verify", vault.folder])
                #expect(verified.status == 0, "\(verified.text)\(verified.errorText)")
            }
        }

        @Test("6. Both are lost, and there is a backup without the log")
        func bothLostWithoutCopy() async throws {
            let title = "6. Both are lost, and there is a backup without the log"
            try await onHistory(.embedded, title) { daybook, scenario in
                let vault = try daybook.backUp()
                let before = try daybook.rows(positions: false)
                try daybook.stop()
                try FileManager.default.removeItem(atPath: daybook.data)

                let files = try scenario.run(
                    daybook, ["backup", "verify", "--files-only", vault.folder])
                #expect(files.status == 0, "\(files.text)\(files.errorText)")
                let none = try daybook.run(["restore", "--log", vault.folder])
                #expect(none.status == 2 && none.errorText.contains("ledger create"))
                let created = try scenario.json(
                    daybook, ["ledger", "create", "--from-backup", vault.folder], as: Created.self)
                #expect(created.from_position == vault.position)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                try daybook.expectTablesSound()
                #expect(try daybook.rows(positions: false) == before)
            }
        }

        @Test("7. A wrong import", arguments: PostgresKind.allCases)
        func wrongImport(_ kind: PostgresKind) async throws {
            try await onHistory(kind, "7. A wrong import") { daybook, scenario in
                let before = try daybook.rows()
                let time = timeNow()
                let wrong = (9_001...9_020).map {
                    #"{"id":\#($0),"name":"Wrong Row","datetime":"2021-01-01T00:00:00Z","#
                        + #""department_id":1,"job_id":1}"#
                }
                let file = try daybook.folder.write(
                    wrong.joined(separator: "\n"), to: "wrong.ndjson")
                #expect(try daybook.run(["import", "hired_employees", file]).status == 0)
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")

                try await whileAppending(daybook) {
                    let past = try scenario.json(
                        daybook, ["restore", "--from", "log", "--at", time, "--into", "before"],
                        as: Restored.self)
                    #expect(past.into == "before" && !past.held)
                }
                #expect(
                    try daybook.sql(
                        "SELECT count(*) FROM hired_employees AS now WHERE NOT EXISTS"
                            + " (SELECT FROM before.hired_employees AS b WHERE b.id = now.id)")
                        == "20\n")
                let brought = "source LIKE '%wrong.ndjson'"
                #expect(
                    try daybook.sql("SELECT accepted FROM daybook.batches WHERE \(brought)")
                        == "20\n")
                let report = try scenario.run(
                    daybook, ["report", "departments-above-mean", "--schema", "before"])
                #expect(report.status == 0, "\(report.errorText)")

                try await whileHeld(daybook) {
                    let held = try scenario.json(
                        daybook, ["restore", "--from", "log", "--at", time], as: Restored.self)
                    #expect(held.held && held["hired_employees"]?.removed == 20)
                }
                #expect(try daybook.rows() == before)
                try await expectHeld(daybook)
                for name in DaybookServer.projections {
                    #expect(try daybook.run(["projections", "resume", name]).status == 0)
                }
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                #expect(try daybook.sql("SELECT count(*) FROM jobs WHERE id = 500001") == "1\n")
                #expect(try count("Wrong Row", daybook) == "20\n", "what is in the log comes back")
                try daybook.expectTablesSound()
                try await replace(file, before, daybook, scenario)
            }
        }

        private func count(_ name: String, _ daybook: DaybookServer) throws -> String {
            try daybook.sql("SELECT count(*) FROM hired_employees WHERE name = '\(name)'")
        }

        /// Takes the wrong file's rows back, and imports the right one, of the same ids.
        private func replace(
            _ file: String, _ before: [String: String], _ daybook: DaybookServer,
            _ scenario: Scenario
        ) async throws {
            #expect(scenario.text.contains("daybook retract --import FILE --dry-run"))
            let imports = try daybook.run(["log", "cat", "--verdict", "control"])
            #expect(scenario.text.contains("daybook log cat --verdict control"))
            #expect(imports.text.contains(#""file":"wrong.ndjson""#), "\(imports.text)")
            let told = try scenario.run(daybook, ["retract", "--import", file, "--dry-run"])
            #expect(told.status == 0 && told.text.hasPrefix("would retract 20 rows"))
            let done = try scenario.run(
                daybook, ["retract", "--import", file, "--note", "the file of another year"])
            #expect(done.status == 0, "\(done.errorText)")
            try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
            #expect(try count("Wrong Row", daybook) == "0\n")
            for name in ["departments", "hired_employees", "hires_by_quarter"] {
                #expect(try daybook.rows()[name] == before[name], "\(name)")
            }

            let right = try String(contentsOfFile: file, encoding: .utf8)
                .replacing("Wrong Row", with: "Right Row")
            let imported = try scenario.json(
                daybook,
                ["import", "hired_employees", daybook.folder.write(right, to: "right.ndjson")],
                as: ImportSummary.self)
            #expect(imported.accepted == 20 && imported.rejected == 0, "the keys are free")
            try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
            #expect(try count("Right Row", daybook) == "20\n")
            let left = try scenario.run(daybook, ["retract", "--import", file, "--dry-run"])
            #expect(left.status == 1 && left.errorText.contains("nothing to retract"))
            try daybook.expectTablesSound()
        }

        /// As `whileAppending`, with tables that stand still after: only the log is waited for.
        private func whileHeld(
            _ daybook: DaybookServer, _ body: () throws -> Void
        ) async throws {
            let start = try daybook.status().durable_position
            let row = #"{"id": 700001, "job": "While held"}"#
            let answer = Task { [client = daybook.client] in
                try await client.append(row, to: "jobs").status
            }
            try body()
            #expect(try await answer.value == 200)
            #expect(try daybook.status().durable_position > start)
        }

        private func expectHeld(_ daybook: DaybookServer) async throws {
            struct Report: Decodable {
                struct Projection: Decodable {
                    let state: String
                    let reason: String?
                }
                let projections: [String: Projection]
            }
            for name in DaybookServer.projections {
                try await wait("\(name) to be held") {
                    let found = try daybook.json(["status"], as: Report.self).projections[name]
                    return found?.state == "paused"
                        && found?.reason?.contains("restored to position") == true
                }
            }
        }

        @Test("8. A backup is not what it should be")
        func damagedBackup() async throws {
            let title = "8. A backup is not what it should be"
            try await onHistory(.embedded, title) { daybook, scenario in
                let vault = try daybook.backUp().folder
                let before = try daybook.rows()
                let path = URL(fileURLWithPath: "\(vault)/jobs.avro")
                var bytes = try Data(contentsOf: path)
                bytes[bytes.count - 40] ^= 1
                try bytes.write(to: path)

                struct Found: Decodable {
                    struct Problem: Decodable { let file: String }
                    let ok: Bool
                    let problems: [Problem]
                    let missing: [Row]
                    struct Row: Decodable { let table: String }
                }
                let verified = try scenario.run(daybook, ["backup", "verify", vault, "--json"])
                #expect(verified.status == 1)
                let found = try JSONDecoder().decode(Found.self, from: verified.output)
                #expect(!found.ok && found.problems.allSatisfy { $0.file == "jobs.avro" })
                #expect(found.missing.allSatisfy { $0.table == "jobs" } && !found.missing.isEmpty)
                let refused = try daybook.run(["restore", "--from", vault])
                #expect(refused.status == 1 && refused.errorText.contains("nothing was touched"))
                #expect(try daybook.rows() == before)
                #expect(
                    try daybook.sql(
                        "SELECT count(*) FROM pg_tables WHERE schemaname = 'daybook_build'")
                        == "0\n")
                #expect(try scenario.run(daybook, ["backup", "drill", vault]).status == 1)
            }
        }
    }
}
