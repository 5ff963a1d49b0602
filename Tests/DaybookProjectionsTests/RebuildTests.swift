import DaybookLog
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Rebuilding under readers and appends: nothing is lost, nobody sees an empty table, and whatever
/// hangs on a table comes along.
@Suite struct RebuildTests {
    @Test(
        "Every projection is rebuilt while appends go on and readers read", .timeLimit(.minutes(2)))
    func underLoad() async throws {
        let world = try await World([World.jobs, World.notes, Sales.table] + Sales.yaml)
        var random = SeededGenerator(seed: 3)
        for _ in 0..<30 { try world.appendJobs(100) }
        for _ in 0..<10 {
            try world.append([("sales", (0..<40).map { _ in Sales.row(using: &random) })])
        }
        let projector = world.projector(rowLimit: 300)
        projector.start()
        #expect(await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 30))
        let reading = world.readingCounts(of: "jobs")
        let appending = Task.detached {
            var random = SeededGenerator(seed: 4)
            while !Task.isCancelled {
                try world.appendJobs(20)
                try world.append([("sales", [Sales.row(using: &random)])])
                try await Task.sleep(for: .milliseconds(3))
            }
        }
        for name in ["jobs", "sales", "by_shop", "by_slot", "by_value", auditProjectionName] {
            let report = try await world.rebuild(name) { $0.pieceRowCount = 500 }
            #expect(report.isSwapped)
            #expect(report.comparison?.isEmpty == true, "\(name): \(report)")
        }
        appending.cancel()
        _ = await appending.result
        let counts = try await reading()
        #expect(counts.count > 20)
        #expect(counts == counts.sorted() && counts[0] >= 3000, "no reader sees fewer rows")
        #expect(await projector.waitUntilApplied(world.log.durable.position, timeoutSeconds: 30))
        #expect(projector.statuses.allSatisfy { $0.state == .running }, "\(projector.statuses)")
        await projector.stop()
        try world.expectExactlyOnce()
        for aggregate in Sales.aggregates {
            #expect(try world.psql(aggregate.difference) == "0", "\(aggregate.name)")
        }
        #expect(try world.psql("SELECT count(*) FROM daybook_old.jobs") != "0")
    }

    @Test("A rebuild that was cut short goes on where it was, and copies nothing twice")
    func resumed() async throws {
        let world = try await World()
        for _ in 0..<40 { try world.appendJobs(100) }
        await world.projectAll()
        for pieces in [3, 5] {
            let asked = Atomic(0)
            await #expect(throws: RebuildError.self) {
                try await world.rebuild(
                    "jobs", change: { $0.pieceRowCount = 200 },
                    isStopping: { asked.add() > pieces })
            }
        }
        let copied = try world.psql(
            "SELECT sum(to_position - from_position) FROM daybook.rebuild_pieces")
        #expect(Int(copied) ?? 0 > 800, "\(copied)")
        try world.appendJobs(100)
        await world.projectAll()
        let report = try await world.rebuild("jobs") { $0.pieceRowCount = 200 }
        #expect(report.wasResumed && report.isSwapped)
        #expect(report.rowCount == 4100)
        try world.expectExactlyOnce()
    }

    @Test("What differs from the live table is told with its event; a dry run swaps nothing")
    func compared() async throws {
        let world = try await World()
        try world.appendJobs(1000)
        await world.projectAll()
        _ = try world.psql(
            "UPDATE jobs SET job = 'other' WHERE id = 77; DELETE FROM jobs WHERE id = 500;"
                + " INSERT INTO jobs VALUES (9999, 'by hand', 3)")
        let before = try world.psql("SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM jobs j")
        let dry = try await world.rebuild("jobs") { $0.isDryRun = true }
        #expect(!dry.isSwapped)
        let comparison = try #require(dry.comparison)
        let counts = [comparison.addedCount, comparison.removedCount, comparison.changedCount]
        #expect(counts == [1, 1, 1])
        let samples = Dictionary(uniqueKeysWithValues: comparison.samples.map { ($0.kind, $0) })
        #expect(samples[.added]?.key == "500")
        #expect(samples[.added]?.origin?.position == 500)
        #expect(samples[.added]?.origin?.batchID == World.batchID(0))
        #expect(samples[.removed]?.key == "9999")
        #expect(samples[.removed]?.origin?.position == 3)
        let change = try #require(samples[.changed]?.changes.first)
        #expect([change.column, change.before, change.after] == ["job", "other", "Smith"])
        #expect(
            try world.psql("SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM jobs j") == before
        )
        #expect(try world.psql("SELECT to_regclass('daybook_build.jobs') IS NULL") == "t")

        let report = try await world.rebuild("jobs")
        #expect(report.isSwapped && report.comparison?.changedCount == 1)
        try world.expectExactlyOnce()
    }

    @Test("Undo swaps the old table back, and again; the projector applies what came since")
    func undone() async throws {
        let world = try await World()
        try world.appendJobs(100)
        await world.projectAll()
        _ = try world.psql("UPDATE jobs SET job = 'by hand' WHERE id = 7")
        _ = try await world.rebuild("jobs")
        try world.appendJobs(50)
        await world.projectAll()
        // A trial changes nothing about what can be undone.
        _ = try await world.rebuild("jobs") { $0.isDryRun = true }
        let undone = try await world.withRebuild("jobs", body: { try $0.undo() })
        #expect(undone == 100)
        #expect(try world.psql("SELECT count(*) FROM jobs WHERE job = 'by hand'") == "1")
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM jobs") == "150")
        #expect(try await world.withRebuild("jobs", body: { try $0.undo() }) == 150)
        try world.expectExactlyOnce()
        #expect(try await world.withRebuild("jobs", body: { try $0.dropOld() }))
        #expect(try await !world.withRebuild("jobs") { try $0.dropOld() })
        await #expect(throws: RebuildError.self) {
            try await world.withRebuild("jobs", body: { try $0.undo() })
        }
    }

    @Test("Rights, views, indexes and comments come along; what cannot is refused before")
    func attachments() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        let role = "reader_" + String(UInt64.random(in: 0 ... .max), radix: 36)
        _ = try world.psql(
            """
            CREATE ROLE \(role);
            GRANT SELECT ON jobs TO \(role);
            GRANT UPDATE (job) ON jobs TO PUBLIC;
            CREATE VIEW names AS SELECT id, job FROM jobs;
            CREATE VIEW short_names AS SELECT job FROM names WHERE id < 5;
            CREATE INDEX jobs_by_name ON jobs (lower(job)) WHERE id > 3;
            ALTER TABLE jobs ADD CONSTRAINT positions UNIQUE (ledger_position);
            """)
        func attachments() throws -> String {
            try world.psql(
                """
                SELECT relacl::text || (SELECT attacl::text FROM pg_attribute
                                         WHERE attrelid = c.oid AND attname = 'job')
                  FROM pg_class c WHERE oid = 'public.jobs'::regclass
                UNION ALL
                (SELECT indexdef FROM pg_indexes
                  WHERE schemaname = 'public' AND tablename = 'jobs' ORDER BY indexname)
                UNION ALL
                SELECT pg_get_viewdef('short_names'::regclass) || pg_get_viewdef('names'::regclass)
                """)
        }
        let before = try attachments()
        let report = try await world.rebuild("jobs")
        #expect(report.notes == [])
        #expect(try attachments() == before)
        try world.appendJobs(2)
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM names") == "12")
        #expect(try world.psql("SELECT count(*) FROM short_names") == "5")
        #expect(try world.psql("SET ROLE \(role); SELECT count(*) FROM jobs") == "12")

        _ = try world.psql("CREATE TABLE orders (job bigint REFERENCES jobs)")
        let error = await #expect(throws: RebuildError.self) { try await world.rebuild("jobs") }
        #expect(error?.description.contains("foreign key orders_job_fkey") == true)
        _ = try world.psql("DROP TABLE orders; DROP OWNED BY \(role); DROP ROLE \(role)")
    }

    @Test("A reader in the way is named after the patience is over, and the next run goes on")
    func readerInTheWay() async throws {
        let world = try await World()
        try world.appendJobs(100)
        await world.projectAll()
        let reader = try PostgresConnection(.init(conninfo: world.conninfo))
        try reader.execute("BEGIN")
        _ = try reader.query("SELECT * FROM jobs")
        let error = await #expect(throws: RebuildError.self) {
            try await world.rebuild("jobs") { $0.patienceSeconds = 0.5 }
        }
        let pid = reader.backendProcessIdentifier
        #expect(error?.description.contains("process \(pid)") == true, "\(error as Any)")
        #expect(try reader.query("SELECT count(*) FROM jobs")[0].int64(0) == 100)
        try reader.execute("COMMIT")
        let report = try await world.rebuild("jobs")
        #expect(report.wasResumed && report.isSwapped)
        try world.expectExactlyOnce()
    }

    @Test("A transaction that is older than the new rows is waited for: to it they are not there")
    func oldReader() async throws {
        let world = try await World()
        try world.appendJobs(100)
        await world.projectAll()
        let reader = try PostgresConnection(.init(conninfo: world.conninfo))
        try reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        _ = try reader.query("SELECT * FROM notes")
        let ending = Task.detached {
            try await Task.sleep(for: .milliseconds(600))
            let count = try reader.query("SELECT count(*) FROM jobs")[0].int64(0)
            try reader.execute("COMMIT")
            return count
        }
        let report = try await world.rebuild("jobs")
        #expect(report.notes == [])
        #expect(try await ending.value == 100)
    }

    @Test("A definition that changed is built anew beside: old events by the new one, in its order")
    func changedDefinition() async throws {
        let before = try await World([World.jobs])
        for _ in 0..<5 { try before.appendJobs(10) }
        await before.projectAll()
        let byName = """
            aggregate: by_name
            from: jobs
            groupBy: {job: job, grade: grade}
            measures: {jobs: count}
            """
        let graded = World.jobs.replacing(
            "  - {name: job,",
            with: "  - {name: grade, type: integer, optional: true}\n  - {name: job,")
        let after = try before.adopting([graded, byName])
        try after.append([
            (
                "jobs",
                [
                    .accepted { sink in
                        sink.append(long: 50)
                        sink.append(long: 1)
                        sink.append(long: 7)
                        sink.append(string: "Smith")
                    }
                ]
            )
        ])
        let projector = await after.projectAll()
        #expect(projector.statuses.allSatisfy { $0.state == .running }, "\(projector.statuses)")
        let columns = try after.psql(
            "SELECT string_agg(column_name, ',' ORDER BY ordinal_position)"
                + " FROM information_schema.columns"
                + " WHERE table_schema = 'public' AND table_name = 'jobs'")
        #expect(columns == "id,grade,job,ledger_position")
        #expect(try after.psql("SELECT count(*), count(grade), max(grade) FROM jobs") == "51|1|7")
        #expect(
            try after.psql("SELECT grade, jobs FROM by_name ORDER BY grade NULLS FIRST")
                == "|50\n7|1")
        #expect(try after.psql("SELECT count(*) FROM daybook_old.jobs") == "50")
        await #expect(throws: RebuildError.self) {
            try await after.withRebuild("jobs", body: { try $0.undo() })
        }
    }

    @Test("A new key that rows do not keep leaves the old table live, and says which it is")
    func refusedKey() async throws {
        let before = try await World([World.jobs])
        try before.appendJobs(10)
        await before.projectAll()
        let after = try before.adopting([World.jobs.replacing("key: [id]", with: "key: [job]")])
        let projector = await after.projectAll()
        let status = try #require(projector.statuses.first { $0.name == "jobs" })
        #expect(status.state == .failed)
        #expect(status.reason?.contains("jobs_pkey") == true, "\(status.reason ?? "")")
        #expect(try after.psql("SELECT count(*) FROM jobs") == "10")
        #expect(
            try after.psql("SELECT state FROM daybook.checkpoints WHERE projection = 'jobs'")
                == "failed")
    }

    @Test("A paused projection is rebuilt where the log is, and stays paused")
    func paused() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        let connection = try PostgresConnection(.init(conninfo: world.conninfo))
        try ProjectionControl(connection).pause("jobs")
        try world.appendJobs(10)
        #expect(try await world.rebuild("jobs").rowCount == 20)
        try world.appendJobs(10)
        let statuses = await world.projectAll().statuses
        #expect(statuses.first { $0.name == "jobs" }?.state == .paused)
        #expect(statuses.first { $0.name == "notes" }?.position == 30)
        #expect(try world.psql("SELECT count(*) FROM jobs") == "20")
        try ProjectionControl(connection).resume("jobs")
        await world.projectAll()
        try world.expectExactlyOnce()
    }

    @Test("Live tables that are further than the log go only where that was asked for")
    func aheadOfLog() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        let files = FileManager.default
        try files.copyItem(
            atPath: world.folder.path("data"), toPath: world.folder.path("older"))
        try world.appendJobs(10)
        await world.projectAll()
        let older = try world.withLog("older")
        #expect(older.log.ledger == world.log.ledger && older.log.durable.position == 10)
        let error = await #expect(throws: RebuildError.self) { try await older.rebuild("jobs") }
        #expect(error?.description.contains("the log ends at 10") == true, "\(error as Any)")
        #expect(try world.psql("SELECT count(*) FROM jobs") == "20")
        let report = try await older.rebuild("jobs") { $0.replacesAhead = true }
        #expect(report.isSwapped && report.notes.joined().contains("daybook_old"))
        #expect(try world.psql("SELECT count(*) FROM jobs") == "10")
        #expect(try world.psql("SELECT count(*) FROM daybook_old.jobs") == "20")
    }

    @Test("A projection that had stopped runs again after its rebuild, by itself")
    func mendsFailed() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        _ = try world.psql("INSERT INTO jobs VALUES (10, 'in the way', 0)")
        let projector = world.projector()
        projector.start()
        try world.appendJobs(10)
        let deadline = ContinuousClock.now + .seconds(20)
        func state() -> ProjectionStatus.State? {
            projector.statuses.first { $0.name == "jobs" }?.state
        }
        while state() != .failed, ContinuousClock.now < deadline { usleep(10_000) }
        #expect(state() == .failed)
        let report = try await world.rebuild("jobs")
        #expect(report.comparison?.removedCount == 0)
        #expect(report.comparison?.changedCount == 1)
        while state() != .running, ContinuousClock.now < deadline { usleep(10_000) }
        try world.appendJobs(10)
        #expect(await projector.waitUntilApplied(30, timeoutSeconds: 20))
        await projector.stop()
        try world.expectExactlyOnce()
    }
}

/// A count that several threads raise.
private final class Atomic: Sendable {
    private let value: Mutex<Int>
    init(_ value: Int) { self.value = Mutex(value) }
    func add() -> Int {
        value.withLock { value in
            value += 1
            return value
        }
    }
}

/// Something that one thread says to another.
private final class Flag: Sendable {
    private let value = Mutex(false)
    var isRaised: Bool { value.withLock { $0 } }
    func raise() { value.withLock { $0 = true } }
}

extension Sales {
    static var yaml: [String] { aggregates.map(\.yaml) }
}

extension World {
    /// Runs `body` with a rebuild on a thread that may block.
    func withRebuild<Value: Sendable>(
        _ name: String, change: @escaping @Sendable (inout Rebuild.Options) -> Void = { _ in },
        isStopping: @escaping @Sendable () -> Bool = { false },
        body: @escaping @Sendable (Rebuild) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "rebuild").async { [self] in
                continuation.resume(
                    with: Result {
                        var options = Rebuild.Options(
                            migrationsFolder: packageRoot + "/sql/migrations")
                        change(&options)
                        return try body(
                            Rebuild(
                                name, catalog: catalog, options: options, source: { [log] in log },
                                connect: { [conninfo] in
                                    try PostgresConnection(.init(conninfo: conninfo))
                                }, isStopping: isStopping))
                    })
            }
        }
    }

    func rebuild(
        _ name: String, change: @escaping @Sendable (inout Rebuild.Options) -> Void = { _ in },
        isStopping: @escaping @Sendable () -> Bool = { false }
    ) async throws -> RebuildReport {
        try await withRebuild(name, change: change, isStopping: isStopping, body: { try $0.run() })
    }

    /// Counts a table's rows again and again, on a thread of its own; the function that it returns
    /// ends that, and gives the counts.
    func readingCounts(of table: String) -> () async throws -> [Int64] {
        let isEnding = Flag()
        let result = Task { [conninfo] in
            try await withCheckedThrowingContinuation { continuation in
                Thread.detachNewThread {
                    continuation.resume(
                        with: Result {
                            let connection = try PostgresConnection(.init(conninfo: conninfo))
                            var counts: [Int64] = []
                            while !isEnding.isRaised {
                                let rows = try connection.query("SELECT count(*) FROM \(table)")
                                counts.append(rows[0].int64(0) ?? -1)
                            }
                            return counts
                        })
                }
            }
        }
        return {
            isEnding.raise()
            return try await result.value
        }
    }
}
