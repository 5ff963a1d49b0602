import Foundation
import TestSupport
import Testing

extension Integration {
    /// `DAYBOOK_AWAY_SECONDS=60 DAYBOOK_BACKLOG_ROWS=1000000` for the long run.
    @Suite("Appends go on") struct GoesOn {
        private static func setting(_ name: String, _ unless: Int) -> Int {
            ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? unless
        }

        /// Appends a row again and again until it is told to stop.
        private final class Appender {
            private(set) var count = 0
            private(set) var slowestSeconds = 0.0
            private let client: HTTPClient
            private let clock = ContinuousClock()

            init(_ daybook: DaybookServer) {
                client = HTTPClient(port: daybook.client.port, key: daybook.client.key)
            }

            func run(while isWanted: () throws -> Bool) async throws {
                while try isWanted() {
                    let start = clock.now
                    let answer = try await client.append(
                        #"{"id":\#(count),"job":"Job \#(count)"}"#, to: "jobs")
                    try #require(answer.status == 200, "\(answer.text)")
                    slowestSeconds = max(slowestSeconds, (clock.now - start) / .seconds(1))
                    count += 1
                    try await Task.sleep(for: .milliseconds(5))
                }
            }

            func run(seconds: Double) async throws {
                let end = clock.now + .seconds(seconds)
                try await run { clock.now < end }
            }
        }

        private func expectAll(_ appender: Appender, _ daybook: DaybookServer) async throws {
            try await daybook.waitUntilProjected("jobs", timeoutSeconds: 120)
            #expect(
                try daybook.sql("SELECT count(*), count(DISTINCT id) FROM jobs")
                    == "\(appender.count),\(appender.count)\n")
            #expect(appender.slowestSeconds < 2)
        }

        @Test("while Postgres is stopped, and the lag returns to 0 when it is back")
        func postgresStopped() async throws {
            let postgres = try PostgresCluster()
            try postgres.start()
            try await withDaybook(postgres: postgres.url) { daybook in
                let appender = Appender(daybook)
                try await appender.run(seconds: 1)
                let before = appender.count
                try postgres.kill()
                try await appender.run(seconds: Double(Self.setting("DAYBOOK_AWAY_SECONDS", 8)))
                let away = appender.count - before
                #expect(away > 100)
                let answer = try await daybook.client.get("/v1/jobs?limit=1")
                #expect(answer.status == 503 && answer.header("Retry-After") != nil)
                #expect(try await daybook.client.get("/health/ready").status == 200)
                try postgres.start()
                try await appender.run(seconds: 1)
                try await expectAll(appender, daybook)
                report("Postgres away: \(away) appends, slowest \(appender.slowestSeconds) s")
            }
        }

        @Test("while a projection is paused, which waits alone and catches up")
        func paused() async throws {
            try await withDaybook { daybook in
                try await daybook.waitUntilProjected("jobs")
                #expect(try daybook.run(["projections", "pause", "jobs"]).status == 0)
                let appender = Appender(daybook)
                try await appender.run(seconds: 2)
                try await wait("the others") {
                    let status = try daybook.status()
                    return status.projections["audit"]?.lag == 0
                        && (status.projections["jobs"]?.lag ?? 0) >= appender.count
                }
                #expect(try daybook.run(["projections", "resume", "jobs"]).status == 0)
                try await appender.run(seconds: 1)
                try await expectAll(appender, daybook)
            }
        }

        @Test("while a backlog is projected, and the lag returns to 0")
        func backlog() async throws {
            let rowCount = Self.setting("DAYBOOK_BACKLOG_ROWS", 100_000)
            let postgres = try PostgresCluster()
            try await withDaybook(postgres: postgres.url) { daybook in
                let file = daybook.folder.path("departments.csv")
                let lines = (0..<rowCount).map { "\($0),Department \($0)\n" }.joined()
                try lines.write(toFile: file, atomically: true, encoding: .utf8)
                let appender = Appender(daybook)
                let result = try daybook.run(
                    ["import", "departments", file], timeoutSeconds: 600)
                #expect(result.status == 0)
                try await appender.run(seconds: 1)
                let lag = try daybook.status().projections["departments"]?.lag ?? 0
                #expect(lag >= rowCount)
                try postgres.start()
                let clock = ContinuousClock()
                let start = clock.now
                try await appender.run {
                    let lag = try daybook.status().projections["departments"]?.lag ?? 0
                    return lag > appender.count && clock.now - start < .seconds(300)
                }
                let seconds = (clock.now - start) / .seconds(1)
                try await expectAll(appender, daybook)
                try await daybook.waitUntilProjected("departments")
                #expect(
                    try daybook.sql("SELECT count(*) FROM departments") == "\(rowCount)\n")
                report(
                    "backlog of \(rowCount) rows: gone after \(seconds) s, meanwhile appends, "
                        + "slowest \(appender.slowestSeconds) s")
            }
        }
    }
}
