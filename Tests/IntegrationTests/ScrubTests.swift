import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Rot in an old segment") struct Scrub {
        private struct Status: Decodable {
            struct Damage: Decodable, Equatable {
                let file: String
                let offset: Int
                let position: Int
                let what: String
            }
            let state: String
            let damage: [Damage]?
        }

        private static let goods = """
            table: goods
            key: [id]
            columns:
              - {name: id,   type: integer}
              - {name: name, type: string, maxLength: 20}
            """

        private func rows(_ ids: Range<Int>) -> String {
            "[" + ids.map { #"{"id":\#($0),"name":"name \#($0)"}"# }.joined(separator: ",") + "]"
        }

        private func status(_ daybook: DaybookServer) async throws -> Status {
            let answer = try await daybook.client.get("/v1/status")
            return try JSONDecoder().decode(Status.self, from: answer.body)
        }

        private func metric(_ name: String, _ daybook: DaybookServer) async throws -> Double? {
            let text = try await daybook.client.get("/metrics").text
            return text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
                .flatMap { Double($0.dropFirst(name.count + 1)) }
        }

        /// A ledger whose first segment is sealed, with ten batches of ten rows in it, scrubbed
        /// every second.
        private func withSealedSegment(
            _ body: (DaybookServer) async throws -> Void
        ) async throws {
            let folder = try TemporaryFolder()
            let catalog = folder.path("catalog")
            try FileManager.default.createDirectory(
                atPath: catalog + "/sql", withIntermediateDirectories: true)
            try FileManager.default.copyItem(
                atPath: "\(packageRoot)/sql/migrations", toPath: catalog + "/sql/migrations")
            try folder.write(Self.goods, to: "catalog/projections/goods.yaml")
            try await withDaybook(catalog: catalog) { daybook in
                for batch in 0..<10 {
                    let answer = try await daybook.client.append(
                        rows(batch * 10..<batch * 10 + 10), to: "goods")
                    #expect(answer.status == 200, "\(answer.text)")
                }
                try daybook.stop()
                // Another dictionary begins another segment.
                try folder.write(
                    Self.goods.replacing("20", with: "40"), to: "catalog/projections/goods.yaml")
                try await daybook.start(["--scrub-every", "1"])
                #expect(try daybook.segments.count == 2)
                try await body(daybook)
            }
            withExtendedLifetime(folder) {}
        }

        private func flip(_ path: String, at offset: UInt64) throws {
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.seek(toOffset: offset)
            let byte = try #require(try file.read(upToCount: 1)?.first)
            try file.seek(toOffset: offset)
            try file.write(contentsOf: Data([byte ^ 1]))
            try file.close()
        }

        @Test(
            "Fault 12: rot in an old segment of a running server: degraded soon, appends go on")
        func degraded() async throws {
            try await withSealedSegment { daybook in
                try await wait("a clean pass") {
                    try await metric("daybook_scrub_passes_total", daybook) ?? 0 > 0
                }
                let sound = try await status(daybook)
                #expect(sound.state == "ok" && sound.damage == nil)
                let before = try #require(
                    try await metric("daybook_scrub_bytes_total", daybook))
                #expect(before > 0)
                let path = try #require(try daybook.segments.first)
                let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
                let tags = bytes.indices.filter {
                    bytes[$0...].starts(with: Array("DAYBKBLK".utf8))
                }
                // In the body of the block before the last: its header has 188 bytes.
                let block = try #require(tags.dropLast().last) - 8
                try flip(path, at: UInt64(block + 188 + 30))
                try await wait("the scrub to find it", timeoutSeconds: 20) {
                    try await status(daybook).state == "degraded"
                }
                let found = try #require(try await status(daybook).damage?.first)
                #expect(path.hasSuffix(found.file) && found.offset == block)
                #expect(try await metric("daybook_log_damaged_ranges", daybook) == 1)
                let text = try daybook.run(["status"])
                #expect(text.text.contains("degraded") && text.text.contains(found.file))
                let verified = try daybook.run(["log", "verify", "--json"])
                #expect(verified.status == 3 && verified.text.contains(found.file))

                #expect(await (try daybook.client.get("/health/ready")).status == 200)
                let answer = try await daybook.client.append(rows(1000..<1010), to: "goods")
                #expect(answer.status == 200, "\(answer.text)")
                let end = try daybook.status().durable_position
                let next = found.position + 10
                let below = try await daybook.client.get(
                    "/v1/events?from=0&limit=\(found.position)")
                #expect(below.text.split(separator: "\n").count == found.position)
                let above = try await daybook.client.get("/v1/events?from=\(next)")
                #expect(above.text.split(separator: "\n").count == end - next)
                let log = try #require(daybook.process?.errorText)
                #expect(log.components(separatedBy: "a sealed segment is damaged").count == 2)

                try flip(path, at: UInt64(block + 188 + 30))
                try await wait("a clean pass", timeoutSeconds: 20) {
                    try await status(daybook).state == "ok"
                }
            }
        }

        @Test("Fault 12: rot in an old segment's header: it starts, degraded, until it is repaired")
        func header() async throws {
            try await withSealedSegment { daybook in
                let end = try daybook.status().durable_position
                try daybook.stop()
                let path = try #require(try daybook.segments.first)
                try flip(path, at: 60)
                try await daybook.start()
                let found = try await status(daybook)
                let damage = try #require(found.damage?.first)
                #expect(found.state == "degraded" && found.damage?.count == 1)
                #expect(path.hasSuffix(damage.file) && damage.offset == 0 && damage.position == 0)
                #expect(damage.what.contains("header") && damage.what.hasSuffix("rows can be"))
                let events = try await daybook.client.get("/v1/events?from=0")
                #expect(events.text.split(separator: "\n").count == end)
                let answer = try await daybook.client.append(rows(1000..<1010), to: "goods")
                #expect(answer.status == 200, "\(answer.text)")
                try daybook.stop()
                let all = try daybook.run(["log", "cat"])
                #expect(all.status == 0 && all.text.split(separator: "\n").count == end + 10)

                let repaired = try daybook.run(["log", "repair", "--apply"])
                #expect(repaired.status == 0, "\(repaired.text)\(repaired.errorText)")
                #expect(try daybook.run(["log", "verify"]).status == 0)
                try await daybook.start()
                #expect(try await status(daybook).state == "ok")
                let more = try await daybook.client.append(rows(1010..<1020), to: "goods")
                #expect(more.status == 200, "\(more.text)")
                try await daybook.waitUntilProjected("goods")
                #expect(try daybook.sql("SELECT count(*) FROM goods") == "120\n")
            }
        }

        @Test("Fault 13: a damaged footer keeps no server from starting, and is written anew")
        func footer() async throws {
            try await withSealedSegment { daybook in
                let end = try daybook.status().durable_position
                try daybook.stop()
                let path = try #require(try daybook.segments.first)
                let whole = try Data(contentsOf: URL(fileURLWithPath: path))
                try flip(path, at: UInt64(whole.count - 40))
                #expect(try daybook.run(["log", "verify"]).status == 3)
                try await daybook.start()
                #expect(try await status(daybook).state == "ok")
                // That bytes were cut off, and kept aside, is an event.
                try await wait("the cut to be told") {
                    try daybook.status().durable_position == end + 1
                }
                let events = try await daybook.client.get("/v1/events?from=0")
                let lines = events.text.split(separator: "\n")
                #expect(lines.count == end + 1 && lines.last?.contains("torn_tail") == true)
                #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == whole)
                #expect(try daybook.run(["log", "verify"]).status == 0)
            }
        }

        @Test("What is before a damaged place can be listed by log cat, which then exits 3")
        func listed() async throws {
            try await withSealedSegment { daybook in
                let end = try daybook.status().durable_position
                try daybook.stop()
                let path = try #require(try daybook.segments.last)
                let base = try #require(
                    Int(URL(fileURLWithPath: path).lastPathComponent.prefix(20)))
                try flip(path, at: 60)
                let all = try daybook.run(["log", "cat"])
                #expect(all.status == 3, "\(all.errorText)")
                #expect(all.text.split(separator: "\n").count == base)
                #expect(all.errorText.contains("everything below position \(base)"))
                let part = try daybook.run(["log", "cat", "--to", "\(base)"])
                #expect(part.status == 0 && part.output == all.output && base < end)
                #expect(try daybook.run(["serve"]).status == 3)
            }
        }
    }
}
