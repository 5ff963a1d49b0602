import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("A changed dictionary") struct Dictionaries {
        private static let goods = """
            table: goods
            key: [id]
            columns:
              - {name: id,    type: integer}
              - {name: name,  type: string, maxLength: 20}
              - {name: price, type: "decimal(8,2)"}
              - {name: count, type: integer}
            """
        private static let rows = """
            [{"id":1,"name":"apple","price":"1.50","count":3},
             {"id":2,"name":"a long name indeed","price":"20","count":4},
             {"id":3,"name":"a name that is much too long","price":"3","count":5}]
            """

        /// Runs a test on a ledger of goods with the rows above, all of them in Postgres.
        private func withGoods(_ body: (DaybookServer) async throws -> Void) async throws {
            let folder = try TemporaryFolder()
            let catalog = folder.path("catalog")
            try FileManager.default.createDirectory(
                atPath: catalog + "/projections", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: "\(packageRoot)/sql/migrations", toPath: catalog + "/migrations")
            try FileManager.default.createDirectory(
                atPath: catalog + "/sql", withIntermediateDirectories: true)
            try FileManager.default.moveItem(
                atPath: catalog + "/migrations", toPath: catalog + "/sql/migrations")
            try folder.write(Self.goods, to: "catalog/projections/goods.yaml")
            try await withDaybook(catalog: catalog) { daybook in
                let answer = try await daybook.client.append(Self.rows, to: "goods")
                #expect(try answer.verdicts().accepted == 2, "\(answer.text)")
                try await daybook.waitUntilProjected("goods")
                try await body(daybook)
            }
            withExtendedLifetime(folder) {}
        }

        private func edit(_ daybook: DaybookServer, _ old: String, _ new: String) throws {
            let text = Self.goods.replacing(old, with: new)
            #expect(text != Self.goods)
            try write(daybook, text)
        }

        private func write(_ daybook: DaybookServer, _ text: String) throws {
            let catalog = try #require(daybook.environment["DAYBOOK_CATALOG"])
            try text.write(
                toFile: catalog + "/projections/goods.yaml", atomically: true, encoding: .utf8)
        }

        private func check(_ daybook: DaybookServer) throws -> (status: Int32, report: Report) {
            let catalog = try #require(daybook.environment["DAYBOOK_CATALOG"])
            let result = try daybook.run(["dictionary", "check", catalog, "--json"])
            let report = try JSONDecoder().decode(Report.self, from: result.output)
            return (result.status, report)
        }

        private struct Report: Decodable {
            struct Change: Decodable {
                let name: String
                let outcome: String
                let changes: [String]
                let reasons: [String]
            }
            struct Turn: Decodable {
                struct Example: Decodable {
                    let position: Int
                    let key: [String]
                    let code: String
                }
                let rows: Int
                let codes: [String: Int]
                let examples: [Example]
            }
            struct Past: Decodable {
                let table: String
                let accepted: Int
                let rejected: Int
                let rejected_now: Turn
                let accepted_now: Turn
            }
            let ok: Bool
            let changes: [Change]
            let judged: Bool
            let past: [Past]?
        }

        /// Every file of the log and of the key state, and its bytes.
        private func files(_ daybook: DaybookServer) throws -> [String: Data] {
            var files: [String: Data] = [:]
            for folder in ["log", "state"] {
                for name in try FileManager.default.contentsOfDirectory(
                    atPath: "\(daybook.data)/\(folder)") where !name.hasSuffix("-lock")
                {
                    let path = "\(daybook.data)/\(folder)/\(name)"
                    files[path] = try Data(contentsOf: URL(fileURLWithPath: path))
                }
            }
            return files
        }

        @Test("A new optional column: old rows are read with a null, and the table is made anew")
        func newColumn() async throws {
            try await withGoods { daybook in
                let old = "  - {name: count, type: integer}"
                try edit(daybook, old, old + "\n  - {name: note, type: string, optional: true}")
                let (status, report) = try check(daybook)
                #expect(status == 0 && report.ok)
                #expect(report.changes.map(\.outcome) == ["rebuilt"])
                #expect(report.changes[0].changes == ["new column note: optional string"])
                #expect(try daybook.stop() == 0)
                try await daybook.start()
                let answer = try await daybook.client.append(
                    #"[{"id":1,"name":"x","price":"1","count":1},"#
                        + #"{"id":4,"name":"fig","price":"4","count":1,"note":"ripe"}]"#,
                    to: "goods")
                #expect(try answer.verdicts().codes(ofRow: 0) == ["duplicate_key"])
                #expect(try daybook.segments.count == 2, "a new dictionary begins a segment")
                try await waitForGoods(
                    daybook, "SELECT id, name, note FROM goods ORDER BY id",
                    "1,apple,\n2,a long name indeed,\n4,fig,ripe\n")
            }
        }

        @Test("A widened type: old values become those of the new one, and keys stay taken")
        func widened() async throws {
            try await withGoods { daybook in
                let wide = Self.goods.replacing("type: integer", with: "type: number")
                    .replacing("decimal(8,2)", with: "decimal(12,4)")
                try write(daybook, wide)
                #expect(try check(daybook).report.changes.map(\.outcome) == ["rebuilt"])
                #expect(try daybook.stop() == 0)
                try await daybook.start()
                let answer = try await daybook.client.append(
                    #"[{"id":1,"name":"x","price":"1","count":1},"#
                        + #"{"id":1.5,"name":"fig","price":"0.1234","count":0.5}]"#,
                    to: "goods")
                #expect(try answer.verdicts().codes(ofRow: 0) == ["duplicate_key"])
                try await waitForGoods(
                    daybook, "SELECT id, price, count FROM goods ORDER BY id",
                    "1,1.5000,3\n1.5,0.1234,0.5\n2,20.0000,4\n")
            }
        }

        /// Waits until a query gives what it should: the table may be made anew meanwhile.
        private func waitForGoods(
            _ daybook: DaybookServer, _ query: String, _ expected: String
        ) async throws {
            var last = ""
            do {
                try await wait("the rebuilt table", timeoutSeconds: 30) {
                    last = (try? daybook.sql(query)) ?? "the query fails"
                    return last == expected
                }
            } catch {
                throw DaybookFailure(description: "\(error): \(last)")
            }
        }

        @Test(
            "A narrower rule: old rows stay, new ones are judged by it, and the check counts both")
        func narrower() async throws {
            try await withGoods { daybook in
                try edit(daybook, "maxLength: 20", "maxLength: 8")
                let (status, report) = try check(daybook)
                #expect(status == 0 && report.ok && report.judged)
                #expect(report.changes.map(\.outcome) == ["rules"])
                let past = try #require(report.past?.first)
                #expect(past.accepted == 2 && past.rejected == 1)
                #expect(past.rejected_now.codes == ["too_long": 1])
                #expect(past.rejected_now.examples.map(\.key) == [["2"]])
                #expect(past.accepted_now.rows == 0)
                try edit(daybook, "maxLength: 20", "maxLength: 28")
                #expect(try check(daybook).report.past?[0].accepted_now.codes == ["too_long": 1])
                try edit(daybook, "maxLength: 20", "maxLength: 8")
                #expect(try daybook.stop() == 0)
                try await daybook.start()
                let answer = try await daybook.client.append(
                    #"[{"id":4,"name":"a long name","price":"1","count":1},"#
                        + #"{"id":5,"name":"fig","price":"1","count":1}]"#, to: "goods")
                #expect(try answer.verdicts().codes(ofRow: 0) == ["too_long"])
                try await daybook.waitUntilProjected("goods")
                #expect(
                    try daybook.sql("SELECT id, name FROM goods ORDER BY id")
                        == "1,apple\n2,a long name indeed\n5,fig\n")
            }
        }

        @Test(
            "What cannot be read, or shares a key, is refused at start: nothing is touched",
            arguments: [
                (
                    "{name: name,  type: string, maxLength: 20}", "{name: name,  type: integer}",
                    "goods.name is integer, and string in events of the log; make it string again"
                ),
                (
                    "key: [id]", "key: [id]\nunique: [[count]]",
                    "goods: [count] is to be unique, and 1 row of the log has the values of an "
                        + "earlier one: (3) at positions 3 and 6"
                ),
            ])
        func refused(old: String, new: String, words: String) async throws {
            try await withGoods { daybook in
                _ = try await daybook.client.append(
                    #"{"id":9,"name":"pear","price":"1","count":3}"#, to: "goods")
                try await daybook.waitUntilProjected("goods")
                #expect(try daybook.stop() == 0)
                try edit(daybook, old, new)
                let before = try files(daybook)
                let (status, report) = try check(daybook)
                #expect(status == 1 && !report.ok)
                #expect(report.changes.map(\.outcome) == ["refused"])
                #expect(report.changes[0].reasons[0].hasPrefix(words))
                for command in [["serve"], ["import", "goods", "none.csv"]] {
                    try daybook.folder.write("1,a,1,1\n", to: "none.csv")
                    let result = try daybook.run(command)
                    #expect(result.status == 2, "\(result.errorText)")
                    #expect(result.errorText.contains(words), "\(result.errorText)")
                }
                #expect(try files(daybook) == before)
                let lock = "\(daybook.data)/postgres/postmaster.pid"
                #expect(!FileManager.default.fileExists(atPath: lock), "Postgres was started")
                try write(daybook, Self.goods)
                try await daybook.start()
                #expect(
                    try daybook.sql("SELECT id, name FROM goods ORDER BY id")
                        == "1,apple\n2,a long name indeed\n9,pear\n")
            }
        }

        @Test("A dictionary that does not load is exit 2, with the place of the mistake")
        func mistaken() async throws {
            try await withGoods { daybook in
                try edit(daybook, "type: integer", "type: integre")
                let catalog = try #require(daybook.environment["DAYBOOK_CATALOG"])
                let result = try daybook.run(["dictionary", "check", catalog])
                #expect(result.status == 2 && result.output.isEmpty)
                #expect(result.errorText.contains("goods.yaml:4:"), "\(result.errorText)")
                #expect(try daybook.run(["dictionary", "check", "/nowhere"]).status == 2)
            }
        }

        @Test(
            "SIGHUP takes up a good catalog in the same process, and leaves a bad one alone"
        )
        func hangup() async throws {
            try await withGoods { daybook in
                let process = try #require(daybook.process)
                try edit(daybook, "type: string, maxLength: 20", "type: integer")
                process.signal(SIGHUP)
                try await wait("the refusal") { process.errorText.contains("was not taken up") }
                #expect(process.errorText.contains("goods.name is integer"))
                let long = #"{"id":7,"name":"a long name","price":"1","count":1}"#
                #expect(try await daybook.client.append(long, to: "goods").status == 200)

                try edit(daybook, "maxLength: 20", "maxLength: 8")
                process.signal(SIGHUP)
                // Rejected under all of them, so that asking changes nothing.
                let longer = #"{"id":8,"name":"a long name","price":"?","count":1}"#
                try await wait("the new rules") {
                    let answer = try? await daybook.client.append(longer, to: "goods")
                    return answer?.text.contains("too_long") == true
                }
                #expect(process.waitForExit(timeoutSeconds: 0) == nil, "it is the same process")
                try await daybook.waitUntilProjected("goods")
                #expect(try daybook.sql("SELECT count(*) FROM goods WHERE id = 7") == "1\n")
                // It can be done again, and who wants a stop gets one.
                try edit(daybook, "maxLength: 20", "maxLength: 30")
                process.signal(SIGHUP)
                try await wait("the rules after those") {
                    let answer = try? await daybook.client.append(longer, to: "goods")
                    return answer?.text.contains("too_long") == false
                }
                process.signal(SIGHUP)
                // It may meet the program where that has just begun anew and holds nothing yet.
                let status = try daybook.stop()
                #expect([0, 128 + SIGTERM].contains(status), "\(process.errorText.suffix(900))")
                let lock = "\(daybook.data)/postgres/postmaster.pid"
                #expect(!FileManager.default.fileExists(atPath: lock), "Postgres was left running")
            }
        }
    }
}
