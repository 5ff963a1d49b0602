import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Log commands") struct LogCommands {
        struct Verification: Decodable {
            let ok: Bool
            let segments: Int
            let blocks: Int
            let batches: Int
            let events: Int
            let root: String
            let problems: [Problem]

            struct Problem: Decodable {
                let segment: String
                let offset: Int
                let position: Int?
                let what: String
            }
        }

        @Test("log verify counts what is there, and a flipped bit is exit 3 with its place")
        func verify() async throws {
            try await withDaybook { daybook in
                for batch in 0..<10 {
                    let rows = (0..<50).map { #"{"id":\#(batch * 50 + $0),"job":"Job"}"# }
                    let answer = try await daybook.client.append(
                        "[" + rows.joined(separator: ",") + "]", to: "jobs")
                    #expect(answer.status == 200)
                }
                let end = try daybook.status().durable_position
                try daybook.stop()
                let good = try daybook.json(["log", "verify"], as: Verification.self)
                #expect(good.ok && good.problems.isEmpty && good.segments == 1)
                #expect(good.events >= end && good.batches >= 11 && good.blocks >= 10)

                let segment = try #require(try daybook.segments.first)
                let url = URL(fileURLWithPath: segment)
                var bytes = try Data(contentsOf: url)
                bytes[bytes.count / 2] ^= 1
                try bytes.write(to: url)
                let bad = try daybook.run(["log", "verify", "--json"])
                #expect(bad.status == 3, "\(bad.errorText)")
                let found = try JSONDecoder().decode(Verification.self, from: bad.output)
                #expect(!found.ok)
                #expect(found.problems.first?.segment.hasSuffix(url.lastPathComponent) == true)
            }
        }

        @Test("log cat gives every event as a line of JSON, accepted and rejected, by position")
        func cat() async throws {
            try await withDaybook { daybook in
                let from = try daybook.status().durable_position
                _ = try await daybook.client.append(Append.call, to: "jobs")
                let all = try daybook.run(["log", "cat", "--from", "\(from)"])
                #expect(all.status == 0, "\(all.errorText)")
                let lines = all.text.split(separator: "\n")
                #expect(lines.count == 4)
                let positions = try lines.map { line in
                    let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
                    return (object as? [String: Any])?["position"] as? Int
                }
                #expect(positions == (from..<from + 4).map { $0 })
                #expect(lines.first?.contains("Lamplighter") == true)
                let rejected = try daybook.run(["log", "cat", "--from", "\(from)", "--rejected"])
                #expect(rejected.text.split(separator: "\n").count == 3)
                let none = try daybook.run([
                    "log", "cat", "--from", "\(from)", "--table", "departments",
                ])
                #expect(none.status == 0 && none.output.isEmpty)
                let info = try daybook.run(["log", "info"])
                #expect(info.status == 0 && info.text.contains("\(from + 4)"))
            }
        }

        @Test(
            "log cat --follow shows what is appended as it comes, filtered, until the server stops")
        func follow() async throws {
            try await withDaybook { daybook in
                let from = try daybook.status().durable_position
                let all = try cat(daybook, ["--from", "\(from)", "--follow"])
                let accepted = try cat(
                    daybook, ["--from", "\(from)", "--verdict", "accepted", "--follow"])
                for id in 1...20 {
                    let body = #"[{"id":\#(id),"job":"Job"},{"id":"bad"}]"#
                    _ = try await daybook.client.append(body, to: "jobs")
                }
                let end = try daybook.status().durable_position
                #expect(end == from + 40)
                try await wait("the followers") {
                    try positions(all.output).count == 40 && positions(accepted.output).count == 20
                }
                #expect(try positions(all.output) == (from..<end).map { $0 })
                #expect(
                    try positions(accepted.output)
                        == stride(from: from, to: end, by: 2).map { $0 })
                let written = try daybook.run(["log", "cat", "--from", "\(from)"])
                let feed = try await daybook.client.get("/v1/events?from=\(from)")
                #expect(feed.body == all.output && feed.body.starts(with: written.output))

                try daybook.stop()
                for follower in [all, accepted] {
                    #expect(follower.waitForExit(timeoutSeconds: 10) == 4)
                    #expect(follower.errorText.contains("the server has stopped"))
                }
                let offline = try daybook.run(["log", "cat", "--from", "\(from)"])
                #expect(offline.output == feed.body)
                #expect(try daybook.run(["log", "cat", "--follow"]).status == 4)
                let twice = try daybook.run([
                    "log", "cat", "--rejected", "--verdict", "accepted",
                ])
                #expect(twice.status == 2)
            }
        }

        private func cat(
            _ daybook: DaybookServer, _ options: [String]
        ) throws -> BackgroundProcess {
            try BackgroundProcess(
                daybookBinary, ["log", "cat"] + options, environment: daybook.environment,
                folder: daybook.folder.path)
        }

        private func positions(_ lines: Data) throws -> [Int] {
            try lines.split(separator: UInt8(ascii: "\n")).map { line in
                let object = try JSONSerialization.jsonObject(with: Data(line))
                return try #require((object as? [String: Any])?["position"] as? Int)
            }
        }
    }
}
