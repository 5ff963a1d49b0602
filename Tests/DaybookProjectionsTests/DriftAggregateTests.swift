import Avro
import DaybookCatalog
import DaybookLog
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// Aggregates against the log; that they are right is what `GROUP BY` says.
@Suite("Drift: aggregates against the log") struct DriftAggregateTests {
    private func sales(_ random: inout SeededGenerator) async throws -> World {
        let world = try await World([Sales.table] + Sales.aggregates.map(\.yaml))
        for _ in 0..<8 {
            try world.append([("sales", (0..<30).map { _ in Sales.row(using: &random) })])
        }
        await world.projectAll(rowLimit: 50)
        return world
    }

    @Test("Groups that nobody touched equal the log's fold, nulls and all types among them")
    func untouched() async throws {
        var random = SeededGenerator()
        let world = try await sales(&random)
        for aggregate in Sales.aggregates {
            let found = try world.drift(aggregate.name)
            #expect(found.isEmpty, "\(aggregate.name), seed \(random.seed): \(found)")
            #expect(found.found.rowCount > 3, "\(aggregate.name)")
        }
    }

    @Test("Groups edited, deleted and added by hand are named, and those are replaced")
    func editsByHand() async throws {
        var random = SeededGenerator()
        let world = try await sales(&random)
        // Among the edited ones are groups with a null in their key.
        let edited = try world.psql(
            "WITH e AS (UPDATE by_shop SET total = coalesce(total, 0) + 0.01, rows = rows + 1"
                + " WHERE shop IS NULL RETURNING 1) SELECT count(*) FROM e")
        let deleted = try world.psql(
            "WITH d AS (DELETE FROM by_shop WHERE shop = 'Oslo' AND quarter = 4 RETURNING 1)"
                + " SELECT count(*) FROM d")
        _ = try world.psql(
            "INSERT INTO by_shop (shop, rows, mean_count, mean_units_count, mean_weight_count)"
                + " VALUES ('None', 3, 0, 0, 0)")
        let editedCount = try #require(Int(edited))
        let deletedCount = try #require(Int(deleted))
        #expect(editedCount > 0 && deletedCount > 0, "seed \(random.seed)")

        let found = try world.drift("by_shop")
        #expect(
            found.counts == [deletedCount, 1, editedCount], "seed \(random.seed)")
        #expect(found.extra.first?.key == [.null, .null, .text("None")])
        #expect(found.different.allSatisfy { $0.key.last == .null && $0.position == nil })
        #expect(
            found.different.allSatisfy { row in
                row.cells.contains { $0.column == "rows" }
                    && row.cells.allSatisfy { ["rows", "total"].contains($0.column) }
            })

        // The log goes on, and the repair is up to where the aggregate is.
        try world.append([("sales", (0..<40).map { _ in Sales.row(using: &random) })])
        let repair = try #require(try world.driftCheck().repair("by_shop").done).get()
        #expect(repair.insertedRowCount == editedCount + deletedCount)
        #expect(repair.deletedRowCount == editedCount + 1)
        await world.projectAll()
        for aggregate in Sales.aggregates {
            let difference = try world.psql(aggregate.difference)
            #expect(difference == "0", "\(aggregate.name), seed \(random.seed)")
            #expect(try world.drift(aggregate.name).isEmpty, "\(aggregate.name)")
        }
    }

    @Test("A sum of numbers may differ by how it was rounded, and by no more")
    func roundedSums() async throws {
        var random = SeededGenerator()
        let world = try await World([
            """
            table: m
            key: []
            columns:
              - {name: x, type: number}
              - {name: kind, type: integer}
            """,
            """
            aggregate: sums
            from: m
            groupBy: {kind: kind}
            measures: {total: sum(x), mean: avg(x)}
            """,
        ])
        for _ in 0..<30 {
            try world.append([
                (
                    "m",
                    (0..<Int64(7)).map { row in
                        let number = Double.random(in: -1e6...1e6, using: &random)
                        return .accepted { sink in
                            sink.append(double: number)
                            sink.append(long: row % 3)
                        }
                    }
                )
            ])
        }
        await world.projectAll(rowLimit: 1)
        #expect(try world.drift("sums").isEmpty, "seed \(random.seed)")
        _ = try world.psql("UPDATE sums SET total = total * (1 + 1e-7) WHERE kind = 1")
        let found = try world.drift("sums")
        #expect(found.counts == [0, 0, 1], "seed \(random.seed)")
        #expect(found.different.first?.cells.map(\.column) == ["total"])
        #expect(try world.driftCheck().repair("sums").done != nil)
        #expect(try world.drift("sums").isEmpty)
    }
}
