import Avro
import DaybookLog
import Foundation
import Postgres
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// The oracle is Postgres: whatever was appended and however the projector was interrupted, an
/// aggregate is what `GROUP BY` over its table says.
@Suite struct AggregateTests {
    @Test("After every random history with crashes the aggregates equal GROUP BY over the table")
    func histories() async throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["DAYBOOK_HISTORIES"].flatMap(Int.init) ?? 25
        let seed = environment["DAYBOOK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let world = try await World([Sales.table] + Sales.aggregates.map(\.yaml))
        let connection = try PostgresConnection(.init(conninfo: world.conninfo))
        for history in 0..<count {
            let world = try world.withLog("history\(history)")
            if history > 0 {
                try connection.execute(
                    "DELETE FROM daybook.checkpoints; TRUNCATE daybook.batches, daybook.rejections;"
                        + " DROP TABLE sales, by_shop, by_slot, by_value")
            }
            try await run(world, connection, &random)
            for aggregate in Sales.aggregates {
                let difference = try world.psql(aggregate.difference)
                #expect(difference == "0", "\(aggregate.name), history \(history), seed \(seed)")
                if difference != "0" { return }
            }
            try world.log.close()
        }
    }

    /// Appends batches while projectors come and go and their backends are ended.
    private func run(
        _ world: World, _ connection: PostgresConnection, _ random: inout SeededGenerator
    ) async throws {
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            for _ in 0..<Int.random(in: 0...5, using: &random) {
                let rows = (0..<Int.random(in: 1...40, using: &random)).map { _ in
                    Sales.row(using: &random)
                }
                try world.append([("sales", rows)])
            }
            let projector = world.projector(
                rowLimit: Int.random(in: 1...100, using: &random), retrySeconds: 0.001)
            projector.start()
            if Bool.random(using: &random) {
                usleep(UInt32.random(in: 0...15_000, using: &random))
                _ = try connection.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                        + " current_database() AND application_name = 'projector'")
            }
            try world.append([("sales", [Sales.row(using: &random)])])
            if Bool.random(using: &random) {
                usleep(UInt32.random(in: 0...10_000, using: &random))
            } else {
                _ = await projector.waitUntilApplied(
                    world.log.durable.position, timeoutSeconds: 30)
            }
            await projector.stop()
        }
        await world.projectAll(rowLimit: 64)
    }

    @Test("An aggregate that is new begins at the log's start, beside tables that are further")
    func newAggregate() async throws {
        let before = try await World([Sales.table])
        var random = SeededGenerator(seed: 7)
        for _ in 0..<20 {
            try before.append([("sales", (0..<50).map { _ in Sales.row(using: &random) })])
        }
        await before.projectAll()
        let after = try before.adopting([Sales.table] + Sales.aggregates.map(\.yaml))
        try after.append([("sales", [Sales.row(using: &random)])])
        let projector = await after.projectAll(rowLimit: 100)
        #expect(projector.statuses.allSatisfy { $0.state == .running }, "\(projector.statuses)")
        for aggregate in Sales.aggregates {
            #expect(try after.psql(aggregate.difference) == "0", "\(aggregate.name)")
        }
    }

    @Test("An aggregate whose table was dropped stops alone, with the reason and the remedy")
    func stops() async throws {
        let world = try await World([Sales.table] + Sales.aggregates.map(\.yaml))
        var random = SeededGenerator(seed: 11)
        try world.append([("sales", [Sales.row(using: &random)])])
        await world.projectAll()
        _ = try world.psql("DROP TABLE by_shop")
        try world.append([("sales", [Sales.row(using: &random)])])
        let statuses = await world.projectAll().statuses
        let failed = try #require(statuses.first { $0.name == "by_shop" })
        #expect(failed.state == .failed)
        #expect(failed.position == 1)
        #expect(failed.reason?.contains("daybook rebuild by_shop") == true)
        #expect(statuses.filter { $0.state == .running }.map(\.position) == [2, 2, 2, 2])
        #expect(try world.psql("SELECT count(*) FROM sales") == "2")
    }

    @Test("Groups beyond what is kept in memory, and sums beyond 128 bits, are written in between")
    func large() async throws {
        let table = """
            table: entries
            key: []
            columns:
              - {name: account, type: integer}
              - {name: amount, type: "decimal(38,2)"}
            """
        let totals = """
            aggregate: totals
            from: entries
            groupBy: {account: account}
            measures: {total: sum(amount), least: min(amount), mean: avg(amount)}
            """
        let world = try await World([table, totals])
        let huge = Int128(10_000_000_000_000_000_000) * 9_999_999_999_999_999_999
        for start in [0, 33_000] {
            let rows = (0..<33_000).map { index in
                World.Row.accepted { sink in
                    sink.append(long: Int64(start + index))
                    Sales.append(unscaled: index.isMultiple(of: 2) ? huge : -huge, to: &sink)
                }
            }
            try world.append([("entries", rows)])
        }
        let same = (0..<10).map { _ in
            World.Row.accepted { sink in
                sink.append(long: -1)
                Sales.append(unscaled: huge, to: &sink)
            }
        }
        try world.append([("entries", same)])
        await world.projectAll(rowLimit: 200_000)
        #expect(
            try world.psql(
                """
                SELECT count(*) FROM (
                  SELECT account, total, least, mean FROM totals
                  EXCEPT SELECT account, sum(amount), min(amount), avg(amount)
                           FROM entries GROUP BY 1) AS d
                """) == "0")
        #expect(try world.psql("SELECT count(*) FROM totals") == "66001")
    }
}
