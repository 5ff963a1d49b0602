import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Metrics") struct Metrics {
        /// The samples of `/metrics`, by name and labels as they stand there.
        private func samples(_ daybook: DaybookServer) async throws -> [String: Double] {
            let text = try await daybook.client.get("/metrics").text
            var samples: [String: Double] = [:]
            for line in text.split(separator: "\n") where !line.hasPrefix("#") {
                let space = try #require(line.lastIndex(of: " "))
                let value = String(line[line.index(after: space)...])
                let number: Double = try #require(Double(value), "\(line)")
                samples[String(line[..<space])] = number
            }
            return samples
        }

        /// What the log says, counted line by line: rows by table and verdict, and by code.
        private func logged(_ daybook: DaybookServer) throws -> [String: Double] {
            struct Event: Decodable {
                let table: String?
                let verdict: String
                let reasons: [Verdicts.Reason]?
            }
            let result = try daybook.run(["log", "cat"])
            #expect(result.status == 0, "\(result.errorText)")
            var counts: [String: Double] = [:]
            for line in result.text.split(separator: "\n") {
                let event = try JSONDecoder().decode(Event.self, from: Data(line.utf8))
                guard event.verdict != "control", let table = event.table else { continue }
                counts[
                    "daybook_rows_total{table=\"\(table)\",verdict=\"\(event.verdict)\"}",
                    default: 0] += 1
                for code in Set((event.reasons ?? []).map(\.code)) {
                    counts[
                        "daybook_rejections_total{table=\"\(table)\",code=\"\(code)\"}",
                        default: 0] += 1
                }
            }
            return counts
        }

        @Test("After any traffic the counters are what the log has, and a restart begins again")
        func traffic() async throws {
            try await withDaybook { daybook in
                var random = SeededGenerator()
                let seed = random.seed
                let before = try await samples(daybook)
                #expect(before["daybook_rows_total{table=\"jobs\",verdict=\"accepted\"}"] == 0)
                #expect(before["daybook_append_seconds_count"] == 0)
                let count = 60
                for _ in 0..<count { try await send(&random, daybook.client) }
                try daybook.folder.write(
                    (1...500).map { "\($0),Department\($0 % 7 == 0 ? "" : ",x")\n" }.joined(),
                    to: "d.csv")
                _ = try daybook.json(
                    ["import", "departments", daybook.folder.path("d.csv")],
                    as: ImportSummary.self)
                let after = try await samples(daybook)
                let wanted = try logged(daybook)
                let counted = after.filter {
                    ($0.key.hasPrefix("daybook_rows_total")
                        || $0.key.hasPrefix("daybook_rejections_total")) && $0.value > 0
                }
                #expect(counted == wanted, "seed \(seed)")
                #expect(wanted.count > 8, "the traffic has much")
                // An import's batches are no appends by HTTP.
                #expect(after["daybook_append_seconds_count"] == Double(count))
                let groups = try #require(after["daybook_groups_total"])
                #expect(after["daybook_sync_seconds_count"] ?? 0 >= groups)
                #expect(after["daybook_group_batches_sum"] == after["daybook_batches_total"])
                #expect(after["daybook_sync_seconds_sum"] ?? 0 > 0)
                #expect(after["daybook_log_damaged_ranges"] == 0)
                try daybook.stop()
                try await daybook.start()
                let again = try await samples(daybook)
                #expect(again["daybook_rows_total{table=\"jobs\",verdict=\"accepted\"}"] == 0)
                #expect(!again.keys.contains { $0.hasPrefix("daybook_rejections_total") })
                #expect(again["daybook_durable_position"] == after["daybook_durable_position"])
            }
        }

        /// Names and types of the metrics that the table of docs/operations.md has.
        private func documented() throws -> [String: String] {
            let text = try String(
                contentsOfFile: "\(packageRoot)/docs/operations.md", encoding: .utf8)
            let section = try #require(text.split(separator: "## Metrics").last)
            var types: [String: String] = [:]
            for line in section.split(separator: "\n") where line.hasPrefix("| `daybook_") {
                let cells = line.split(separator: "|").map { $0.split(separator: ",") }
                for (place, name) in cells[0].enumerated() {
                    let type = cells[1].count > 1 ? cells[1][place] : cells[1][0]
                    types[name.trimmingCharacters(in: CharacterSet(charactersIn: " `"))] =
                        type.trimmingCharacters(in: .whitespaces)
                }
            }
            return types
        }

        @Test("The docs have every metric of a running server with its type, and no other")
        func documentation() async throws {
            try await withDaybook { daybook in
                try await daybook.waitUntilProjected("jobs")
                let made = try await daybook.client.send("POST", "/v1/backups?wait=60")
                #expect(made.status == 201, "\(made.text)")
                let text = try await daybook.client.get("/metrics").text
                var live: [String: String] = [:]
                for line in text.split(separator: "\n") where line.hasPrefix("# TYPE ") {
                    let words = line.split(separator: " ")
                    live[String(words[2])] = String(words[3])
                }
                var documented = try documented()
                // Those that are left out until something has been.
                for name in [
                    "daybook_snapshot_age_seconds", "daybook_backup_proven_age_seconds",
                    "daybook_drill_last_ok",
                ] where live[name] == nil {
                    #expect(documented.removeValue(forKey: name) == "gauge", "\(name)")
                }
                #expect(live == documented)
                #expect(live["daybook_backup_age_seconds"] == "gauge")
            }
        }

        @Test("Every alert stands in the docs as it is, and asks for metrics that there are")
        func alerts() throws {
            let rules = try String(
                contentsOfFile: "\(packageRoot)/deploy/alerts.yaml", encoding: .utf8)
            let docs = try String(
                contentsOfFile: "\(packageRoot)/docs/operations.md", encoding: .utf8
            ).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            let names = try documented().keys
            let units = ["m": "minute", "h": "hour", "d": "day"]
            var alerts: Set<String> = []
            let rule = #/- alert: (\w+)\n +expr: (.+)\n +for: ([0-9]+)([mhd])\n/#
            for match in rules.matches(of: rule) {
                alerts.insert(String(match.1))
                let count = Int(match.3) ?? 0
                let unit = try #require(units[String(match.4)]) + (count > 1 ? "s" : "")
                let time = count == 0 ? "" : " for \(count) \(unit)"
                #expect(docs.contains("**\(match.1)**, `\(match.2)`\(time): "), "\(match.1)")
                for metric in match.2.matches(of: #/daybook_[a-z_]+/#) {
                    let name = String(metric.0).replacing("_bucket", with: "")
                    #expect(names.contains(name), "\(match.1) asks for \(name)")
                }
            }
            let told = Set(docs.matches(of: #/\*\*(Daybook\w+)\*\*/#).map { String($0.1) })
            #expect(alerts == told && rules.split(separator: "- alert:").count == told.count + 1)
        }

        /// A batch of jobs or of departments, clean or not, sometimes all or none.
        private func send(_ random: inout SeededGenerator, _ client: HTTPClient) async throws {
            let rows = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                let id = Int.random(in: 1...400, using: &random)
                return switch Int.random(in: 0...9, using: &random) {
                case 0: #"{"id": \#(id)}"#
                case 1: #"{"id": "\#(id)", "job": 5, "more": 1}"#
                case 2: "[\(id)]"
                default: #"{"id": \#(id), "job": "Job \#(id)"}"#
                }
            }
            let isAtomic = Int.random(in: 0...4, using: &random) == 0
            var body = "[\(rows.joined(separator: ","))]"
            if Int.random(in: 0...9, using: &random) == 0 { body.removeLast() }
            let table = Bool.random(using: &random) ? "jobs" : "departments"
            let path = table + (isAtomic ? "?atomic=true" : "")
            let answer = try await client.append(body, to: path)
            #expect([200, 400].contains(answer.status), "\(answer.text)")
        }
    }
}
