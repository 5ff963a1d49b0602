import Foundation
import TestSupport
import Testing

extension Integration {
    /// `daybook rebuild --json`.
    struct Rebuilt: Decodable {
        struct Projection: Decodable {
            let projection: String
            let rows: Int?
            let swapped: Bool?
            let resumed: Bool?
            let added: Int?
            let removed: Int?
            let changed: Int?
            let undone: Bool?
        }
        let projections: [Projection]
    }

    @Suite("Rebuild") struct RebuildCommands {
        @Test("Killed with -9 again and again while rows come in, a rebuild goes on to its end")
        func killed() async throws {
            try await withDaybook { daybook in
                let data = try HRData(hireCount: 120_000, in: daybook.folder)
                for table in ["departments", "jobs", "hired_employees"] {
                    _ = try daybook.json(
                        ["import", table, data.file(table)], as: ImportSummary.self)
                }
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                _ = try daybook.sql("UPDATE hired_employees SET name = 'By Hand' WHERE id = 4711")
                let appending = Task { [client = daybook.client] in
                    var id = 900_000
                    while !Task.isCancelled {
                        id += 1
                        _ = try? await client.append(
                            "[{\"id\": \(id), \"job\": \"Clerk\"}]", to: "jobs")
                        try? await Task.sleep(for: .milliseconds(5))
                    }
                }
                for _ in 0..<5 {
                    let rebuild = try BackgroundProcess(
                        daybookBinary, ["rebuild", "hired_employees", "jobs"],
                        environment: daybook.environment, folder: daybook.folder.path)
                    try await Task.sleep(for: .milliseconds(Int.random(in: 100...900)))
                    rebuild.signal(SIGKILL)
                    _ = rebuild.waitForExit(timeoutSeconds: 10)
                }
                let names = ["hired_employees", "jobs", "hires_by_quarter", "audit"]
                let rebuilt = try daybook.json(["rebuild"] + names, as: Rebuilt.self)
                appending.cancel()
                _ = await appending.value
                #expect(rebuilt.projections.map(\.projection) == names)
                #expect(rebuilt.projections.allSatisfy { $0.swapped == true })
                #expect(rebuilt.projections.allSatisfy { $0.added == 0 && $0.removed == 0 })
                try await daybook.waitUntilProjected("jobs", "hired_employees", "hires_by_quarter")
                let again = try daybook.json(["rebuild", "--dry-run"] + names, as: Rebuilt.self)
                for projection in again.projections {
                    #expect(projection.swapped == false)
                    #expect(
                        [projection.added, projection.removed, projection.changed] == [0, 0, 0],
                        "\(projection)")
                }
                #expect(
                    try daybook.sql("SELECT count(*) FROM hired_employees WHERE name = 'By Hand'")
                        .hasPrefix("0"))
                #expect(
                    try daybook.sql(
                        "SELECT (SELECT sum(hires) FROM hires_by_quarter) - count(*)"
                            + " FROM hired_employees"
                    ).hasPrefix("0"))
            }
        }

        @Test("An edited row is told by its event; undo brings the edit back, drop-old ends that")
        func undone() async throws {
            try await withDaybook { daybook in
                let data = try HRData(.made, in: daybook.folder)
                for table in ["departments", "jobs", "hired_employees"] {
                    _ = try daybook.json(
                        ["import", table, data.file(table)], as: ImportSummary.self)
                }
                try await daybook.waitUntilProjected("departments")
                _ = try daybook.sql("UPDATE departments SET department = 'Edited' WHERE id = 3")
                let result = try daybook.run(["rebuild", "departments"])
                #expect(result.status == 0)
                #expect(result.text.contains("1 changed"), "\(result.text)")
                #expect(result.text.contains("changed 3 department: Edited ->"), "\(result.text)")
                #expect(
                    try daybook.sql("SELECT department FROM departments WHERE id = 3") != "Edited\n"
                )
                #expect(try daybook.run(["rebuild", "departments", "--undo"]).status == 0)
                #expect(
                    try daybook.sql("SELECT department FROM departments WHERE id = 3") == "Edited\n"
                )
                #expect(try daybook.run(["rebuild", "departments", "--undo"]).status == 0)
                #expect(try daybook.run(["rebuild", "departments", "--drop-old"]).status == 0)
                let refused = try daybook.run(["rebuild", "departments", "--undo"])
                #expect(refused.status == 1)
                #expect(refused.errorText.contains("there are no old tables of departments"))
                let unknown = try daybook.run(["rebuild", "nothing"])
                #expect(unknown.status == 2)
                #expect(unknown.errorText.contains("hired_employees"))
            }
        }

        @Test("A paused projection stands still while the others go on, and catches up")
        func paused() async throws {
            try await withDaybook { daybook in
                #expect(try daybook.run(["projections", "pause", "jobs"]).status == 0)
                try await wait("the pause") {
                    try daybook.status().projections["jobs"]?.state == "paused"
                }
                let answer = try await daybook.client.append(
                    #"[{"id": 1, "job": "Clerk"}]"#, to: "jobs")
                #expect(answer.status == 200)
                try await daybook.waitUntilProjected("departments")
                #expect(try daybook.sql("SELECT count(*) FROM jobs") == "0\n")
                #expect(try daybook.run(["projections", "resume", "jobs"]).status == 0)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT count(*) FROM jobs") == "1\n")
            }
        }
    }
}
