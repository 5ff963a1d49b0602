import DaybookBackup
import DaybookLog
import DaybookProjections
import Foundation
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import LedgerWorld

/// What is left of a restore that was cut short is gone on with where it leads to the same tables,
/// and nowhere else.
@Suite struct InterruptedRestoreTests {
    /// A count that several threads raise.
    private final class Count: Sendable {
        private let value = Mutex(0)
        func next() -> Int {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }

    /// A rebuild of `jobs`, in small pieces.
    private func rebuild(
        _ world: World, isStopping: @escaping @Sendable () -> Bool = { false },
        change: (inout Rebuild.Options) -> Void
    ) throws -> Rebuild {
        var options = Rebuild.Options(migrationsFolder: packageRoot + "/sql/migrations")
        options.pieceRowCount = 100
        change(&options)
        return try Rebuild(
            "jobs", catalog: world.catalog, options: options, source: { world.log },
            connect: { [conninfo = world.conninfo] in
                try PostgresConnection(.init(conninfo: conninfo))
            }, isStopping: isStopping)
    }

    /// 2000 jobs, and a backup of them whose rows were copied in part when a rebuild was stopped.
    private func cutShort() async throws -> (World, BackupSource) {
        let world = try await World()
        for _ in 0..<20 { try world.appendJobs(100) }
        await world.projectAll()
        let source = try world.backUp { $0.blockByteCount = 256 }
        let asked = Count()
        let cut = try rebuild(world, isStopping: { asked.next() > 60 }) { $0.base = source }
        #expect(throws: RebuildError.self) { try cut.build() }
        let copied = Int(try world.psql("SELECT count(*) FROM daybook_build.jobs")) ?? 0
        #expect(copied > 0 && copied < 2000, "\(copied) rows were copied")
        return (world, source)
    }

    @Test("Rows of a backup that were copied in part are copied anew, and none twice")
    func fromBackupAgain() async throws {
        let (world, source) = try await cutShort()
        let report = try rebuild(world) { $0.base = source }.run()
        #expect(report.isSwapped && report.rowCount == 2000)
        try world.expectExactlyOnce()
    }

    @Test("A rebuild from the log does not go on with rows of a backup")
    func fromLogThen() async throws {
        let (world, _) = try await cutShort()
        let report = try rebuild(world) { _ in }.run()
        #expect(report.isSwapped && report.rowCount == 2000 && !report.wasResumed)
        try world.expectExactlyOnce()
    }

    @Test("Tables that were built to an earlier state are brought to the later one, no further")
    func laterState() async throws {
        let world = try await World()
        for _ in 0..<20 { try world.appendJobs(100) }
        // More than the projector's part of a swap, so that it would be followed before.
        try world.appendJobs(30_000)
        await world.projectAll()
        let earlier = try #require(try world.log.place(of: 700).head)
        try rebuild(world) { $0.target = earlier }.build()
        let report = try world.restore(from: nil) {
            $0.tables = ["jobs"]
            $0.target = .position(1500)
            $0.destination = "past"
        }
        #expect(report.projections.map(\.wasResumed) == [true])
        #expect(report.projections.map(\.rowCount) == [1500])
        #expect(try world.psql("SELECT count(*), max(id) FROM past.jobs") == "1500|1499")
    }

    @Test("A rebuild that was begun on another past of the ledger is not gone on with")
    func otherPast() async throws {
        let world = try await World()
        try world.appendJobs(10)
        try FileManager.default.copyItem(
            atPath: world.folder.path("data"), toPath: world.folder.path("older"))
        try world.appendJobs(10)
        await world.projectAll()
        try rebuild(world) { _ in }.build()
        let older = try world.withLog("older")
        try older.append([("notes", (0..<12).map { .note("\($0)") })])
        let error = #expect(throws: RebuildError.self) { try rebuild(older) { _ in }.run() }
        #expect(error?.description.contains("followed another history") == true)
        #expect(try world.psql("SELECT to_regclass('daybook_old.jobs') IS NULL") == "t")
    }

    @Test("Tables that were built to a later state do not become those of an earlier one")
    func earlierState() async throws {
        let world = try await World()
        for _ in 0..<20 { try world.appendJobs(100) }
        await world.projectAll()
        try rebuild(world) { _ in }.build()
        let report = try world.restore(from: nil) {
            $0.tables = ["jobs"]
            $0.target = .position(700)
            $0.destination = "past"
        }
        #expect(report.projections.map(\.rowCount) == [700])
        #expect(try world.psql("SELECT count(*), max(id) FROM past.jobs") == "700|699")
    }
}
