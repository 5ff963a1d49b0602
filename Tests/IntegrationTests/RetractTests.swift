import Foundation
import TestSupport
import Testing

/// `daybook retract --json`.
private struct Retracted: Decodable {
    let position: Int?
    let dry_run: Bool?
    let rows: Int
    let tables: [String: Int]
    let note: String?
    let by: String
}

/// `daybook why --json`; only what the tests look at.
private struct RowHistory: Decodable {
    struct Event: Decodable {
        struct Retraction: Decodable {
            let position: Int
            let note: String
            let by: String
        }
        let position: Int
        let retraction: Retraction?
    }
    let state: String
    let events: [Event]
}

/// `daybook import --json` of a file that was imported before.
private struct Imported: Decodable {
    let accepted: Int
    let already_imported: Bool
    let retracted: Bool
    let retracted_at: String?
}

extension Integration {
    @Suite("Retractions") struct Retractions {
        private func why(_ daybook: DaybookServer, _ key: String...) throws -> RowHistory {
            try daybook.json(["why"] + key, as: RowHistory.self)
        }

        /// Runs a command that must be refused, and gives what it says.
        private func refusal(_ daybook: DaybookServer, _ arguments: String...) throws -> String {
            let result = try daybook.run(["retract"] + arguments)
            #expect(result.status == 1, "\(result.text)\(result.errorText)")
            #expect(result.output.isEmpty)
            return result.errorText
        }

        @Test(
            "HR: the wrong file goes, the right one comes; with a server and without",
            arguments: [true, false])
        func wrongImport(hasServer: Bool) async throws {
            try await withDaybook { daybook in
                let data = try HRData(.made, in: daybook.folder)
                for table in ["departments", "jobs"] {
                    _ = try daybook.json(["import", table, data.file(table)], as: Imported.self)
                }
                // The same people, all in department 1: their ids are those of the right file.
                let wrong = daybook.folder.path("wrong.csv")
                try wrongHires(data).write(toFile: wrong, atomically: true, encoding: .utf8)
                let command = ["import", "hired_employees"]
                let bad = try daybook.json(command + [wrong], as: ImportSummary.self)
                #expect(bad.accepted == 1_929 && bad.rejected == 70)
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                if !hasServer { _ = try daybook.stop() }

                let end = try daybook.status().durable_position
                let told = try daybook.run(["retract", "--import", wrong, "--dry-run"])
                #expect(told.status == 0, "\(told.errorText)")
                #expect(told.text.hasPrefix("would retract 1929 rows of hired_employees (position"))
                #expect(try daybook.status().durable_position == end)
                let done = try daybook.run(
                    ["retract", "--import", wrong, "--note", "department 1 only"])
                #expect(done.status == 0, "\(done.errorText)")
                let first = try #require(bad.first_position), last = try #require(bad.last_position)
                #expect(
                    done.text.hasPrefix(
                        "retracted 1929 rows of hired_employees (positions \(first)–\(last)); "
                            + "their keys are free again\n"))
                #expect(done.text.contains("--force"))
                #expect(try daybook.status().durable_position == end + 1)
                let twice = try refusal(daybook, "--import", wrong, "--note", "again")
                #expect(twice.contains("nothing to retract"), "\(twice)")

                let again = try daybook.run(command + [wrong])
                #expect(again.status == 0 && again.text.contains("its rows were retracted at"))
                let before = try daybook.json(command + [wrong], as: Imported.self)
                #expect(before.already_imported && before.retracted && before.retracted_at != nil)
                let file = data.file("hired_employees")
                let good = try daybook.json(command + [file], as: ImportSummary.self)
                #expect(good.accepted == 1_929 && good.rejected == 70 && !good.already_imported)
                if !hasServer { try await daybook.start() }
                try await expectRight(data, daybook, retraction: end, hasServer: hasServer)
            }
        }

        private func wrongHires(_ data: HRData) -> String {
            data.hires.map { line in
                var fields = line.split(separator: ",", omittingEmptySubsequences: false)
                if fields.count == 5, !fields[3].isEmpty { fields[3] = "1" }
                return fields.joined(separator: ",") + "\n"
            }.joined()
        }

        /// The history says what happened, and the tables are what the right file says.
        private func expectRight(
            _ data: HRData, _ daybook: DaybookServer, retraction end: Int, hasServer: Bool
        ) async throws {
            let hire = try #require(data.acceptedHires.last).split(separator: ",")
            let history = try why(daybook, "hired_employees", String(hire[0]))
            #expect(history.state == "present" && history.events.count == 2)
            let retraction = try #require(history.events[0].retraction)
            #expect(retraction.position == end && retraction.note == "department 1 only")
            #expect(retraction.by.hasPrefix("local:") && history.events[1].retraction == nil)

            try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
            let wanted = data.acceptedHires.map { line in
                let fields = line.split(separator: ",")
                return "\(fields[0]),\(fields[3]),\(fields[4])"
            }
            let found = try daybook.sql(
                "SELECT id, department_id, job_id FROM hired_employees ORDER BY id")
            #expect(found.split(separator: "\n").map(String.init).sorted() == wanted.sorted())
            #expect(
                try daybook.sql("SELECT sum(hires) FROM hires_by_quarter") == "\(wanted.count)\n")
            try daybook.expectTablesSound()
        }

        @Test("A row by its key and a batch go; after a restart the keys are free")
        func keysAreFree() async throws {
            try await withDaybook { daybook in
                let row = #"{"id": 7, "job": "Cook"}"#
                let others = #"[{"id": 8, "job": "Smith"}, {"id": 9}, {"id": 10, "job": "Sawyer"}]"#
                #expect(try await daybook.client.append(row, to: "jobs").status == 200)
                let batch = try await daybook.client.append(others, to: "jobs").verdicts()
                let one = try daybook.json(
                    ["retract", "jobs", "7", "--note", "never was"], as: Retracted.self)
                #expect(one.rows == 1 && one.tables == ["jobs": 1] && one.note == "never was")
                #expect(one.by == "local:" + NSUserName())
                let two = try daybook.json(
                    ["retract", "--batch", batch.batch_id, "--note", "sent twice"],
                    as: Retracted.self)
                #expect(two.rows == 2 && two.position == (one.position ?? 0) + 1)
                #expect(try why(daybook, "jobs", "7").state == "retracted")
                let cat = try daybook.run(["log", "cat", "--from", "\(one.position ?? 0)"])
                #expect(cat.text.contains(#""kind":"retraction""#), "\(cat.text)")
                #expect(cat.text.contains(#""text":{"by":"\#(one.by)","note":"never was"}"#))

                daybook.kill()
                try await daybook.start()
                let again = try await daybook.client.append(row, to: "jobs").verdicts()
                #expect(again.accepted == 1, "the key is free")
                let more = try await daybook.client.append(others, to: "jobs").verdicts()
                #expect(more.accepted == 2)
                let late = try daybook.run(["retract", "--batch", batch.batch_id, "--note", "n"])
                #expect(late.status == 1 && late.errorText.contains("nothing to retract"))
                try await daybook.waitUntilProjected("jobs")
                #expect(
                    try daybook.sql("SELECT id FROM jobs ORDER BY id") == "7\n8\n10\n")
                try daybook.expectTablesSound()
            }
        }

        @Test("What others refer to stays, unless they go with it", arguments: [true, false])
        func referred(hasServer: Bool) async throws {
            try await withDaybook { daybook in
                for (table, row) in [
                    ("departments", #"{"id": 7, "department": "Stores"}"#),
                    ("jobs", #"{"id": 3, "job": "Cook"}"#),
                    (
                        "hired_employees",
                        #"{"id": 1, "name": "Ann Lee", "datetime": "2021-11-07T02:48:42Z", "#
                            + #""department_id": 7, "job_id": 3}"#
                    ),
                ] { #expect(try await daybook.client.append(row, to: table).status == 200) }
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                if !hasServer { _ = try daybook.stop() }
                let end = try daybook.status().durable_position
                let said = try refusal(daybook, "departments", "7", "--note", "closed")
                let named = "hired_employees 1, position \(end - 1), refers to departments"
                #expect(said.contains(named), "\(said)")
                #expect(said.contains("--with-referring"))
                #expect(try daybook.status().durable_position == end)
                let json = try daybook.run(["retract", "departments", "7", "--note", "n", "--json"])
                #expect(json.status == 1 && json.text.contains(":rows-referred"))
                let both = try daybook.json(
                    ["retract", "departments", "7", "--note", "closed", "--with-referring"],
                    as: Retracted.self)
                #expect(both.tables == ["departments": 1, "hired_employees": 1])
                if !hasServer { try await daybook.start() }
                try await daybook.waitUntilProjected(
                    "departments", "hired_employees", "hires_by_quarter")
                #expect(try daybook.sql("SELECT count(*) FROM hired_employees") == "0\n")
                #expect(try daybook.sql("SELECT count(*) FROM hires_by_quarter") == "0\n")
                #expect(try daybook.sql("SELECT count(*) FROM departments") == "0\n")
                try daybook.expectTablesSound()
            }
        }

        @Test("What is not there exits 1, what cannot be asked for 2; both say what would be right")
        func refusals() async throws {
            try await withDaybook { daybook in
                let note = ["--note", "n"]
                for (arguments, words) in [
                    (["--batch", "nonsense"], "no batch nonsense"),
                    (["--import", "ghost.csv"], "log cat --verdict control"),
                    (["--import", "\(packageRoot)/README.md"], "log cat --verdict control"),
                    (["jobs", "1"], "never had a row 1"),
                ] {
                    let result = try daybook.run(["retract"] + arguments + note)
                    #expect(result.status == 1 && result.errorText.contains(words), "\(arguments)")
                }
                for arguments in [
                    note, ["jobs"] + note, ["jobs", "x"] + note, ["ghosts", "1"] + note,
                    ["jobs", "1", "2"] + note, ["jobs", "1"], ["jobs", "1", "--note", " "],
                    ["--import", "http://example.org/a.csv"] + note,
                    ["jobs", "1", "--note", String(repeating: "x", count: 4_097)],
                ] {
                    let result = try daybook.run(["retract"] + arguments)
                    #expect(result.status == 2 && !result.errorText.isEmpty, "\(arguments)")
                    #expect(result.output.isEmpty)
                }
                let help = try daybook.run(["retract", "--help"])
                #expect(help.status == 0 && help.text.contains("Example: daybook retract"))
            }
        }
    }
}
