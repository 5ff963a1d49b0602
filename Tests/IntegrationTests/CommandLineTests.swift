import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Command line") struct CommandLine {
        @Test("Fault 24: a second server on the same data refuses, names the first; a stop exits 0")
        func secondServer() async throws {
            try await withDaybook { daybook in
                let first = try #require(daybook.process)
                let second = try runTool(
                    daybookBinary, ["serve", "--listen", "127.0.0.1:\(freePort())"],
                    environment: daybook.environment)
                #expect(second.status != 0)
                #expect(second.errorText.contains("\(first.pid)"), "\(second.errorText)")
                #expect(try await daybook.client.get("/health/live").status == 200)
                #expect(try daybook.stop() == 0)
                let lock = "\(daybook.data)/postgres/postmaster.pid"
                #expect(!FileManager.default.fileExists(atPath: lock), "Postgres was left running")
            }
        }

        @Test("The page about the command line is what the program says of itself")
        func page() throws {
            let help = try runTool(daybookBinary, ["--experimental-dump-help"])
            let made = try runTool("\(packageRoot)/script/docs-cli", [], input: help.output)
            #expect(made.status == 0, "\(made.errorText)")
            let page = try String(contentsOfFile: "\(packageRoot)/docs/cli.md", encoding: .utf8)
            #expect(
                page == made.text,
                "make it anew: daybook --experimental-dump-help | script/docs-cli > docs/cli.md")
        }

        @Test("Flags go before the environment")
        func flags() async throws {
            try await withDaybook { daybook in
                let result = try runTool(
                    daybookBinary, ["status", "--json", "--data", daybook.data],
                    environment: daybook.environment.merging(["DAYBOOK_DATA": "/nowhere"]) { $1 })
                #expect(result.status == 0, "\(result.errorText)")
                let status = try JSONDecoder().decode(LedgerStatus.self, from: result.output)
                #expect(
                    Set(status.projections.keys).isSuperset(of: [
                        "departments", "jobs", "hired_employees", "hires_by_quarter", "audit",
                    ]))
                #expect(status.durable_position > 0, "the genesis event has a position")
                #expect(status.postgres != nil)
                let overHTTP = try await daybook.client.get("/v1/status")
                #expect(!overHTTP.text.contains("\"postgres\""), "the conninfo is not for callers")
            }
        }

        @Test(
            "Wrong usage exits 2 and says what would be right",
            arguments: [
                ["import", "ghosts", "file.csv"], ["import", "jobs", "no-such-file.csv"],
                ["import", "jobs"], ["frobnicate"], ["status", "--frobnicate"],
                ["log", "cat", "--from", "minus one"], ["keys", "create", "x", "--scope", "fly"],
            ])
        func wrongUsage(arguments: [String]) async throws {
            try await withDaybook(start: false) { daybook in
                let result = try daybook.run(arguments)
                #expect(result.status == 2, "\(result.errorText)")
                #expect(result.output.isEmpty)
                #expect(!result.errorText.isEmpty)
            }
        }

        @Test("Sample data is the same for the same seed, and holds the dirt it was asked for")
        func sampleData() async throws {
            try await withDaybook { daybook in
                let names = ["departments", "jobs", "hired_employees"]
                func make(_ folder: String, _ seed: Int) throws -> [Data] {
                    let path = daybook.folder.path(folder)
                    let options = ["--rows", "500", "--seed", "\(seed)", "--dirt", "0.1"]
                    let result = try daybook.run(["sample-data", path] + options)
                    #expect(result.status == 0, "\(result.errorText)")
                    return try names.map {
                        try Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0).csv"))
                    }
                }
                let first = try make("a", 7)
                #expect(try make("b", 7) == first)
                #expect(try make("c", 8) != first)
                for name in names {
                    let summary = try daybook.json(
                        ["import", name, daybook.folder.path("a/\(name).csv")],
                        as: ImportSummary.self)
                    guard name == "hired_employees" else { continue }
                    #expect(summary.rows == 500)
                    #expect((30...70).contains(summary.rejected), "\(summary.rejected)")
                }
            }
        }

        @Test("A key works at once, and once revoked at once no longer")
        func keys() async throws {
            try await withDaybook { daybook in
                struct Created: Decodable { let key: String }
                let created = try daybook.json(
                    ["keys", "create", "dev", "--scope", "append,read"], as: Created.self)
                let client = HTTPClient(port: daybook.client.port, key: created.key)
                #expect(
                    try await client.append(#"{"id":1,"job":"Cooper"}"#, to: "jobs").status == 200)
                let list = try daybook.run(["keys", "list", "--json"])
                #expect(list.text.contains("dev") && !list.text.contains(created.key))
                #expect(try daybook.run(["keys", "revoke", "dev"]).status == 0)
                #expect(try await client.get("/v1/status").status == 401)
            }
        }

        @Test("A catalog folder made by init can be served")
        func initialise() async throws {
            let folder = try TemporaryFolder()
            let made = try runTool(
                daybookBinary, ["init", folder.path("mine")], folder: packageRoot)
            #expect(made.status == 0, "\(made.errorText)")
            try await withDaybook(catalog: folder.path("mine")) { daybook in
                let answer = try await daybook.client.append(
                    #"{"id":1,"job":"Cooper"}"#, to: "jobs")
                #expect(answer.status == 200)
            }
        }
    }
}
