import DaybookBackup
import DaybookLog
import DaybookProjections
import Foundation
import Postgres
import TestSupport
import Testing

@testable import LedgerWorld

/// Random histories, each with backups somewhere in it and a target anywhere in it: the restore
/// from the log, the restore from the nearest earlier backup and the log after it, and a model
/// that knows neither agree row by row.
@Suite struct RestoreHistoriesTests {
    @Test("From log, from backup and log, and by the model: any state is the same, row by row")
    func histories() async throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["DAYBOOK_HISTORIES"].flatMap(Int.init) ?? 25
        let seed = environment["DAYBOOK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var fromBackupCount = 0
        let first = try await World(Shops.dictionary)
        let connection = try PostgresConnection(.init(conninfo: first.conninfo))
        for history in 0..<count {
            let world = try first.withLog("history\(history)")
            if history > 0 { try clear(connection) }
            do {
                // Every second one has a backup early enough for its target, whatever is drawn.
                let isEarly = history.isMultiple(of: 2)
                if try await run(world, &random, backsUpFirst: isEarly) { fromBackupCount += 1 }
            } catch {
                Issue.record("\(error), history \(history), seed \(seed)")
                return
            }
            try world.log.close()
            try FileManager.default.removeItem(atPath: world.folder.path("history\(history)"))
            try? FileManager.default.removeItem(atPath: world.folder.path("backups"))
        }
        #expect(fromBackupCount >= (count + 1) / 2, "backups are restored from too")
    }

    /// Takes the database back to its beginning.
    private func clear(_ connection: PostgresConnection) throws {
        try connection.execute(
            """
            TRUNCATE daybook.checkpoints, daybook.batches, daybook.rejections, daybook.rebuilds,
                     daybook.rebuild_pieces;
            DROP TABLE IF EXISTS shops, sales, by_shop;
            DROP SCHEMA daybook_build CASCADE; DROP SCHEMA daybook_old CASCADE;
            CREATE SCHEMA daybook_build; CREATE SCHEMA daybook_old;
            DROP SCHEMA IF EXISTS from_log, from_backup CASCADE
            """)
    }

    private struct Mismatch: Error {
        let what: String
    }

    /// One history and one target; whether a backup was early enough to be restored from.
    private func run(
        _ world: World, _ random: inout SeededGenerator, backsUpFirst: Bool
    ) async throws -> Bool {
        var model = Shops()
        var backups: [BackupSource] = []
        try model.append(to: world, &random)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            for _ in 0..<Int.random(in: 0...4, using: &random) {
                try model.append(to: world, &random)
            }
            let isDue = Int.random(in: 0..<3, using: &random) > 0
            guard isDue || backsUpFirst && backups.isEmpty else { continue }
            await world.projectAll(rowLimit: Int.random(in: 1...60, using: &random))
            let codec = Int.random(in: 0..<3, using: &random)
            backups.append(
                try world.backUp { $0.codec = [.null, .deflate, .zstandard][codec] })
        }
        try model.append(to: world, &random)
        await world.projectAll()
        let earliest = backsUpFirst ? backups[0].head.position : 0
        let ends = model.ends.filter { $0.position >= earliest }
        guard let end = ends.randomElement(using: &random) else { return false }
        let isTime = end.position > 0 && Bool.random(using: &random)
        let target: RestoreTarget =
            isTime
            ? .time(end.receivedAt + Int64.random(in: 0..<1_000_000, using: &random))
            : .position(end.position)
        try world.restore(from: nil) {
            $0.target = target
            $0.destination = "from_log"
        }
        try expect(world, model, in: "from_log", at: end.position)
        let nearest = backups.last { $0.head.position <= end.position }
        if let nearest {
            try world.restore(from: nearest) {
                $0.target = target
                $0.destination = "from_backup"
            }
            try expect(world, model, in: "from_backup", at: end.position)
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            try await goLive(world, model, nearest, target, at: end.position)
        }
        return nearest != nil
    }

    /// The live tables are taken back and held, then let go on.
    private func goLive(
        _ world: World, _ model: Shops, _ source: BackupSource?, _ target: RestoreTarget,
        at position: Position
    ) async throws {
        let report = try world.restore(from: source) { $0.target = target }
        #expect(report.isHeld)
        await world.projectAll()
        try expect(world, model, in: "public", at: position)
        let control = ProjectionControl(try PostgresConnection(.init(conninfo: world.conninfo)))
        for name in ["shops", "sales", "by_shop"] { try control.resume(name) }
        await world.projectAll()
        try expect(world, model, in: "public", at: world.log.durable.position)
    }

    private func expect(
        _ world: World, _ model: Shops, in schema: String, at position: Position
    ) throws {
        for table in ["shops", "sales"] {
            let found = try world.psql(Shops.query(table, in: schema))
            guard found == model.rows(of: table, at: position) else {
                throw Mismatch(
                    what: "\(schema).\(table) at \(position): \(found)\nwanted:\n"
                        + model.rows(of: table, at: position))
            }
        }
        let difference = try world.psql(Shops.difference(in: schema))
        guard difference == "0" else {
            throw Mismatch(what: "\(schema).by_shop at \(position): \(difference) groups differ")
        }
    }
}
