import DaybookLog
import DaybookProjections
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookBackup
@testable import LedgerWorld

/// What keeps a restore from touching tables that it must not touch.
@Suite struct RestoreGuardTests {
    private func world() async throws -> World {
        let world = try await World()
        try world.appendJobs(10)
        try world.append([("notes", [.note("first"), .note(nil)])])
        await world.projectAll()
        return world
    }

    @Test("All tables become live together: where one cannot, none does")
    func together() async throws {
        let world = try await world()
        _ = try world.psql(
            "UPDATE jobs SET job = 'by hand' WHERE id = 3; DELETE FROM notes WHERE note IS NULL")
        let reader = try PostgresConnection(.init(conninfo: world.conninfo))
        try reader.execute("BEGIN")
        _ = try reader.query("SELECT * FROM notes")
        let error = #expect(throws: RebuildError.self) {
            try world.restore(from: nil) { $0.patienceSeconds = 0.5 }
        }
        guard case .readersInTheWay = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try world.psql("SELECT count(*) FROM jobs WHERE job = 'by hand'") == "1")
        #expect(try world.psql("SELECT to_regclass('daybook_old.jobs') IS NULL") == "t")
        try reader.execute("COMMIT")
        try world.restore(from: nil) { _ in }
        #expect(try world.psql("SELECT count(*) FROM jobs WHERE job = 'by hand'") == "0")
        #expect(try world.psql("SELECT count(*) FROM notes") == "2")
        try world.expectExactlyOnce()
    }

    @Test("Tables that were held between two batches of a block go on with the later one only")
    func heldInBlock() async throws {
        let byJob = """
            aggregate: by_job
            from: jobs
            groupBy: {job: job}
            measures: {jobs: count}
            """
        let world = try await World([World.jobs, World.notes, byJob])
        for _ in 0..<2 {
            let start = world.log.durable.position
            func jobs(_ range: Range<Int64>) -> (table: String, rows: [World.Row]) {
                ("jobs", range.map { .job(start + $0) })
            }
            try world.append([jobs(0..<3), ("notes", [.note("a"), .note("b")]), jobs(5..<9)])
        }
        await world.projectAll()
        let control = ProjectionControl(try PostgresConnection(.init(conninfo: world.conninfo)))
        for (position, jobs, notes) in [(3, 3, 0), (5, 3, 2), (9, 7, 2), (12, 10, 2), (14, 10, 4)] {
            let report = try world.restore(from: nil) { $0.target = .position(Int64(position)) }
            #expect(report.isHeld)
            await world.projectAll()
            let counts =
                "SELECT (SELECT count(*) FROM jobs), (SELECT sum(jobs) FROM by_job),"
                + " (SELECT count(*) FROM notes)"
            #expect(try world.psql(counts) == "\(jobs)|\(jobs)|\(notes)", "held at \(position)")
            for name in ["jobs", "notes", "by_job"] { try control.resume(name) }
            await world.projectAll()
            #expect(try world.psql(counts) == "14|14|4", "held at \(position)")
            try world.expectExactlyOnce()
        }
    }

    @Test("A file that is changed after the proof is refused, though it is a whole one")
    func changedAfterProof() async throws {
        let world = try await world()
        let source = try world.backUp { $0.codec = .null }
        let proven = try world.verifier(source).prove()
        _ = try world.psql("UPDATE jobs SET job = 'Jones' WHERE id = 3")
        let other = try world.backUp { $0.codec = .null }
        let path = "\(world.backups.name)/\(source.name)/jobs.avro"
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(
            atPath: "\(world.backups.name)/\(other.name)/jobs.avro", toPath: path)
        var options = Restore.Options(migrationsFolder: packageRoot + "/sql/migrations")
        options.destination = "past"
        let restore = Restore(
            from: proven, catalog: world.catalog, options: options, log: { world.log },
            connect: { [conninfo = world.conninfo] in
                try PostgresConnection(.init(conninfo: conninfo))
            }, clock: { .max / 2 })
        let error = #expect(throws: BackupError.self) { try restore.run() }
        guard case .notProven = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try world.psql("SELECT to_regclass('past.jobs') IS NULL") == "t")
    }

    @Test("A table of the name that somebody else made stays where it is")
    func foreignTable() async throws {
        let world = try await World()
        try world.appendJobs(10)
        _ = try world.psql("CREATE TABLE jobs AS SELECT 'not ours' AS what")
        let error = #expect(throws: RebuildError.self) { try world.restore(from: nil) { _ in } }
        guard case .obstacle(let what) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains("Daybook did not make"), "\(what)")
        #expect(try world.psql("SELECT what FROM public.jobs") == "not ours")
    }

    @Test("The proof of one backup is none of another")
    func otherProof() async throws {
        let world = try await world()
        let (one, other) = (try world.backUp(), try world.backUp())
        let verification = try world.verifier(one).run()
        #expect(ProvenBackup(one, verification) != nil)
        #expect(ProvenBackup(other, verification) == nil)
    }

    @Test("A state before the backup's, and a log of another ledger, are refused at the plan")
    func plan() async throws {
        let world = try await world()
        let source = try world.backUp()
        var options = Restore.Options(migrationsFolder: packageRoot + "/sql/migrations")
        func refusal(_ log: any LogSource) -> BackupError? {
            #expect(throws: BackupError.self) {
                _ = try Restore.plan(
                    from: source, world.catalog, options, log: log, now: .max / 2)
            }
        }
        options.target = .position(10)
        #expect(refusal(world.log)?.description.contains("take an earlier backup") == true)
        options.target = .head
        let other = try world.withLog("other")
        try other.appendJobs(12)
        #expect(refusal(other.log)?.description.contains("is of ledger") == true)
    }
}
