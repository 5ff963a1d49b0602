import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Faults 29 to 32 and 34: whatever happens, every event is in Postgres once.
@Suite struct FaultTests {
    @Test(
        "Fault 29: a backend that is ended again and again loses and doubles no row"
    )
    func terminatedBackends() async throws {
        let world = try await World()
        let projector = world.projector(rowLimit: 500)
        projector.start()
        let terminating = Task.detached {
            let connection = try PostgresConnection(.init(conninfo: world.conninfo))
            var count = 0
            while !Task.isCancelled {
                count += try connection.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                        + " current_database() AND application_name = 'projector'"
                ).rowCount
                usleep(UInt32.random(in: 20_000...120_000))
            }
            return count
        }
        for block in 0..<300 {
            try world.appendJobs(1 + block % 97)
            if block % 10 == 0 { try await Task.sleep(for: .milliseconds(40)) }
        }
        terminating.cancel()
        #expect(try await terminating.value > 3)
        #expect(
            await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 60))
        await projector.stop()
        try world.expectExactlyOnce()
    }

    @Test("Fault 29: Postgres killed and started again, early, late and in between")
    func killedServer() async throws {
        let folder = try TemporaryFolder()
        let cluster = PrivateCluster(dataDirectory: folder.path("postgres"))
        let world = try await World().withDatabase("")
        // Postgres is not there when the projector starts.
        let projector = world.projector {
            guard let running = PrivateCluster.running(dataDirectory: folder.path("postgres"))
            else { throw PostgresError.connectionFailed("it does not run") }
            return try PostgresConnection(.init(conninfo: running.conninfo))
        }
        projector.start()
        try world.appendJobs(100)
        #expect(await !projector.waitUntilApplied(1, timeoutSeconds: 0.2))
        guard case .unreachable = projector.postgres else {
            Issue.record("Postgres is not there, and the projector says \(projector.postgres)")
            return
        }
        var conninfo = ""
        for round in 0..<3 {
            let running = try await cluster.start()
            conninfo = running.conninfo
            for _ in 0..<20 { try world.appendJobs(200) }
            let middle = world.log.durable.position - 1000
            #expect(await projector.waitUntilApplied(middle, timeoutSeconds: 60))
            if round == 2 { break }
            kill(running.processIdentifier, round == 0 ? SIGKILL : SIGQUIT)
            for _ in 0..<20 { try world.appendJobs(200) }
        }
        #expect(
            await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 60))
        #expect(projector.statuses.allSatisfy { $0.state == .running }, "\(projector.statuses)")
        await projector.stop()
        try world.withDatabase(conninfo).expectExactlyOnce()
        try await cluster.stop()
    }

    @Test(
        "Fault 30: a connection lost at COMMIT applies nothing twice, whether it was done or not",
        arguments: LossyProxy.Loss.allCases, [5, 8])
    func lostCommit(_ loss: LossyProxy.Loss, _ number: Int) async throws {
        let world = try await World()
        let proxy = try LossyProxy(before: world.conninfo, losing: loss, atCommit: number)
        defer { proxy.close() }
        let projector = world.projector(conninfo: proxy.conninfo, rowLimit: 1)
        for _ in 0..<10 { try world.appendJobs(10) }
        projector.start()
        #expect(
            await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 30))
        #expect(projector.statuses.allSatisfy { $0.state == .running })
        await projector.stop()
        #expect(proxy.hasStruck)
        try world.expectExactlyOnce()
    }

    @Test("A projector that is stopped anywhere leaves the rest to the next one")
    func stopped() async throws {
        let world = try await World()
        for _ in 0..<50 { try world.appendJobs(20) }
        for _ in 0..<8 {
            let projector = world.projector(rowLimit: 50)
            projector.start()
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...40)))
            await projector.stop()
        }
        await world.projectAll()
        try world.expectExactlyOnce()
    }

    @Test("Two projectors at once into one database apply every event once")
    func two() async throws {
        let world = try await World()
        for _ in 0..<100 { try world.appendJobs(20) }
        let projectors = [30, 70].map { world.projector(rowLimit: $0) }
        for projector in projectors { projector.start() }
        for projector in projectors {
            #expect(
                await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 60))
        }
        for projector in projectors { await projector.stop() }
        try world.expectExactlyOnce()
    }

    @Test("Fault 31: a database restored to an older state is brought up to date")
    func olderDatabase() async throws {
        let world = try await World()
        for _ in 0..<5 { try world.appendJobs(10) }
        await world.projectAll()
        let name = try world.psql("SELECT current_database()")
        let copy = name + "_copy"
        let maintenance = "\(world.conninfo) dbname=postgres"
        try await patiently(maintenance, "CREATE DATABASE \(copy) TEMPLATE \(name)")
        for _ in 0..<5 { try world.appendJobs(10) }
        // The projector runs while the older state takes the place of the newer one.
        let projector = world.projector()
        projector.start()
        #expect(await world.waitWhileMoving(projector, until: 100))
        _ = try psql(maintenance, "ALTER DATABASE \(name) ALLOW_CONNECTIONS false")
        _ = try psql(
            maintenance,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '\(name)'")
        try await patiently(maintenance, "ALTER DATABASE \(name) RENAME TO \(name)_newer")
        #expect(try psql("\(maintenance) dbname=\(copy)", "SELECT count(*) FROM jobs") == "50")
        try await patiently(maintenance, "ALTER DATABASE \(copy) RENAME TO \(name)")
        try world.appendJobs(10)
        #expect(await world.waitWhileMoving(projector, until: 110))
        await projector.stop()
        try world.expectExactlyOnce()
    }

    /// Nobody may be connected to a database that is copied or renamed, and whoever has left may
    /// not have arrived yet. No statement here waits for the disk of the whole cluster, as DROP
    /// DATABASE does, which took a minute when all other tests wrote too.
    private func patiently(_ conninfo: String, _ statement: String) async throws {
        for attempt in 0... {
            do {
                _ = try psql(conninfo, statement)
                return
            } catch let failure as PsqlFailure where attempt < 60 {
                guard failure.text.contains("being accessed by other users") else { throw failure }
                try await Task.sleep(for: .milliseconds(250))
            }
        }
    }

    @Test(
        "Fault 32: a database ahead of the log, or of another past, halts and is left alone"
    )
    func contradiction() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        let rows = try world.psql("SELECT * FROM daybook.checkpoints ORDER BY 1")
        let changes: [(change: String, reason: String)] = [
            ("position = 11, tree_size = 2", "the log lost acknowledged data"),
            ("root = sha256('another past')", "followed another history"),
            ("tree_size = 2", "followed another history"),
            ("position = 5", "followed another history"),
            ("position = 0", "followed another history"),
            ("position = -1", "not readable"), ("root = ''", "not readable"),
            ("ledger = gen_random_uuid()", "the database holds projections of ledger"),
        ]
        for (change, reason) in changes {
            _ = try world.psql(
                "CREATE TABLE kept AS SELECT * FROM daybook.checkpoints;"
                    + "UPDATE daybook.checkpoints SET \(change) WHERE projection = 'jobs'")
            let changed = try world.psql("SELECT * FROM daybook.checkpoints ORDER BY 1")
            let told = Mutex<[String]>([])
            let projector = world.projector(onLogContradicted: { reason in
                told.withLock { $0.append(reason) }
            })
            projector.start()
            #expect(await !projector.waitUntilApplied(11, timeoutSeconds: 30))
            await projector.stop()
            #expect(projector.statuses.allSatisfy { $0.state == .halted })
            let given = projector.statuses.first?.reason ?? ""
            #expect(given.contains(reason), "\(change): \(given)")
            // What Postgres alone has wrong stops no appends.
            let isOfLog = reason.contains("log") || reason.contains("history")
            #expect(told.withLock { $0 } == (isOfLog ? [given] : []), "\(change)")
            #expect(try world.psql("SELECT * FROM daybook.checkpoints ORDER BY 1") == changed)
            _ = try world.psql(
                "TRUNCATE daybook.checkpoints; INSERT INTO daybook.checkpoints SELECT * FROM kept;"
                    + "DROP TABLE kept")
        }
        #expect(try world.psql("SELECT * FROM daybook.checkpoints ORDER BY 1") == rows)
        // A log of the same length and another content.
        let fork = try world.withLog("fork")
        try fork.appendJobs(10)
        let projector = fork.projector()
        projector.start()
        #expect(await !projector.waitUntilApplied(11, timeoutSeconds: 30))
        #expect(projector.statuses.allSatisfy { $0.state == .halted })
        await projector.stop()
        try world.expectExactlyOnce()
    }

    @Test("Fault 34: a row that collides stops its table only, and it goes on when the row is gone")
    func collision() async throws {
        let world = try await World()
        try world.appendJobs(5)
        await world.projectAll()
        _ = try world.psql("INSERT INTO jobs VALUES (9, 'by hand', -1)")
        for _ in 0..<3 {
            try world.append([
                ("jobs", [.job(world.log.durable.position)]), ("notes", [.note("n")]),
            ])
        }
        try world.appendJobs(5)
        let end = world.log.durable.position
        let projector = world.projector(rowLimit: 2)
        projector.start()
        #expect(await projector.waitUntilApplied(end, by: ["notes", "audit"], timeoutSeconds: 30))
        #expect(await !projector.waitUntilApplied(end, timeoutSeconds: 30))
        await projector.stop()
        let stopped = try #require(projector.statuses.first { $0.name == "jobs" })
        #expect(stopped.state == .failed)
        #expect(stopped.position == 9)
        #expect(stopped.reason?.contains("23505") == true)
        // No value of a row is in a reason.
        #expect(stopped.reason?.contains("Key (id)=") == false)
        #expect(
            try world.psql(
                "SELECT state, position, reason FROM daybook.checkpoints WHERE projection = 'jobs'")
                == "failed|\(stopped.position)|\(stopped.reason ?? "")")
        #expect(try world.psql("SELECT count(*) FROM notes") == "3")
        #expect(
            try world.psql("SELECT id, job FROM jobs WHERE id >= 9") == "9|by hand")
        // Started again with the row still there, it fails again and doubles nothing.
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM notes") == "3")
        _ = try world.psql("DELETE FROM jobs WHERE ledger_position = -1")
        try world.appendJobs(1)
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM notes") == "3")
        try world.expectExactlyOnce()
    }

    @Test("Fault 34: when the audit cannot go on, the tables do")
    func auditFails() async throws {
        let world = try await World()
        try world.appendJobs(1)
        await world.projectAll()
        _ = try world.psql("ALTER TABLE daybook.batches ADD CHECK (position < 1)")
        try world.appendJobs(1)
        let projector = await world.projectAll()
        #expect(projector.statuses.map(\.state) == [.failed, .running, .running])
        #expect(projector.statuses.map(\.position) == [1, 2, 2])
        #expect(try world.psql("SELECT count(*) FROM jobs") == "2")
    }

    @Test("A table that somebody else made is left alone, and stops that projection only")
    func foreignTable() async throws {
        let world = try await World()
        _ = try world.psql("CREATE TABLE jobs (mine text); INSERT INTO jobs VALUES ('mine')")
        try world.appendJobs(3)
        try world.append([("notes", [.note("n")])])
        let projector = await world.projectAll()
        let stopped = try #require(projector.statuses.first { $0.name == "jobs" })
        #expect(stopped.state == .failed && stopped.position == 0)
        #expect(stopped.reason?.contains("did not make") == true)
        #expect(try world.psql("SELECT * FROM jobs") == "mine")
        #expect(try world.psql("SELECT note FROM notes") == "n")
        _ = try world.psql("DROP TABLE jobs")
        await world.projectAll()
        try world.expectExactlyOnce()
    }

    @Test("A connection that is lost while nothing happens is noticed and made again")
    func idleLoss() async throws {
        let world = try await World()
        let projector = world.projector(retrySeconds: 0.5)
        projector.start()
        try world.appendJobs(1)
        #expect(await projector.waitUntilApplied(1, timeoutSeconds: 30))
        let pid =
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            + " AND application_name = 'projector'"
        let first = try world.psql(pid)
        _ = try world.psql("SELECT pg_terminate_backend((\(pid)))")
        var second = ""
        for _ in 0..<100 where second.isEmpty || second == first {
            try await Task.sleep(for: .milliseconds(50))
            second = try world.psql(pid)
        }
        #expect(!second.isEmpty && second != first)
        await projector.stop()
    }
}
