import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Backup commands") struct BackupCommands {
        /// The members of the JSON object that a command prints, which must be all it prints.
        private func members(
            _ daybook: DaybookServer, _ arguments: [String], status: Int32 = 0
        ) throws -> [String: Any] {
            let result = try daybook.run(arguments + ["--json"])
            #expect(result.status == status, "\(arguments): \(result.errorText)")
            #expect(result.text.split(separator: "\n").count == 1)
            return try #require(
                try JSONSerialization.jsonObject(with: result.output) as? [String: Any])
        }

        private func first(_ object: [String: Any], _ member: String) throws -> [String: Any] {
            try #require((object[member] as? [[String: Any]])?.first)
        }

        @Test("create, list, verify, drill and restore print what scripts rely on")
        func shapes() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let vault = daybook.folder.path("vault")
                let made = try members(daybook, ["backup", "create", "--out", vault, "--with-log"])
                #expect(
                    Set(made.keys).isSuperset(of: [
                        "backup", "target", "position", "root", "time", "rows", "bytes", "tables",
                        "log_position", "seconds", "held_against_log",
                    ]))
                #expect(
                    try Set(first(made, "tables").keys) == ["table", "file", "rows", "bytes"])
                let listed = try members(daybook, ["backup", "list", "--out", vault])
                let entry = try first(listed, "backups")
                #expect(
                    Set(entry.keys) == [
                        "backup", "readable", "ledger", "position", "time", "rows", "with_log",
                        "proven",
                    ])
                #expect(entry["proven"] as? Bool == false && entry["with_log"] as? Bool == true)

                let verified = try members(daybook, ["backup", "verify", vault])
                #expect(verified["ok"] as? Bool == true)
                #expect(verified["compared_with_log"] as? Bool == true)
                for list in ["problems", "missing", "extra", "different"] {
                    #expect((verified[list] as? [Any])?.isEmpty == true, "\(list)")
                }
                #expect((verified["files"] as? [String])?.contains("manifest.sig") == true)
                let drilled = try members(daybook, ["backup", "drill", vault])
                #expect(drilled["ok"] as? Bool == true)
                #expect((drilled["projections"] as? [Any])?.count == 4)
                let proven = try first(
                    members(daybook, ["backup", "list", "--out", vault]), "backups")
                #expect(proven["proven"] as? Bool == true)

                let restored = try members(daybook, ["restore", "--from", vault])
                #expect(
                    Set(restored.keys) == [
                        "position", "time", "held", "into", "projections", "dangling",
                    ])
                let projection = try first(restored, "projections")
                #expect(
                    Set(projection.keys).isSuperset(of: [
                        "projection", "position", "rows", "swapped", "added", "removed",
                        "changed", "samples", "notes",
                    ]))
                let dry = ["restore", "--from", "log", "--dry-run"]
                _ = try members(daybook, dry)
                _ = try daybook.sql("UPDATE jobs SET job = 'Edited' WHERE id = 7")
                let unequal = try members(daybook, dry, status: 1)
                #expect(unequal["held"] as? Bool == false)
                #expect(try daybook.sql("SELECT job FROM jobs WHERE id = 7") == "Edited\n")
                #expect(
                    try members(daybook, ["backup", "drill", vault], status: 1)["ok"] as? Bool
                        == false)
            }
        }

        @Test("What differs in a backup of an edited table is named with its event")
        func editedBefore() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                _ = try daybook.sql(
                    "UPDATE jobs SET job = 'Edited' WHERE id = 7; DELETE FROM jobs WHERE id = 8;"
                        + "INSERT INTO jobs VALUES (9999, 'Nobody', 5)")
                let made = try daybook.backUp()
                let found = try members(daybook, ["backup", "verify", made.folder], status: 1)
                let cell = try first(found, "different")
                #expect(Set(cell.keys) == ["table", "key", "column", "log", "backup", "position"])
                #expect(cell["backup"] as? String == "Edited" && cell["log"] as? String == "Job 7")
                #expect(try first(found, "missing")["key"] as? Int == 8)
                #expect(try first(found, "extra")["key"] as? Int == 9999)
                let refused = try daybook.run(["restore", "--from", made.folder])
                #expect(refused.status == 1)
                #expect(refused.errorText.contains("1 rows missing, 1 extra, 1 different"))
                #expect(try daybook.sql("SELECT job FROM jobs WHERE id = 7") == "Edited\n")
            }
        }

        @Test("A target outside the log or inside a batch is exit 2, and nothing is touched")
        func wrongTargets() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let before = try daybook.rows()
                let batch = try daybook.sql(
                    "SELECT position, position + rows FROM daybook.batches WHERE rows > 2 LIMIT 1"
                ).trimmingCharacters(in: .newlines).split(separator: ",").map(String.init)
                let inside = try "\(#require(Int(batch[0])) + 1)"
                let wrong: [(String, [String])] = [
                    ("2026-11-25T14:03:00", ["with its offset"]),
                    ("yesterday", ["with its offset"]), ("2999-01-01T00:00:00Z", ["not come yet"]),
                    ("1999-01-01T00:00:00+01:00", ["first batch"]), ("99999999", ["ends at"]),
                    (inside, batch),
                ]
                for (target, words) in wrong {
                    let result = try daybook.run(["restore", "--from", "log", "--at", target])
                    #expect(result.status == 2, "\(target): \(result.errorText)")
                    for word in words {
                        #expect(result.errorText.contains(word), "\(target): \(result.errorText)")
                    }
                }
                #expect(try daybook.rows() == before)
                #expect(try daybook.sql("SELECT count(*) FROM daybook.rebuilds") == "0\n")
                #expect(try daybook.status().projections["jobs"]?.state == "running")
            }
        }

        @Test("Rows that would refer to nothing are named, and accepted by --allow-dangling alone")
        func dangling() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let before = try daybook.rows()
                let at = ["restore", "--from", "log", "--table", "departments", "--at", "0"]
                let refused = try daybook.run(at)
                #expect(refused.status == 1)
                #expect(
                    refused.errorText.contains("rows of hired_employees would refer to rows of"),
                    "\(refused.errorText)")
                #expect(refused.errorText.contains("--allow-dangling"))
                #expect(try daybook.rows() == before)
                let allowed = try daybook.json(at + ["--allow-dangling"], as: Restored.self)
                let dangling = try #require(allowed.dangling.first)
                #expect(dangling.table == "hired_employees" && dangling.references == "departments")
                let hires = try daybook.sql("SELECT count(*) FROM hired_employees")
                #expect("\(dangling.rows)\n" == hires)
                #expect(allowed.held && dangling.keys.count == 5)
                #expect(try daybook.sql("SELECT count(*) FROM departments") == "0\n")
                #expect(try daybook.run(["projections", "resume", "departments"]).status == 0)
                // The server looks once a second whether somebody took a table back.
                try await wait("the departments") { try daybook.rows() == before }
            }
        }

        @Test("Without a server a restore holds, status says so, and resume lets it go on")
        func held() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let time = timeNow()
                try await daybook.appendJobs(9_001...9_003)
                try daybook.stop()
                let held = try daybook.json(
                    ["restore", "--from", "log", "--at", time, "--table", "jobs"],
                    as: Restored.self)
                #expect(held.held && held["jobs"]?.removed == 3 && held.time != nil)
                let status = try members(daybook, ["status"])
                let jobs = try #require(
                    (status["projections"] as? [String: [String: Any]])?["jobs"])
                #expect(jobs["state"] as? String == "paused")
                #expect(jobs["position"] as? Int == held.position)
                let reason = try #require(jobs["reason"] as? String)
                #expect(reason.contains("restored to position \(held.position)"), "\(reason)")
                try await daybook.start()
                #expect(try daybook.sql("SELECT count(*) FROM jobs WHERE id > 9000") == "0\n")
                #expect(try daybook.run(["projections", "resume", "jobs"]).status == 0)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT count(*) FROM jobs WHERE id > 9000") == "3\n")
                try daybook.expectTablesSound()
            }
        }

        @Test("--into takes a schema of its own: no other, and none where such tables are")
        func into() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let into = ["restore", "--from", "log", "--into"]
                for schema in ["public", "daybook", "daybook_old", "pg_catalog", ""] {
                    let result = try daybook.run(into + [schema])
                    #expect(result.status == 2, "\(schema): \(result.errorText)")
                }
                #expect(try daybook.run(into + ["copy"]).status == 0)
                let again = try daybook.run(into + ["copy"])
                #expect(again.status == 2 && again.errorText.contains("already"))
                #expect(
                    try daybook.sql(
                        "SELECT count(*) FROM pg_tables WHERE schemaname = 'daybook_build'")
                        == "0\n", "nothing was built for it")
                #expect(
                    try daybook.sql(
                        "SELECT count(*) FROM (TABLE hired_employees EXCEPT"
                            + " TABLE copy.hired_employees) AS d") == "0\n")
            }
        }

        @Test("A ledger is begun neither with a damaged backup nor where another ledger is")
        func create() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let vault = try daybook.backUp().folder
                try daybook.stop()
                let create = ["ledger", "create", "--from-backup", vault]
                let taken = try daybook.run(create)
                #expect(taken.status == 2, "\(taken.errorText)")
                #expect(taken.errorText.contains("holds ledger"), "\(taken.errorText)")

                daybook.use(data: daybook.folder.path("data2"))
                let path = URL(fileURLWithPath: "\(vault)/jobs.avro")
                var bytes = try Data(contentsOf: path)
                bytes.removeLast(20)
                try bytes.write(to: path)
                let damaged = try daybook.run(create)
                #expect(damaged.status == 1, "\(damaged.errorText)")
                #expect(damaged.errorText.contains("is not what its manifest says"))
                #expect(!FileManager.default.fileExists(atPath: "\(daybook.data)/log"))
            }
        }

        @Test("Where neither log nor Postgres is, there is nothing to back up, and nothing is made")
        func nothing() async throws {
            try await withDaybook(start: false) { daybook in
                let result = try daybook.run(["backup", "create"])
                #expect(result.status == 2, "\(result.errorText)")
                #expect(result.errorText.contains("neither a log nor a Postgres"))
                #expect(!FileManager.default.fileExists(atPath: daybook.data))
            }
        }
    }
}
