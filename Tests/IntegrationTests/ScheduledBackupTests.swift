import Foundation
import Synchronization
import TestSupport
import Testing

extension Integration {
    @Suite("Scheduled backups") struct ScheduledBackups {
        /// `daybook backup list --json`, and `GET /v1/backups`.
        struct Listing: Decodable {
            let backups: [Backup]
            let last_failure: Failure?

            struct Backup: Decodable {
                let backup: String
                let position: Int
                let proven: Bool
                let rows: Int
            }

            struct Failure: Decodable { let reason: String }
        }

        @Test("Backups come by themselves while rows come in; those to be kept stay, all are right")
        func schedule() async throws {
            try await withDaybook(start: false) { daybook in
                try await daybook.start(["--backup-every", "1s", "--backup-keep", "3"])
                let appending = Appending(
                    HTTPClient(port: daybook.client.port, key: daybook.client.key))
                let first = try await listing(daybook, "three") { $0.count == 3 }
                // A proven one outlives those that came after it.
                let proven = try #require(first.first)
                try verify(proven, daybook)
                let all = try await listing(daybook, "others") { names in
                    !names.contains(first[1]) && !names.contains(first[2])
                }
                #expect(all.count == 4 && all.first == proven)
                await appending.end()
                try await wait("a backup of all that came") {
                    let end = try daybook.status().durable_position
                    return try list(daybook).backups.last?.position == end
                }
                let last = try list(daybook).backups
                #expect(last.count == 4 && last.filter(\.proven).map(\.backup) == [proven])
                for backup in last { try verify(backup.backup, daybook) }
                // Nothing new was appended, so nothing new is made.
                try await Task.sleep(for: .milliseconds(2500))
                #expect(try list(daybook).backups.map(\.backup) == last.map(\.backup))
                #expect(try remains(daybook).isEmpty)
                let metrics = try await daybook.client.get("/metrics").text
                for name in ["backup_age_seconds", "backup_proven_age_seconds"] {
                    #expect(metrics.contains("\ndaybook_\(name) "))
                }
                #expect(metrics.contains("\ndaybook_backup_failures_total 0\n"))
                let answer = try await daybook.client.get("/v1/backups")
                let listed = try JSONDecoder().decode(Listing.self, from: answer.body)
                #expect(listed.backups.map(\.backup) == last.map(\.backup))
                #expect(listed.last_failure == nil)
                #expect(try daybook.stop() == 0)
                #expect(try remains(daybook).isEmpty)
            }
        }

        @Test("Drills come by themselves and prove the newest backup; a bad option is refused")
        func drills() async throws {
            try await withDaybook(start: false) { daybook in
                let wrong = try daybook.run(["serve", "--backup-every", "soon"])
                #expect(wrong.status == 2 && wrong.errorText.contains("30s, 15m, 1h or 7d"))
                #expect(try daybook.run(["serve", "--backup-keep", "0"]).status == 2)
                try await daybook.start(["--backup-every", "1h", "--drill-every", "1h"])
                try await append(1..<50, daybook)
                try await wait("a drill") {
                    try await daybook.client.get("/metrics").text
                        .contains("\ndaybook_drill_last_ok 1\n")
                }
                let backups = try list(daybook).backups
                #expect(backups.count == 1 && backups.first?.proven == true)
            }
        }

        @Test("By HTTP one is made at a time, for an admin, and there as a whole")
        func http() async throws {
            try await withDaybook { daybook in
                try await append(1..<100, daybook)
                try await daybook.waitUntilProjected("jobs")
                struct Key: Decodable { let key: String }
                let reader = try daybook.json(
                    ["keys", "create", "reader", "--scope", "append,read,audit"], as: Key.self)
                let refused = try await daybook.client.send(
                    "POST", "/v1/backups", headers: ["x-api-key": reader.key])
                #expect(refused.status == 403)
                let made = try await daybook.client.send("POST", "/v1/backups?wait=60")
                #expect(made.status == 201, "\(made.text)")
                #expect(try list(daybook).backups.map(\.rows) == [99])

                let lock = try await lockJobs(daybook)
                let begun = try await daybook.client.send("POST", "/v1/backups")
                #expect(begun.status == 202 && begun.header("location") == "/v1/backups")
                try await waitUntilInTheMiddle(daybook)
                let second = try await daybook.client.send("POST", "/v1/backups")
                #expect(second.status == 409 && second.header("retry-after") != nil)
                #expect(try list(daybook).backups.count == 1, "half a backup is none")
                lock.signal(SIGINT)
                try await wait("the second backup") { try list(daybook).backups.count == 2 }
                #expect(try remains(daybook).isEmpty)
                let unknown = try await daybook.client.send(
                    "POST", "/v1/backups", body: Data(#"{"tables":["sails"]}"#.utf8))
                #expect(unknown.status == 400)
            }
        }

        @Test("SIGTERM in the middle of a backup ends it at once and leaves nothing of it")
        func terminated() async throws {
            try await withDaybook { daybook in
                try await append(1..<100, daybook)
                try await daybook.waitUntilProjected("jobs")
                let lock = try await lockJobs(daybook)
                _ = try await daybook.client.send("POST", "/v1/backups")
                try await waitUntilInTheMiddle(daybook)
                let start = ContinuousClock.now
                #expect(try daybook.stop() == 0)
                #expect(ContinuousClock.now - start < .seconds(8))
                #expect(try remains(daybook).isEmpty)
                #expect(try list(daybook).backups.isEmpty)
                withExtendedLifetime(lock) {}
            }
        }

        @Test("kill -9 in the middle of a backup: nobody sees it, the next start takes it away")
        func killed() async throws {
            try await withDaybook { daybook in
                try await append(1..<100, daybook)
                try await daybook.waitUntilProjected("jobs")
                let lock = try await lockJobs(daybook)
                _ = try await daybook.client.send("POST", "/v1/backups")
                try await waitUntilInTheMiddle(daybook)
                daybook.kill()
                #expect(try !remains(daybook).isEmpty, "it was in the middle")
                #expect(try list(daybook).backups.isEmpty)
                lock.signal(SIGINT)
                try await daybook.start()
                try await wait("the remains to be gone") { try remains(daybook).isEmpty }
                try await wait("a backup that is whole") {
                    // The old server's connection has its lock until Postgres notices the end.
                    try await daybook.client.send("POST", "/v1/backups?wait=60").status == 201
                }
                try verify(try #require(try list(daybook).backups.first?.backup), daybook)
            }
        }

        // MARK: What the tests do

        private func append(_ ids: Range<Int>, _ daybook: DaybookServer) async throws {
            let rows = ids.map { #"{"id":\#($0),"job":"Job \#($0)"}"# }
            let answer = try await daybook.client.append(
                "[" + rows.joined(separator: ",") + "]", to: "jobs")
            #expect(answer.status == 200)
        }

        /// Appends rows until it is told to end. It is not cancelled: a request that is may never
        /// return on Linux.
        private final class Appending: Sendable {
            private let isEnding = Mutex(false)
            private let task = Mutex<Task<Void, Never>?>(nil)

            init(_ client: HTTPClient) {
                let task = Task { [self] in
                    var id = 0
                    while !isEnding.withLock({ $0 }) {
                        id += 1
                        _ = try? await client.append(#"[{"id":\#(id),"job":"Job"}]"#, to: "jobs")
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                }
                self.task.withLock { $0 = task }
            }

            func end() async {
                isEnding.withLock { $0 = true }
                await task.withLock { $0 }?.value
            }
        }

        private func list(_ daybook: DaybookServer) throws -> Listing {
            try daybook.json(["backup", "list"], as: Listing.self)
        }

        /// Waits until the names of the backups are as wanted.
        private func listing(
            _ daybook: DaybookServer, _ what: String, until isWanted: ([String]) -> Bool
        ) async throws -> [String] {
            var names: [String] = []
            try await wait(what) {
                let answer = try await daybook.client.get("/v1/backups")
                names = try JSONDecoder().decode(Listing.self, from: answer.body)
                    .backups.map(\.backup)
                return isWanted(names)
            }
            return names
        }

        private func verify(_ backup: String, _ daybook: DaybookServer) throws {
            let result = try daybook.run(["backup", "verify", "\(daybook.data)/backups/\(backup)"])
            #expect(result.status == 0, "\(result.text)\(result.errorText)")
        }

        /// Backups that are not whole.
        private func remains(_ daybook: DaybookServer) throws -> [String] {
            let folder = "\(daybook.data)/backups"
            guard FileManager.default.fileExists(atPath: folder) else { return [] }
            return try FileManager.default.contentsOfDirectory(atPath: folder).filter {
                $0.hasSuffix(".tmp")
            }
        }

        /// A transaction that lets nobody read `jobs`, until its program is interrupted.
        private func lockJobs(_ daybook: DaybookServer) async throws -> BackgroundProcess {
            let conninfo = try #require(try daybook.status().postgres)
            let lock = try BackgroundProcess(
                "psql",
                [
                    "-X", "-q", "-c",
                    "BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)",
                    conninfo,
                ])
            try await wait("the lock") {
                try daybook.sql(
                    """
                    SELECT count(*) FROM pg_locks
                     WHERE mode = 'AccessExclusiveLock' AND granted
                       AND relation = 'public.jobs'::regclass
                    """) == "1\n"
            }
            return lock
        }

        /// Until the tables before `jobs` are written.
        private func waitUntilInTheMiddle(_ daybook: DaybookServer) async throws {
            try await wait("a backup to be in its middle") {
                try remains(daybook).contains { name in
                    FileManager.default.fileExists(
                        atPath: "\(daybook.data)/backups/\(name)/jobs.avro")
                }
            }
        }
    }
}
