import Foundation
import TestSupport
import Testing

/// Makes the server's disk do something at a chosen moment of an append; see `scripts/die_at.c`.
private struct Moment {
    private let library: String
    private let trigger: String

    /// Compiles the library with the toolchain's own clang, and has the server load it.
    init(_ daybook: DaybookServer) throws {
        library = daybook.folder.path("die_at.so")
        trigger = daybook.folder.path("moment")
        let source = "\(packageRoot)/Tests/IntegrationTests/scripts/die_at.c"
        let result = try runTool(
            "clang", ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source])
        guard result.status == 0 else { throw DaybookFailure(description: result.errorText) }
        daybook.set("LD_PRELOAD", library)
        daybook.set("DAYBOOK_DIE_AT", trigger)
    }

    /// From now on. Whatever was appended before is attested by then, so that the next write to a
    /// segment is the next batch's.
    func arm(_ moment: String) async throws {
        try await Task.sleep(for: .milliseconds(300))
        try Data(moment.utf8).write(to: URL(fileURLWithPath: trigger), options: .atomic)
    }

    func disarm() throws { try FileManager.default.removeItem(atPath: trigger) }
}

extension Integration {
    @Suite("Killed at a chosen moment") struct ChosenMoment {
        static let body = #"[{"id":1,"job":"a"},{"id":1,"job":"b"},{"id":2,"job":"c"}]"#

        /// Kills the server at the moment, starts it again, and sends the batch again.
        /// - Returns: whether the log had it before it was sent again, and what the cut was.
        private func kill(
            at moment: String, _ check: (DaybookServer, _ isThere: Bool) async throws -> Void
        ) async throws {
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                try await daybook.start()
                _ = try await daybook.client.append(#"{"id":9,"job":"z"}"#, to: "jobs")
                let before = try daybook.status().durable_position
                try await trap.arm(moment)
                await #expect(throws: (any Error).self) {
                    try await daybook.client.append(Self.body, to: "jobs", idempotencyKey: "k")
                }
                let status = daybook.process?.waitForExit(timeoutSeconds: 10)
                #expect(status == 128 + SIGKILL)
                try trap.disarm()

                try await daybook.start()
                let isThere =
                    try await daybook.client.get("/v1/batches?idempotency_key=k").status == 200
                try await check(daybook, isThere)
                let end = try daybook.status().durable_position
                let answer = try await daybook.client.append(
                    Self.body, to: "jobs", idempotencyKey: "k")
                #expect(answer.status == 200)
                #expect((answer.header("idempotency-replayed") == "true") == isThere)
                let verdicts = try answer.verdicts()
                #expect(verdicts.accepted == 2 && verdicts.codes(ofRow: 1) == ["duplicate_key"])
                #expect(try daybook.status().durable_position == (isThere ? end : end + 3))
                #expect(verdicts.position == (isThere ? before : end))
                let again = try await daybook.client.append(
                    Self.body, to: "jobs", idempotencyKey: "k")
                #expect(again.body == answer.body)
                #expect(try daybook.run(["log", "verify"]).status == 0)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT id, job FROM jobs ORDER BY 1") == "1,a\n2,c\n9,z\n")
            }
        }

        @Test("Fault 1: kill -9 before the block is written: absent; a retry succeeds once")
        func beforeWrite() async throws {
            try await kill(at: "before write") { _, isThere in #expect(!isThere) }
        }

        @Test("Fault 2: kill -9 in the middle of the write: absent, and the piece is kept aside")
        func halfWrite() async throws {
            try await kill(at: "half a write") { daybook, isThere in
                #expect(!isThere)
                let names = try FileManager.default.contentsOfDirectory(
                    atPath: "\(daybook.data)/log")
                #expect(names.contains { $0.contains(".torn-") }, "\(names)")
                #expect(try daybook.run(["log", "cat"]).text.contains(#""kind":"torn_tail""#))
            }
        }

        @Test("Fault 2: a start that is killed after it cut a torn tail: the next one tells, once")
        func killedAfterCut() async throws {
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                try await daybook.start()
                try await trap.arm("half a write")
                await #expect(throws: (any Error).self) {
                    try await daybook.client.append(Self.body, to: "jobs")
                }
                daybook.process?.waitForExit(timeoutSeconds: 10)
                try await trap.arm("before write")
                let cutting = try daybook.launch([])
                #expect(cutting.waitForExit(timeoutSeconds: 30) == 128 + SIGKILL)
                try trap.disarm()
                func kept() throws -> [String] {
                    try FileManager.default.contentsOfDirectory(atPath: "\(daybook.data)/log")
                        .filter { $0.contains(".torn-") }
                }
                let name = try #require(try kept().first)
                let untold = try daybook.run(["log", "cat"]).text
                #expect(!untold.contains("torn_tail"), "it was killed before it could tell")
                for _ in 0..<2 {
                    try await daybook.start()
                    let told = try daybook.run(["log", "cat"]).text.split(separator: "\n")
                        .filter { $0.contains(#""kind":"torn_tail""#) }
                    #expect(told.count == 1 && told[0].contains(name), "\(told)")
                    try daybook.stop()
                }
                #expect(try kept() == [name])
            }
        }

        @Test("Fault 2: kill -9 after the write, before the sync: whole, and the retry finds it")
        func afterWrite() async throws {
            // The page cache outlives the process, so that it is whole; synced before it is served.
            try await kill(at: "after write") { _, isThere in #expect(isThere) }
        }

        @Test("Fault 3: kill -9 after the sync, before the response: the retry finds the verdicts")
        func afterSync() async throws {
            try await kill(at: "after sync") { _, isThere in #expect(isThere) }
        }

        @Test("Fault 19: a failed sync: outcome unknown, exit 3, after a restart each row is once")
        func failedSync() async throws {
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                try await daybook.start()
                _ = try await daybook.client.append(#"{"id":9,"job":"z"}"#, to: "jobs")
                try await trap.arm("sync fails")
                let answer = try await daybook.client.append(
                    Self.body, to: "jobs", idempotencyKey: "k")
                #expect(answer.status == 503 && answer.text.contains("outcome-unknown"))
                let status = daybook.process?.waitForExit(timeoutSeconds: 30)
                #expect(status == 3, "\(daybook.process?.errorText ?? "")")
                try trap.disarm()
                try await daybook.start()
                let again = try await daybook.client.append(
                    Self.body, to: "jobs", idempotencyKey: "k")
                #expect(again.status == 200)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT id, job FROM jobs ORDER BY 1") == "1,a\n2,c\n9,z\n")
            }
        }

        @Test("Fault 20: no space: 507 and nothing kept, reads go on, appends resume by themselves")
        func noSpace() async throws {
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                try await daybook.start()
                _ = try await daybook.client.append(#"{"id":9,"job":"z"}"#, to: "jobs")
                let end = try daybook.status().durable_position
                try await trap.arm("no space")
                for _ in 0..<3 {
                    let answer = try await daybook.client.append(
                        Self.body, to: "jobs", idempotencyKey: "k")
                    #expect(answer.status == 507 && answer.text.contains("disk-full"))
                }
                let said = try await daybook.client.get("/v1/status")
                #expect(said.text.contains(#""state":"disk-full""#))
                #expect(try daybook.status().durable_position == end)
                #expect(try await daybook.client.get("/v1/events?from=0").status == 200)
                try await daybook.waitUntilProjected("jobs")
                #expect(try await daybook.client.get("/v1/jobs/9").status == 200)
                try trap.disarm()
                let answer = try await daybook.client.append(
                    Self.body, to: "jobs", idempotencyKey: "k")
                #expect(answer.status == 200 && answer.header("idempotency-replayed") == nil)
                #expect(try answer.verdicts().position == end)
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.sql("SELECT id, job FROM jobs ORDER BY 1") == "1,a\n2,c\n9,z\n")
            }
        }

        @Test("Fault 20: killed in mid-write, a start without room to keep the piece is refused")
        func tornOnFullDisk() async throws {
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                try FileManager.default.createDirectory(
                    atPath: daybook.data, withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o711])
                let disk = try SmallDisk(at: "\(daybook.data)/log", megabytes: 4)
                try await daybook.start()
                _ = try await daybook.client.append(#"{"id":9,"job":"z"}"#, to: "jobs")
                let end = try daybook.status().durable_position
                try await trap.arm("half a write")
                let rows = (100..<1_000).map { id in
                    #"{"id":\#(id),"job":"\#(UInt64.random(in: 0 ... .max))"}"#
                }
                await #expect(throws: (any Error).self) {
                    try await daybook.client.append(
                        "[\(rows.joined(separator: ","))]", to: "jobs", idempotencyKey: "k")
                }
                daybook.process?.waitForExit(timeoutSeconds: 10)
                try trap.disarm()
                try disk.fill()
                for _ in 0..<3 {
                    let process = try daybook.launch([])
                    #expect(process.waitForExit(timeoutSeconds: 30) == 1)
                    #expect(process.errorText.contains("no space is left"), "\(process.errorText)")
                }
                disk.free()
                try await daybook.start()
                let kept = try FileManager.default.contentsOfDirectory(
                    atPath: "\(daybook.data)/log"
                ).filter { $0.contains(".torn-") }
                #expect(kept.count == 1, "one copy, a whole one: \(kept)")
                let cut = try daybook.run(["log", "cat", "--from", "\(end)"]).text
                #expect(cut.contains(#""kind":"torn_tail""#), "\(cut)")
                let answer = try await daybook.client.append(
                    "[\(rows.joined(separator: ","))]", to: "jobs", idempotencyKey: "k")
                #expect(try answer.verdicts().accepted == 900)
                #expect(answer.header("idempotency-replayed") == nil)
            }
        }

        @Test("Fault 25: a clock that jumps ahead holds appends until an operator confirms it")
        func clockAhead() async throws {
            struct Confirmed: Decodable {
                let was_held: Bool
                let jump_seconds: Int?
            }
            try await withDaybook(start: false) { daybook in
                let trap = try Moment(daybook)
                let none = try daybook.run(["clock", "confirm"])
                #expect(none.status == 4, "\(none.text)\(none.errorText)")
                try await daybook.start()
                let early = try daybook.json(["clock", "confirm"], as: Confirmed.self)
                #expect(!early.was_held, "a jump to come is not excused")
                let row = #"{"id":9,"job":"z"}"#
                #expect(try await daybook.client.append(row, to: "jobs").status == 200)
                try await trap.arm("clock ahead")
                let held = try await daybook.client.append(Self.body, to: "jobs")
                #expect(held.status == 503 && held.text.contains("clock-held"), "\(held.text)")
                let end = try daybook.status().durable_position
                let confirmed = try daybook.json(["clock", "confirm"], as: Confirmed.self)
                #expect(confirmed.was_held && (7_199...7_201).contains(confirmed.jump_seconds ?? 0))
                let taken = try await daybook.client.append(Self.body, to: "jobs")
                #expect(taken.status == 200, "\(taken.text)")
                #expect(try taken.verdicts().position == end)
                try trap.disarm()
                // Back again: no jump forward, and times go on from where they were.
                let back = #"{"id":3,"job":"d"}"#
                #expect(try await daybook.client.append(back, to: "jobs").status == 200)
                #expect(try daybook.run(["log", "verify"]).status == 0)
            }
        }
    }
}
