import DaybookLog
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("After a retraction the ledger decides as if the rows had never come")
struct RetractionHistoryTests {
    private static let historyCount = 30
    private static let stepCount = 40

    private func step(_ world: RetractionWorld) async throws {
        let table = RetractionWorld.tables[world.number(0..<RetractionWorld.tables.count)]
        let rows = (0..<world.number(1..<6)).map { _ in world.row(of: table) }
        switch world.number(0..<20) {
        case 0..<8:
            let key = world.chance(2) ? "\(world.number(0..<10))" : nil
            try await world.send(rows, key: key, isAtomic: world.chance(4))
        case 8:
            guard let (key, sent) = world.sent.randomElement(using: &world.random),
                let row = RetractionWorld.row(of: sent)
            else { return }
            try await world.send(row, key: key)
        case 9, 10: try await world.sendPart(of: world.number(0..<4), rows)
        case 11, 12:
            guard let root = world.states.keys.randomElement(using: &world.random) else { return }
            try await world.send([world.row(of: root.table)], corrects: root)
        case 13: try await world.waive()
        case 14, 15: try world.restart()
        default:
            let targets = (0..<(world.chance(3) ? 2 : 1)).compactMap { _ in target(world) }
            if targets.isEmpty { return }
            try await world.retract(targets, takesReferring: world.chance(2))
        }
    }

    private func target(_ world: RetractionWorld) -> RetractionRequest.Target? {
        switch world.number(0..<10) {
        case 0..<4:
            return world.rows.filter { !$0.value.key.isEmpty }.randomElement(using: &world.random)
                .map { .row(table: $0.value.table, key: $0.value.key) }
        case 4..<7: return world.batches.randomElement(using: &world.random).map { .batch($0.id) }
        case 7, 8: return .importDigest(RetractionWorld.digest(world.number(0..<4)))
        default: return .importName("f\(world.number(0..<2)).csv")
        }
    }

    // Most of the time a history waits for its disk, so several go on at a time.
    @Test("In random histories, restarted at any time from any snapshot", arguments: 0..<5)
    func histories(_ part: UInt64) async throws {
        let given = SeededGenerator()
        var seeds = SeededGenerator(seed: given.seed &+ part)
        var retractionCount = 0
        var refusalCount = 0
        for _ in 0..<Self.historyCount {
            let world = try RetractionWorld(seed: seeds.next())
            for _ in 0..<Self.stepCount { try await step(world) }
            retractionCount += world.retractionCount
            refusalCount += world.refusalCount
        }
        #expect(retractionCount > 2 * Self.historyCount, "seed \(given.seed)")
        #expect(refusalCount > Self.historyCount / 2, "seed \(given.seed)")
    }
}

extension RetractionWorld {
    /// The same rows as they were sent.
    static func row(of sent: Sent) -> [Row]? {
        let table = sent.receipt.table
        guard !table.isEmpty, sent.receipt.principal == "ann" else { return nil }
        // One text that stands for all rows of the body.
        let list = sent.body.dropFirst(table.count).dropFirst().dropLast()
        return [Row(table: table, json: String(list))]
    }
}
