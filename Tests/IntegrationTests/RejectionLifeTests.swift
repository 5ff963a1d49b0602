import Foundation
import TestSupport
import Testing

/// `daybook rejections resubmit --json`.
private struct Resubmitted: Decodable {
    let rows: Int
    let corrected: Int
    let rejected: Int
    let refused: Int
    let failed: Int
}

/// What Postgres says became of rejections.
private let statesQuery = """
    SELECT r.position, r.table_name, r.state, r.retry_of, c.position, c.principal, c.note
      FROM daybook.rejections r
      LEFT JOIN daybook.rejection_closings c
        ON c.rejection = coalesce(r.retry_of, r.position)
     ORDER BY 1
    """

extension DaybookServer {
    /// The answer of Postgres without its last line end.
    fileprivate func line(_ query: String) throws -> String {
        try sql(query).trimmingCharacters(in: .newlines)
    }
}

extension Integration {
    @Suite("The life of rejections") struct RejectionLife {
        @Test("HR: exported, corrected by a script, fed back: 16 corrected, 54 open, for good")
        func history() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let exported = daybook.folder.path("rejections.csv")
                let corrected = daybook.folder.path("corrected.csv")
                let export = try daybook.run([
                    "rejections", "export", "--format", "csv", "--table", "hired_employees",
                    "--out", exported,
                ])
                #expect(export.status == 0, "\(export.text)\(export.errorText)")
                // A hire without a job gets the first one; what has too few fields stays.
                let script = try runTool(
                    try requireTool("python3"),
                    [
                        packageRoot + "/Tests/IntegrationTests/scripts/correct.py", exported,
                        corrected,
                    ])
                #expect(script.status == 0 && script.text == "16 of 70\n", "\(script.errorText)")
                let before = try Int(daybook.line("SELECT count(*) FROM hired_employees")) ?? 0

                let result = try daybook.run([
                    "rejections", "resubmit", "--file", corrected, "--json",
                ])
                #expect(result.status == 1, "54 rows are still no rows")
                let outcome = try JSONDecoder().decode(Resubmitted.self, from: result.output)
                #expect(outcome.rows == 70 && outcome.corrected == 16 && outcome.rejected == 0)
                #expect(outcome.refused == 54 && outcome.failed == 0)
                try await daybook.waitUntilProjected("hired_employees", "audit")
                #expect(
                    try daybook.line("SELECT count(*) FROM hired_employees") == "\(before + 16)")
                #expect(
                    try daybook.line(
                        "SELECT state, count(*) FROM daybook.rejections GROUP BY 1 ORDER BY 1")
                        == "corrected,16\nopen,54")
                try await expectSameStates(daybook)
                // Once more: the 16 are closed, and nothing is appended.
                let end = try daybook.status().durable_position
                let again = try daybook.run([
                    "rejections", "resubmit", "--file", corrected, "--send-all", "--json",
                ])
                #expect(again.status == 1)
                let second = try JSONDecoder().decode(Resubmitted.self, from: again.output)
                #expect(second.corrected == 0 && second.failed == 16 && second.rejected == 54)
                #expect(try daybook.status().durable_position == end + 54)
                try await daybook.waitUntilProjected("audit")
                #expect(
                    try daybook.line(
                        "SELECT count(*) FROM daybook.rejections WHERE retry_of IS NOT NULL")
                        == "54")
                try await expectSameStates(daybook)
            }
        }

        /// A rebuild of the audit and an empty database give the same states.
        private func expectSameStates(_ daybook: DaybookServer) async throws {
            let states = try daybook.line(statesQuery)
            let rebuilt = try daybook.run(["rebuild", "audit", "--json"])
            #expect(rebuilt.status == 0, "\(rebuilt.text)\(rebuilt.errorText)")
            #expect(rebuilt.text.contains(#""added":0"#) && rebuilt.text.contains(#""removed":0"#))
            try await daybook.waitUntilProjected("audit")
            #expect(try daybook.line(statesQuery) == states)
            _ = try daybook.stop()
            try daybook.lose("postgres")
            try await daybook.start()
            try await daybook.waitUntilProjected("audit")
            #expect(try daybook.line(statesQuery) == states)
        }

        @Test("By HTTP: corrected or waived once, and what is no rejection is not found")
        func http() async throws {
            try await withDaybook { daybook in
                let answer = try await daybook.client.append(
                    #"[{"id": 1}, {"id": 2, "job": 5}, {"id": 3, "job": "Cook"}]"#, to: "jobs")
                let rejected = try answer.verdicts().rejected.map(\.position)
                let accepted = try #require(rejected.last) + 1
                func post(_ position: Int, _ what: String, _ body: String) async throws
                    -> HTTPAnswer
                {
                    try await daybook.client.send(
                        "POST", "/v1/rejections/\(position)/\(what)",
                        headers: ["Content-Type": "application/json"], body: Data(body.utf8))
                }
                let row = #"{"id": 1, "job": "Clerk"}"#
                let told = try await post(rejected[0], "resubmit?dry_run=true", row)
                #expect(told.status == 200 && told.text.contains(#""accepted":1"#))
                let worse = try await post(rejected[0], "resubmit", #"{"id": 1, "job": ""}"#)
                #expect(worse.status == 400, "\(worse.text)")
                let retry = try worse.verdicts().rejected[0].position
                let better = try await post(retry, "resubmit?wait=projected", row)
                #expect(better.status == 200, "\(better.text)")
                for position in [rejected[0], retry] {
                    let late = try await post(position, "waive", #"{"note": "late"}"#)
                    #expect(late.status == 409 && late.text.contains("is corrected"))
                    let twice = try await post(position, "resubmit", #"{"id": 9, "job": "X"}"#)
                    #expect(twice.status == 409, "\(twice.text)")
                }
                #expect(try await post(rejected[1], "waive", #"{"note": " "}"#).status == 400)
                #expect(try await post(rejected[1], "waive", #"{"note": "a test"}"#).status == 200)
                #expect(try await post(rejected[1], "resubmit", row).status == 409)
                #expect(try await post(accepted, "waive", #"{"note": "x"}"#).status == 404)
                #expect(try await post(999_999, "resubmit", row).status == 404)
                let two = "[\(row),\(row)]"
                #expect(try await post(rejected[1], "resubmit", two).status == 400)
                try await daybook.waitUntilProjected("jobs", "audit")
                #expect(
                    try daybook.line("SELECT state FROM daybook.rejections ORDER BY position")
                        == "corrected\nwaived\ncorrected")
                #expect(
                    try daybook.line(
                        "SELECT note FROM daybook.rejection_closings WHERE state = 'waived'")
                        == "a test")
                try await expectSameStates(daybook)
            }
        }

        @Test(
            "What was refused for a missing reference is taken as it was once that is there",
            arguments: [true, false])
        func eligible(hasServer: Bool) async throws {
            try await withDaybook { daybook in
                let hire =
                    #"{"id": 1, "name": "Ann Lee", "datetime": "2021-11-07T02:48:42Z", "#
                    + #""department_id": 7, "job_id": 3}"#
                let other = hire.replacing(#""id": 1"#, with: #""id": 2"#)
                    .replacing(#""job_id": 3"#, with: #""job_id": 4"#)
                _ = try await daybook.client.append("[\(hire),\(other)]", to: "hired_employees")
                _ = try await daybook.client.append(
                    #"{"id": 7, "department": "Stores"}"#, to: "departments")
                _ = try await daybook.client.append(#"{"id": 3, "job": "Cook"}"#, to: "jobs")
                try await daybook.waitUntilProjected("hired_employees", "jobs", "audit")
                if !hasServer { _ = try daybook.stop() }
                let command = ["rejections", "resubmit", "--code", "unknown_reference"]
                let foretold = try daybook.json(command + ["--dry-run"], as: Resubmitted.self)
                #expect(foretold.corrected == 1 && foretold.rows == 1)
                let result = try daybook.json(command, as: Resubmitted.self)
                #expect(result.corrected == 1 && result.rows == 1, "the other one is not eligible")
                if !hasServer { try await daybook.start() }
                try await daybook.waitUntilProjected("hired_employees", "audit")
                #expect(try daybook.line("SELECT id FROM hired_employees") == "1")
                #expect(
                    try daybook.line("SELECT state FROM daybook.rejections ORDER BY position")
                        == "corrected\nopen")
                let waived = try daybook.run([
                    "rejections", "waive",
                    try daybook.line(
                        "SELECT position FROM daybook.rejections WHERE state = 'open'"),
                    "--note", "no such job",
                ])
                #expect(waived.status == 0, "\(waived.errorText)")
            }
        }
    }
}
