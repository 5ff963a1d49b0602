import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookProjections
@testable import LedgerWorld

/// The oracle is a history in which the retracted rows never came.
@Suite("Retractions in Postgres") struct RetractionTests {
    private static let dictionary =
        [World.jobs, World.notes, Sales.table] + Sales.aggregates.map(\.yaml)

    /// A batch as it was appended, and which of its rows still count.
    private struct Sent {
        let table: String
        let rows: [World.Row]
        /// Of jobs, the rows' keys.
        let ids: [Int64]
        let position: Position
        var isGone: [Bool]
    }

    /// What a history has come to.
    private struct History {
        var sent: [Sent] = []
        var takenIDs: Set<Int64> = []

        mutating func append(to world: World, _ random: inout SeededGenerator) throws {
            let table = ["jobs", "notes", "sales"].randomElement(using: &random) ?? "jobs"
            var rows: [World.Row] = []
            var ids: [Int64] = []
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                let isRejected = Int.random(in: 0..<6, using: &random) == 0
                // Few keys, so that they come again when they are free.
                let id = Int64.random(in: 0..<40, using: &random)
                if isRejected || table == "jobs" && takenIDs.contains(id) {
                    rows.append(
                        .rejected(
                            Rejection(
                                raw: [0x7B, 0x7D], rawLength: nil,
                                reasons: [.init(code: "missing_field", column: nil, message: "")])))
                    ids.append(-1)
                    continue
                }
                let name = "n\(Int.random(in: 0..<1000, using: &random))"
                switch table {
                case "jobs":
                    rows.append(.job(id, name))
                    takenIDs.insert(id)
                case "notes": rows.append(.note(id % 5 == 0 ? nil : name))
                default: rows.append(Sales.row(using: &random))
                }
                ids.append(id)
            }
            let position = world.log.durable.position
            try world.append([(table, rows)])
            sent.append(
                Sent(
                    table: table, rows: rows, ids: ids, position: position,
                    isGone: rows.map { _ in false }))
        }

        /// Retracts whole batches, or rows of them.
        mutating func retract(from world: World, _ random: inout SeededGenerator) throws {
            var spans: [Range<Position>] = []
            for _ in 0..<Int.random(in: 1...4, using: &random) where !sent.isEmpty {
                let batch = Int.random(in: sent.indices, using: &random)
                let isWhole = Bool.random(using: &random)
                let one = Int.random(in: sent[batch].rows.indices, using: &random)
                for row in sent[batch].rows.indices where isWhole || row == one {
                    guard case .accepted = sent[batch].rows[row], !sent[batch].isGone[row] else {
                        continue
                    }
                    sent[batch].isGone[row] = true
                    if sent[batch].table == "jobs" { takenIDs.remove(sent[batch].ids[row]) }
                    let position = sent[batch].position + Position(row)
                    spans.append(position..<position + 1)
                }
            }
            if !spans.isEmpty { try world.retract(spans) }
        }

        /// The same history without what was retracted, nor any retraction.
        func replayWithout(_ world: World) throws {
            for batch in sent {
                let left = zip(batch.rows, batch.isGone).filter { !$1 }.map(\.0)
                if !left.isEmpty { try world.append([(batch.table, left)]) }
            }
        }
    }

    private static let contents = [
        "SELECT id, job FROM jobs ORDER BY id",
        "SELECT note FROM notes ORDER BY ledger_position",
        "SELECT moment, day, amount, weight, units, shop, paid, reference FROM sales"
            + " ORDER BY ledger_position",
    ]

    private func expectSame(
        _ world: World, _ other: World, _ what: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for query in Self.contents {
            let isSame = try world.psql(query) == other.psql(query)
            #expect(isSame, "\(query), \(what)", sourceLocation: sourceLocation)
        }
        for aggregate in Sales.aggregates {
            let difference = try world.psql(aggregate.difference)
            #expect(
                difference == "0", "\(aggregate.name), \(what)", sourceLocation: sourceLocation)
        }
    }

    private func digests(_ world: World) throws -> [String] {
        try world.catalog.tables.map { table in
            let found = try world.drift(table.name)
            #expect(found.isEmpty, "\(table.name)")
            return "\(table.name) \(found.expected) \(found.found)"
        }
    }

    @Test("After every random history the tables are those of one in which the rows never came")
    func histories() async throws {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["DAYBOOK_RETRACTIONS"].flatMap(Int.init) ?? 6
        let seed = environment["DAYBOOK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        for number in 0..<count {
            let what = "history \(number), seed \(seed)"
            let world = try await World(Self.dictionary)
            var history = History()
            for _ in 0..<Int.random(in: 5...30, using: &random) {
                switch Int.random(in: 0..<6, using: &random) {
                case 0: try history.retract(from: world, &random)
                case 1: await world.projectAll(rowLimit: Int.random(in: 1...60, using: &random))
                default: try history.append(to: world, &random)
                }
            }
            await world.projectAll(rowLimit: Int.random(in: 1...200, using: &random))
            let never = try await World(Self.dictionary)
            try history.replayWithout(never)
            await never.projectAll()
            try expectSame(world, never, what)
            let before = try digests(world)

            // From nothing, step by step.
            let again = world.withDatabase(try await TestCluster.freshDatabase())
            await again.projectAll()
            try expectSame(again, never, what)
            #expect(try digests(again) == before, "\(what)")
            // From nothing, in pieces and in any order.
            for name in ProjectionShape.names(of: world.catalog) {
                let report = try await world.rebuild(name) { $0.pieceRowCount = 20 }
                #expect(report.comparison?.isEmpty == true, "\(name), \(what)")
            }
            try expectSame(world, never, what)
            for aggregate in Sales.aggregates {
                #expect(try world.drift(aggregate.name).isEmpty, "\(aggregate.name), \(what)")
            }
        }
    }

    @Test("A key comes again behind its retraction in the same transaction")
    func keyAgain() async throws {
        let world = try await World([World.jobs])
        try world.append([("jobs", [.job(1, "a"), .job(2, "b")])])
        try world.retract([0..<1])
        try world.append([("jobs", [.job(1, "c")])])
        try world.retract([1..<2, 3..<4])
        try world.append([("jobs", [.job(1, "d"), .job(2, "e")])])
        await world.projectAll()
        #expect(try world.psql("SELECT id, job FROM jobs ORDER BY 1") == "1|d\n2|e")
        let audit = try world.psql(
            "SELECT first_position, end_position, position, principal, note"
                + " FROM daybook.retractions ORDER BY 1")
        #expect(audit == "0|1|2|tester|a test\n1|2|4|tester|a test\n3|4|4|tester|a test")
    }

    @Test("Who is at a state before the retraction sees the rows, and a drift at neither state")
    func states() async throws {
        let world = try await World([World.jobs])
        try world.append([("jobs", [.job(1, "a"), .job(2, "b")])])
        await world.projectAll()
        #expect(try world.drift("jobs").isEmpty)
        try world.retract([0..<1])
        #expect(try world.psql("SELECT count(*) FROM jobs") == "2")
        #expect(try world.drift("jobs").isEmpty)
        await world.projectAll()
        #expect(try world.psql("SELECT id FROM jobs") == "2")
        #expect(try world.drift("jobs").isEmpty)
        _ = try world.psql("INSERT INTO jobs VALUES (1, 'a', 0)")
        #expect(try world.drift("jobs").extraCount == 1)
        let repair = try world.driftCheck().repair("jobs")
        #expect(throws: Never.self) { try repair.done?.get() }
        #expect(try world.psql("SELECT id FROM jobs") == "2")
    }

    @Test("With a wrong import gone every digest is the one of before it came, and of a rebuild")
    func digestsOfBefore() async throws {
        let world = try await World(Self.dictionary)
        var random = SeededGenerator(seed: 5)
        let names = Self.names(of: world)
        func digests() throws -> [String] {
            try names.map { name in
                let found = try world.drift(name)
                #expect(found.isEmpty, "\(name)")
                return "\(name) \(found.found)"
            }
        }
        try world.append([
            ("jobs", (0..<20).map { .job($0) }), ("notes", [.note("n"), .note(nil)]),
            ("sales", (0..<50).map { _ in Sales.row(using: &random) }),
        ])
        await world.projectAll()
        let before = try digests()
        let start = world.log.durable.position
        try world.append([
            ("jobs", (20..<30).map { .job($0) }), ("notes", [.note("wrong")]),
            ("sales", (0..<40).map { _ in Sales.row(using: &random) }),
        ])
        await world.projectAll()
        #expect(try digests() != before)
        try world.retract([start..<world.log.durable.position])
        await world.projectAll()
        #expect(try digests() == before)
        for name in names { _ = try await world.rebuild(name) { $0.comparesFirst = false } }
        #expect(try digests() == before)
        try world.append([("jobs", (20..<30).map { .job($0, "right") })])
        await world.projectAll()
        #expect(try world.psql("SELECT count(*) FROM jobs WHERE job = 'right'") == "10")
    }

    private static func names(of world: World) -> [String] {
        world.catalog.tables.map(\.name) + world.catalog.aggregates.map(\.name)
    }

    @Test("Who is beyond a retraction already is left alone when others come to it")
    func beyond() async throws {
        let byJob = """
            aggregate: by_job
            from: jobs
            groupBy: {job: job}
            measures: {jobs: count, least: min(id)}
            """
        let world = try await World([World.jobs, byJob])
        try world.append([("jobs", [.job(1, "a"), .job(2, "a")])])
        try world.retract([0..<1])
        try world.append([("jobs", [.job(3, "a")])])
        await world.projectAll()
        _ = try world.psql(
            "DELETE FROM daybook.checkpoints WHERE projection = 'jobs'; DROP TABLE jobs")
        try world.append([("jobs", [.job(4, "a"), .job(1, "b")])])
        await world.projectAll()
        #expect(try world.psql("SELECT id, job FROM jobs ORDER BY 1") == "1|b\n2|a\n3|a\n4|a")
        #expect(try world.psql("SELECT * FROM by_job ORDER BY 1") == "a|3|2\nb|1|1")
    }

    @Test("A repair does not go on when rows were retracted while it compared")
    func repairMeanwhile() async throws {
        let world = try await World([World.jobs])
        try world.append([("jobs", [.job(1), .job(2), .job(3)])])
        await world.projectAll()
        _ = try world.psql("UPDATE jobs SET job = 'x' WHERE id = 2")
        let projector = world.projector()
        projector.start()
        var isFirst = true
        let check = try world.driftCheck {
            guard isFirst else { return }
            isFirst = false
            // The comparison has its snapshot; the table goes on behind it.
            try world.retract([1..<2])
            for _ in 0..<1_000 where try world.psql("SELECT count(*) FROM jobs") != "2" {
                usleep(10_000)
            }
        }
        let (found, done) = try check.repair("jobs")
        await projector.stop()
        #expect(found.differences.counts == [0, 0, 1])
        guard case .failure(.notRepaired(let reason)) = done else {
            Issue.record("\(String(describing: done))")
            return
        }
        #expect(reason.contains("retracted"), "\(reason)")
        #expect(try world.psql("SELECT id FROM jobs ORDER BY 1") == "1\n3")
        #expect(try world.drift("jobs").isEmpty)
    }

    @Test("A retracted correction opens its rejection again, and the next one closes it")
    func corrections() async throws {
        let world = try await World([World.jobs])
        let rejection = Rejection(
            raw: [0x7B, 0x7D], rawLength: nil,
            reasons: [.init(code: "missing_field", column: "id", message: "m")])
        func correct(_ id: Int64, _ row: World.Row) throws {
            try world.append([("jobs", [row])]) {
                $0.corrects = [Correction(row: 0, position: 0)]
            }
        }
        func states(_ world: World) throws -> String {
            try world.psql("SELECT position, state FROM daybook.rejections ORDER BY 1")
        }
        try world.append([("jobs", [.rejected(rejection)])])
        try correct(1, .rejected(rejection))
        try correct(1, .job(1))
        await world.projectAll()
        #expect(try states(world) == "0|corrected\n1|corrected")
        try world.retract([2..<3])
        await world.projectAll()
        #expect(try states(world) == "0|open\n1|open")
        #expect(try world.psql("SELECT count(*) FROM daybook.rejection_closings") == "0")
        try correct(1, .job(2))
        await world.projectAll()
        #expect(try states(world) == "0|corrected\n1|corrected")
        #expect(try world.psql("SELECT position FROM daybook.rejection_closings") == "4")
        let report = try await world.rebuild(auditProjectionName) { $0.pieceRowCount = 1 }
        #expect(report.comparison?.isEmpty == true)
        #expect(try states(world) == "0|corrected\n1|corrected")
    }
}
