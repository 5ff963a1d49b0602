import Avro
import DaybookBackup
import DaybookLog
import DaybookProjections
import Foundation
import Postgres
import TestSupport
import Testing

@testable import LedgerWorld

/// What a backup is refused for, and that it is of one moment.
@Suite struct BackupMakerTests {
    private func world() async throws -> World {
        let world = try await World()
        try world.appendJobs(10)
        try world.append([("notes", [.note("first"), .note(nil)])])
        await world.projectAll()
        return world
    }

    @Test("What changes while the first table is copied is in none of the tables")
    func oneSnapshot() async throws {
        let world = try await world()
        let maker = BackupMaker(
            try PostgresConnection(.init(conninfo: world.conninfo)), catalog: world.catalog,
            key: try world.signingKey(), log: { _ in world.log },
            clock: { 1_600_000_000_000_000 })
        var changeCount = 0
        let manifest = try maker.run(into: world.backups) { step in
            guard case .table("jobs", _, _) = step else { return }
            changeCount += 1
            _ = try world.psql("INSERT INTO notes VALUES ('meanwhile', \(1000 + changeCount))")
        }
        #expect(changeCount > 0)
        #expect(manifest.entry(of: "notes")?.rows == 2)
        let source = try BackupSource(manifest.name, in: world.backups)
        #expect(try world.verifier(source).run().summary == nil)
    }

    @Test("Tables that stand at two positions make no backup, those of one position do")
    func twoPositions() async throws {
        let world = try await world()
        let connection = try PostgresConnection(.init(conninfo: world.conninfo))
        try ProjectionControl(connection).pause("notes")
        try world.appendJobs(5)
        await world.projectAll()
        let error = #expect(throws: BackupError.self) { try world.backUp() }
        guard case .notAtOnePosition(let places) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(places == ["jobs: 17, running", "notes: 12, paused"])
        #expect(try world.backups.backups().isEmpty)
        for (table, position) in [("jobs", 17), ("notes", 12)] {
            let source = try world.backUp { $0.tables = [table] }
            #expect(source.head.position == Int64(position))
            #expect(try world.verifier(source).run().summary == nil)
        }
    }

    @Test("Tables that followed another log are not backed up as of this one")
    func otherPast() async throws {
        let world = try await world()
        let other = try world.withLog("other")
        try other.appendJobs(12)
        let error = #expect(throws: BackupError.self) { try other.backUp() }
        #expect(error?.description.contains("another history up to position 12") == true)
        #expect(try world.backups.backups().isEmpty)
    }

    @Test("While one backup is made there is no second one")
    func busy() async throws {
        let world = try await world()
        let maker = BackupMaker(
            try PostgresConnection(.init(conninfo: world.conninfo)), catalog: world.catalog,
            key: try world.signingKey(), log: { _ in world.log },
            clock: { 1_500_000_000_000_000 })
        var refusals: [BackupError] = []
        _ = try maker.run(into: world.backups) { _ in
            do {
                _ = try world.backUp()
            } catch let error as BackupError {
                refusals.append(error)
            }
        }
        #expect(!refusals.isEmpty && refusals.allSatisfy { $0 == .busy }, "\(refusals)")
        #expect(try world.backups.backups().count == 1)
    }

    @Test("Rows stand in the order of their keys' bytes, whatever order the database has")
    func order() async throws {
        let first = try await World(Shops.dictionary)
        let name = "ordered_" + String(UInt64.random(in: 0 ... .max), radix: 36)
        _ = try first.psql(
            "CREATE DATABASE \(name) TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
        let world = first.withDatabase("\(first.conninfo) dbname=\(name)")
        var random = SeededGenerator(seed: 8)
        var model = Shops()
        for _ in 0..<40 { try model.append(to: world, &random) }
        await world.projectAll()
        let source = try world.backUp()
        let path = "\(world.backups.name)/\(source.name)/shops.avro"
        var reader = try ContainerReader(Bytes(Array(Data(contentsOf: URL(fileURLWithPath: path)))))
        let decoder = ResolvingDecoder(reader.header.schema)
        var names: [String] = []
        while let block = try reader.nextBlock() {
            for row in try block.decode(with: decoder) {
                guard case .record(let fields) = row, case .string(let name)? = fields.first else {
                    continue
                }
                names.append(name)
            }
        }
        let ordered = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        #expect(names.count > 20 && names == ordered)
        let inDatabase = try world.psql("SELECT name FROM shops ORDER BY name")
        #expect(inDatabase != ordered.joined(separator: "\n"), "the database has another order")
    }

    @Test(
        "A value that no event can have ends a backup, and leaves nothing of it",
        arguments: ["moment = 'infinity'", "moment = '-infinity'", "amount = 'NaN'"])
    func impossibleValue(_ change: String) async throws {
        let world = try await World(Shops.dictionary)
        var random = SeededGenerator(seed: 7)
        var model = Shops()
        for _ in 0..<20 { try model.append(to: world, &random) }
        await world.projectAll()
        _ = try world.psql("UPDATE sales SET \(change) WHERE id = (SELECT max(id) FROM sales)")
        let error = #expect(throws: BackupError.self) { try world.backUp() }
        guard case .table("sales", let what) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(what.contains("no value that an event can have"), "\(what)")
        let left = try FileManager.default.contentsOfDirectory(atPath: world.backups.name)
        #expect(left.isEmpty, "\(left)")
    }
}
