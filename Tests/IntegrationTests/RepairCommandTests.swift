import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Repair command") struct RepairCommand {
        struct Plan: Decodable {
            let damaged: Bool
            let applied: Bool
            let saved_events: Int
            let lost_events: Int
            let gaps: [Gap]
            let replaced_files: [String]

            struct Gap: Decodable {
                let first: Int
                let end: Int
            }
        }

        @Test(
            "A rotten block halts the start; repair saves all but it, and the tables are made anew")
        func rottenBlock() async throws {
            try await withDaybook { daybook in
                for batch in 0..<8 { try await append(batch, daybook) }
                try await daybook.waitUntilProjected("jobs")
                try daybook.stop()
                let sound = try daybook.run(["log", "repair"])
                #expect(sound.status == 0 && sound.text == "nothing is damaged\n")
                let name = try rot(block: 5, daybook)

                let halted = try daybook.run(["serve", "--listen", "127.0.0.1:0"])
                #expect(halted.status == 3, "\(halted.errorText)")
                #expect(halted.errorText.contains("daybook log repair"), "\(halted.errorText)")
                let plan = try daybook.run(["log", "repair", "--json"])
                #expect(plan.status == 3, "\(plan.errorText)")
                let seen = try JSONDecoder().decode(Plan.self, from: plan.output)
                #expect(seen.damaged && !seen.applied && seen.gaps.count == 1)
                #expect(seen.lost_events == 50 && seen.replaced_files.contains(name))

                let repaired = try daybook.json(["log", "repair", "--apply"], as: Plan.self)
                #expect(repaired.applied && repaired.lost_events == 50)
                let gap = try #require(repaired.gaps.first)
                #expect(try daybook.run(["log", "verify"]).status == 0)
                let rebuilt = try daybook.run(["rebuild"])
                #expect(rebuilt.status == 0, "\(rebuilt.errorText)")

                try await daybook.start()
                try await append(9, daybook)
                try await daybook.waitUntilProjected("jobs")
                #expect(
                    try daybook.sql("SELECT count(*), count(DISTINCT job) FROM jobs") == "400,8\n")
                let events = try daybook.run([
                    "log", "cat", "--from", "\(gap.first)", "--to", "\(gap.end)",
                ])
                #expect(
                    events.text.components(separatedBy: "\"gap\"").count == 51,
                    "\(events.text.prefix(500)) \(events.errorText)")
                try daybook.stop()
                let kept = try #require(try daybook.segments.first) + ".repaired-1"
                #expect(FileManager.default.fileExists(atPath: kept))
                let reader = try StockReaders.batches(of: daybook.segments)
                #expect(reader.count { $0.table == "jobs" } == 8)
            }
        }

        @Test("While a server has the ledger, or where none is, repair says so and does nothing")
        func refused() async throws {
            try await withDaybook { daybook in
                let busy = try daybook.run(["log", "repair", "--apply"])
                #expect(busy.status == 1 && busy.errorText.contains("another process"))
                let none = try daybook.run(["log", "repair", "--data", "nowhere"])
                #expect(none.status == 2 && none.errorText.contains("--data"))
            }
        }

        private func append(_ batch: Int, _ daybook: DaybookServer) async throws {
            let rows = (0..<50).map { #"{"id":\#(batch * 50 + $0),"job":"Job \#(batch)"}"# }
            let answer = try await daybook.client.append(
                "[" + rows.joined(separator: ",") + "]", to: "jobs")
            #expect(answer.status == 200)
        }

        /// Flips a bit in the body of a block; the name of the file.
        private func rot(block: Int, _ daybook: DaybookServer) throws -> String {
            let url = URL(fileURLWithPath: try #require(try daybook.segments.first))
            var bytes = try Data(contentsOf: url)
            var place = bytes.startIndex
            for _ in 0...block {
                let found = try #require(bytes[place...].range(of: Data("DAYBKBLK".utf8)))
                place = found.upperBound
            }
            bytes[place + 250] ^= 4
            try bytes.write(to: url)
            return url.lastPathComponent
        }
    }
}
