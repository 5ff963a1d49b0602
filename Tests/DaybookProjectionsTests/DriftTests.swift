import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

extension World {
    /// A check by a connection of its own.
    func driftCheck(
        sampleLimit: Int = 1000, memoryByteLimit: Int = 64 << 20,
        whenLogIsTaken: @escaping () throws -> Void = {}
    ) throws -> DriftCheck {
        var options = DriftCheck.Options()
        options.comparison.sampleLimit = sampleLimit
        options.comparison.memoryByteLimit = memoryByteLimit
        return DriftCheck(
            try PostgresConnection(.init(conninfo: conninfo)), catalog: catalog, options: options
        ) { [log] _ in
            try whenLogIsTaken()
            return log
        }
    }

    func drift(_ name: String) throws -> RowDifferences {
        try driftCheck().check(name).differences
    }
}

extension RowDifferences {
    /// Missing, extra, different.
    var counts: [Int] { [missingCount, extraCount, differentCount] }
}

@Suite("Drift: tables against the log") struct DriftTests {
    @Test("Fault 33: rows edited, deleted, added, exchanged by hand are named by key, and repaired")
    func editsByHand() async throws {
        let world = try await World()
        try world.append([("jobs", (0..<500).map { .job($0, "Job \($0)") })])
        try world.append([("notes", [.note("a"), .note(nil), .note("b")])])
        try world.append([("jobs", (503..<1003).map { .job($0, "Job \($0)") })])
        await world.projectAll()
        let before = try world.psql("SELECT md5(string_agg(j::text, '' ORDER BY id)) FROM jobs j")
        let sound = try world.driftCheck().check("jobs")
        #expect(sound.differences.isEmpty && sound.differences.counts == [0, 0, 0])
        #expect(sound.differences.found.rowCount == 1000 && sound.position == 1003)
        #expect(try world.drift("notes").isEmpty)

        // Exchanged values are the same in any sum of values.
        _ = try world.psql(
            """
            UPDATE jobs SET job = 'Tailor' WHERE id = 17;
            DELETE FROM jobs WHERE id = 600;
            INSERT INTO jobs VALUES (-5, 'Ghost', 12);
            UPDATE jobs SET job = CASE id WHEN 40 THEN 'Job 41' ELSE 'Job 40' END
             WHERE id IN (40, 41);
            """)
        let found = try world.drift("jobs")
        #expect(!found.isEmpty && found.counts == [1, 1, 3])
        #expect(
            found.different
                == [
                    (17, "Job 17", "Tailor"), (40, "Job 40", "Job 41"),
                    (41, "Job 41", "Job 40"),
                ].map { id, expected, found in
                    ChangedRow(
                        key: [.integer(id)], position: id,
                        cells: [
                            .init(column: "job", expected: .text(expected), found: .text(found))
                        ])
                })
        let missing = LoneRow(
            key: [.integer(600)], position: 600,
            values: [.integer(600), .text("Job 600"), .integer(600)])
        #expect(found.missing == [missing])
        let extra = LoneRow(
            key: [.integer(-5)], position: 12,
            values: [.integer(-5), .text("Ghost"), .integer(12)])
        #expect(found.extra == [extra])

        let repair = try #require(try world.driftCheck().repair("jobs").done).get()
        #expect(repair.deletedRowCount == 4 && repair.insertedRowCount == 4)
        #expect(try world.drift("jobs").isEmpty)
        let after = try world.psql("SELECT md5(string_agg(j::text, '' ORDER BY id)) FROM jobs j")
        #expect(after == before)
        #expect(try world.driftCheck().repair("jobs").done == nil)
    }

    @Test("A position edited by hand differs, and a key edited by hand is missing and extra")
    func positionAndKey() async throws {
        let world = try await World()
        try world.appendJobs(10)
        await world.projectAll()
        _ = try world.psql(
            """
            UPDATE jobs SET ledger_position = 99 WHERE id = 3;
            UPDATE jobs SET id = 77 WHERE id = 5;
            """)
        let found = try world.drift("jobs")
        #expect(found.counts == [1, 1, 1])
        #expect(found.missing.first?.key == [.integer(5)])
        #expect(found.extra.first?.key == [.integer(77)] && found.extra.first?.position == 5)
        let cell = found.different.first?.cells.first
        #expect(
            cell == .init(column: "ledger_position", expected: .integer(3), found: .integer(99)))
        #expect(try world.driftCheck().repair("jobs").done != nil)
        try world.expectExactlyOnce()
    }

    @Test("Rows of an append-only table are told apart by their events")
    func appendOnly() async throws {
        let world = try await World()
        try world.append([("notes", (0..<100).map { .note($0 % 7 == 0 ? nil : "same") })])
        await world.projectAll()
        _ = try world.psql(
            """
            DELETE FROM notes WHERE ledger_position = 8;
            UPDATE notes SET note = 'now' WHERE ledger_position = 14;
            INSERT INTO notes VALUES ('same', 1000);
            """)
        let found = try world.drift("notes")
        #expect(found.counts == [1, 1, 1])
        #expect(found.missing.first?.key == [.integer(8)])
        #expect(found.extra.first?.key == [.integer(1000)])
        #expect(
            found.different.first?.cells == [
                .init(column: "note", expected: .null, found: .text("now"))
            ])
        #expect(try world.driftCheck().repair("notes").done != nil)
        #expect(try world.drift("notes").isEmpty)
    }

    @Test("All differing rows are counted, and as many named as are asked for, in little memory")
    func limits() async throws {
        let world = try await World()
        try world.appendJobs(2000)
        await world.projectAll()
        _ = try world.psql(
            "UPDATE jobs SET job = 'x' WHERE id % 2 = 0; DELETE FROM jobs WHERE id % 5 = 1")
        let all = try world.drift("jobs")
        #expect(all.counts == [400, 0, 800])
        let few = try world.driftCheck(sampleLimit: 3, memoryByteLimit: 20_000).check("jobs")
            .differences
        #expect(few.counts == all.counts)
        #expect(few.missing.count == 3 && few.different.count == 3)
        // A repair that cannot hold the rows leaves all as it is.
        let done = try world.driftCheck(memoryByteLimit: 10_000).repair("jobs").done
        #expect(throws: DriftError.self) { try done?.get() }
        #expect(try world.drift("jobs").counts == all.counts)
        #expect(try world.driftCheck().repair("jobs").done != nil)
        try world.expectExactlyOnce()
    }

    @Test("Rows of one key, after the key was dropped by hand, are compared as sets")
    func duplicates() async throws {
        let world = try await World()
        try world.appendJobs(5)
        await world.projectAll()
        _ = try world.psql(
            """
            ALTER TABLE jobs DROP CONSTRAINT jobs_pkey;
            INSERT INTO jobs SELECT * FROM jobs WHERE id = 2;
            INSERT INTO jobs VALUES (3, 'Other', 3);
            """)
        let found = try world.drift("jobs")
        #expect(found.counts == [0, 2, 0])
        #expect(found.extra.map(\.key) == [[.integer(2)], [.integer(3)]])
        #expect(found.extra.last?.values == [.integer(3), .text("Other"), .integer(3)])
        #expect(try world.driftCheck().repair("jobs").done != nil)
        try world.expectExactlyOnce()
    }

    @Test("A repair brings in what was appended and projected since the check")
    func repairLater() async throws {
        let world = try await World()
        try world.appendJobs(100)
        await world.projectAll()
        _ = try world.psql("INSERT INTO jobs VALUES (150, 'Too early', 3)")
        // The projector meets the row, and stands still; then somebody takes it away, and more is
        // projected while the check has read its checkpoint already.
        try world.appendJobs(100)
        let stopped = await world.projectAll()
        #expect(stopped.statuses.first { $0.name == "jobs" }?.state == .failed)
        let found = try world.drift("jobs")
        #expect(found.counts == [0, 1, 0] && found.expected.rowCount == 100)
        var isFirst = true
        let projector = world.projector()
        let repair = try world.driftCheck {
            guard isFirst else { return }
            isFirst = false
            _ = try world.psql("DELETE FROM jobs WHERE id = 150")
            projector.start()
            let deadline = ContinuousClock.now + .seconds(30)
            while !projector.hasApplied(200), ContinuousClock.now < deadline {
                Thread.sleep(forTimeInterval: 0.002)
            }
            _ = try world.psql("UPDATE jobs SET job = 'Again' WHERE id = 150")
        }.repair("jobs")
        await projector.stop()
        #expect(repair.found.position == 100)
        #expect(try repair.done?.get().position == 200)
        try world.expectExactlyOnce()
    }

    @Test("What cannot be compared is said: no table, no column, other values, another history")
    func incomparable() async throws {
        let world = try await World()
        try world.appendJobs(3)
        #expect(throws: (any Error).self) { try world.drift("jobs") }
        await world.projectAll()
        func reason(_ sql: String) throws -> String {
            _ = try world.psql(sql)
            let error = #expect(throws: DriftError.self) { try world.drift("jobs") }
            return error?.description ?? ""
        }
        #expect(try reason("ALTER TABLE jobs RENAME job TO work").contains("no column job"))
        _ = try world.psql("ALTER TABLE jobs RENAME work TO job")
        #expect(
            try reason("ALTER TABLE jobs ALTER id TYPE text USING 'n' || id")
                .contains("cannot be read"))
        #expect(try reason("DROP TABLE jobs").contains("is not there"))
        _ = try world.psql("UPDATE daybook.checkpoints SET root = sha256('other')")
        let error = #expect(throws: DriftError.self) { try world.drift("notes") }
        guard case .contradiction = error else { return #expect(Bool(false), "\(error as Any)") }
    }
}
