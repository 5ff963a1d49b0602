import DaybookCatalog
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Dictionaries that change after retractions")
struct RetractionDictionaryTests {
    private static func goods(unique: String) -> String {
        """
        table: goods
        key: [id]
        unique: \(unique)
        columns:
          - {name: id, type: integer}
          - {name: serial, type: integer}
          - {name: tag, type: string}
        """
    }
    private static let before = goods(unique: "[]")
    private static let after = goods(unique: "[[serial], [tag]]")

    private func row(_ id: Int, _ value: Int) -> String {
        #"{"id":\#(id),"serial":\#(value),"tag":"t\#(value)"}"#
    }

    private func shared(_ log: MemoryLog) throws -> [SharedKeys] {
        let catalog = try CatalogLoader.load(text: Self.after)
        return try SharedKeySearch(catalog: catalog, log: log).run(catalog.constraints) { _ in }
    }

    private func judge(_ log: MemoryLog) throws -> PastVerdicts {
        let folder = try TemporaryFolder()
        var judgement = try PastJudgement(
            by: CatalogLoader.load(text: Self.after), over: log,
            scratchFolder: folder.path("scratch"))
        let verdicts = try judgement.run { _ in }
        return try #require(verdicts.first)
    }

    private func retract(_ ids: [Int], _ bench: Bench) async throws {
        let request = RetractionRequest(
            targets: ids.map { .row(table: "goods", key: ["\($0)"]) },
            retraction: Retraction(note: "twice", principal: "ann"))
        _ = try await bench.retract(request).get()
    }

    /// Where a ledger takes up its keys from.
    enum Start: CaseIterable {
        case lateSnapshot, earlySnapshot, none
    }

    @Test(
        "A rule that only retracted rows broke can come, and the rows that stand keep their keys",
        arguments: Start.allCases, [1, 1000])
    func ruleAfterRetraction(_ start: Start, interval: Int64) async throws {
        let old = try Bench(Self.before)
        // Of each two that share, one goes: the earlier, or the later.
        try await old.append("goods", "[\((0..<8).map { row($0, $0 / 2) }.joined(separator: ","))]")
        #expect(try shared(old.log).map(\.rowCount) == [4, 4])
        #expect(try judge(old.log).rejectedNow.rowCount == 4)
        old.close()
        let early = old.folder + "-early"
        try FileManager.default.copyItem(atPath: old.folder, toPath: early)
        defer { try? FileManager.default.removeItem(atPath: early) }
        try old.open()
        try await retract([0, 3, 4, 7], old)
        #expect(try shared(old.log).isEmpty)
        let judged = try judge(old.log)
        #expect(judged.rejectedNow.rowCount == 0 && judged.acceptedCount == 4)
        old.close()
        let folder =
            switch start {
            case .lateSnapshot: old.folder
            case .earlySnapshot: early
            case .none: old.folder + "-none"
            }
        let new = try Bench(Self.after, log: old.log, folder: folder) {
            $0.snapshotEventInterval = interval
        }
        for round in 0..<3 {
            for value in 0..<4 {
                let receipt = try await new.append("goods", row(20, value))
                #expect(
                    receipt.brief == ["0 duplicate_key(serial) duplicate_key(tag)"],
                    "\(value), round \(round)")
            }
            #expect(try await new.append("goods", row(100 + round, 100 + round)).brief == [])
            // The keys that were retracted before the rule came are free.
            let freed = try await new.append("goods", row([0, 3, 4][round], 50 + round))
            #expect(freed.brief == [], "round \(round)")
            if round == 1 {
                new.close()
                try FileManager.default.removeItem(atPath: folder)
            }
            try new.open { $0.snapshotEventInterval = interval }
        }
        try await retract([1, 100, 3], new)
        #expect(
            try await new.append("goods", "[\(row(1, 0)),\(row(100, 100)),\(row(2, 1))]").brief
                == ["2 duplicate_key(id) duplicate_key(serial) duplicate_key(tag)"])
    }

    @Test("Past rows are judged as if the retracted ones had never come")
    func pastJudgement() async throws {
        let bench = try Bench(Self.after)
        try await bench.append("goods", "[\(row(1, 1)),\(row(4, 4))]")
        #expect(try await bench.append("goods", row(2, 1)).acceptedCount == 0)
        try await retract([1], bench)
        try await bench.append("goods", row(3, 3))
        let judged = try judge(bench.log)
        #expect(judged.acceptedCount == 2 && judged.rejectedNow.rowCount == 0)
        #expect(judged.rejectedCount == 1 && judged.acceptedNow.rowCount == 1)
    }

    @Test("What was sent stays sent under a rule that came later, though its rows are gone")
    func idempotency() async throws {
        let old = try Bench(Self.before)
        let rows = "[\(row(0, 1)),\(row(1, 1))]"
        var receipt = try await old.append("goods", rows, key: "k")
        try await retract([0], old)
        old.close()
        for folder in [old.folder, old.folder + "-none"] {
            let new = try Bench(Self.after, log: old.log, folder: folder)
            receipt.isReplay = true
            #expect(try await new.append("goods", rows, key: "k") == receipt)
        }
    }

    @Test("However few fingerprints are held, the store has the keys of rows that stand")
    func tinyBuilder() async throws {
        let bench = try Bench(Self.after)
        try await bench.append("goods", row(0, 0))
        bench.close()
        for limit in [1, 2, 7] {
            let folder = bench.folder + "-tiny\(limit)"
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try FileManager.default.copyItem(atPath: bench.folder, toPath: folder)
            let log = bench.log
            let copy = try Bench(Self.after, log: log)
            let first = Int(log.durable.position) * 100
            let ids = (first..<(first + 30))
            try await copy.append("goods", "[\(ids.map { row($0, $0) }.joined(separator: ","))]")
            try await retract(ids.filter { $0 % 3 != 0 }, copy)
            copy.close()
            let store = try KeyStore(folder: folder)
            let builder = try SnapshotBuilder(
                engine: log, catalog: bench.catalog, store: store, fingerprintLimit: limit)
            try builder.advance(to: log.durable.position)
            store.close()
            let later = try Bench(Self.after, log: log, folder: folder)
            let receipt = try await later.append(
                "goods", "[\(ids.map { row($0 + 1_000_000, $0) }.joined(separator: ","))]")
            #expect(receipt.rejected.map(\.index) == ids.indices.compactMap {
                ids[$0] % 3 == 0 ? $0 - ids.startIndex : nil
            }, "limit \(limit)")
            later.close()
        }
    }

    @Test("Ranges are cut into parts of so many elements")
    func parts() {
        let ranges: [Range<Position>] = [0..<3, 5..<5, 7..<8, 10..<17]
        #expect(ranges.parts(elementCountMax: 4) == [[0..<3, 7..<8], [10..<14], [14..<17]])
        #expect(ranges.parts(elementCountMax: 100) == [[0..<3, 7..<8, 10..<17]])
        #expect([Range<Position>]().parts(elementCountMax: 1).isEmpty)
    }
}
