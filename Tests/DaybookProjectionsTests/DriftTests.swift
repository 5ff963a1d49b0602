import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections

extension World {
    /// Checks one table, by a connection of its own.
    func drift(
        _ table: String, options: DriftCheck.Options = .init()
    ) throws -> DriftCheck.Outcome {
        let check = DriftCheck(
            try PostgresConnection(.init(conninfo: conninfo)), catalog: catalog, options: options
        ) { [log] _ in log }
        return try check.check(try #require(catalog.table(named: table)))
    }
}

@Suite("Drift: tables against the log") struct DriftTests {
    @Test("One row edited, one deleted, one added: each is named by key, with its position")
    func editsByHand() async throws {
        let world = try await World()
        try world.appendJobs(500)
        try world.append([("notes", [.note("a"), .note(nil), .note("b")])])
        try world.appendJobs(500)
        await world.projectAll()
        let before = try world.drift("jobs")
        #expect(before.differences.isEmpty && before.differences.count == 0)
        #expect(before.differences.found.rowCount == 1000 && before.position == 1003)
        #expect(try world.drift("notes").differences.isEmpty)

        _ = try world.psql(
            """
            UPDATE jobs SET job = 'Tailor' WHERE id = 17;
            DELETE FROM jobs WHERE id = 600;
            INSERT INTO jobs VALUES (-5, 'Ghost', 12);
            """)
        let found = try world.drift("jobs").differences
        #expect(!found.isEmpty)
        #expect(
            found.different == [
                ChangedRow(
                    key: [.integer(17)], position: 17,
                    cells: [
                        .init(column: "job", expected: .text("Smith"), found: .text("Tailor"))
                    ])
            ])
        #expect(
            found.missing == [
                LoneRow(
                    key: [.integer(600)], position: 600,
                    values: [.integer(600), .text("Smith"), .integer(600)])
            ])
        #expect(
            found.extra == [
                LoneRow(
                    key: [.integer(-5)], position: 12,
                    values: [.integer(-5), .text("Ghost"), .integer(12)])
            ])
        let counts: [Int] = [found.missingCount, found.extraCount, found.differentCount]
        #expect(counts == [1, 1, 1])
    }
}
