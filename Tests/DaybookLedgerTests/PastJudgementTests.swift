import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Past rows under other rules")
struct PastJudgementTests {
    private func judge(
        _ log: MemoryLog, by text: String, keyCountMax: Int = 1 << 20
    ) throws -> [PastVerdicts] {
        let folder = try TemporaryFolder()
        var judgement = try PastJudgement(
            by: CatalogLoader.load(text: text), over: log, scratchFolder: folder.path("scratch"),
            keyCountMax: keyCountMax)
        return try judgement.run { _ in }
    }

    /// Rows over few keys, some of them dirty.
    private func batch(_ random: inout SeededGenerator) -> (table: String, rows: String) {
        let table = ["departments", "employees", "payments", "currencies", "readings"]
            .randomElement(
                using: &random)!
        let rows = (0..<Int.random(in: 1...8, using: &random)).map { _ in
            let a = Int.random(in: 0..<90, using: &random)
            let b = Int.random(in: 0..<90, using: &random)
            if a == 13 { return #"{"id":"thirteen","note":[]}"# }
            switch table {
            case "departments": return #"{"id":\#(a),"name":"n \"\#(b)\" é"}"#
            case "employees":
                return #"{"id":\#(a),"email":"\#(b)","department_id":\#(b),"boss_id":\#(a)}"#
            case "payments":
                let day = "2024-0\(b % 3 + 1)-\(b % 2 == 0 ? "31" : "15")"
                return #"{"account":"\#(a % 30)","day":"\#(day)","currency":"\#(b)"}"#
            case "readings": return #"{"sensor":\#(a),"value":\#(b).\#(a)}"#
            default: return #"{"code":"\#(a)"}"#
            }
        }
        return (table, "[\(rows.joined(separator: ", "))]")
    }

    /// What is narrowed and what is loosened in `Bench.trade`.
    private static let otherRules = Bench.trade
        .replacing("unique: [[email]]\n", with: "")
        .replacing(
            "{name: email, type: string}", with: "{name: email, type: string, pattern: '[0-8]+'}"
        )
        .replacing(
            "{name: account, type: string}", with: "{name: account, type: string, pattern: '1.*'}"
        )
        .replacing("key: [account, day]", with: "key: [account]")
        .replacing("{name: value, type: number}", with: "{name: value, type: number, min: 40}")
        .replacing(", references: departments}", with: "}")
        .replacing("{name: code, type: string}", with: "{name: code, type: string, maxLength: 1}")

    @Test(
        "They are judged as the door would judge them if they came today", arguments: [1 << 20, 5])
    func sameAsTheDoor(keyCountMax: Int) async throws {
        var random = SeededGenerator()
        let old = try Bench()
        let new = try Bench(Self.otherRules)
        var expected: [String: (rejectedNow: [String: Int], acceptedNow: [String: Int])] = [:]
        for _ in 0..<300 {
            let (table, rows) = batch(&random)
            let then = try await old.append(table, rows)
            let now = try await new.append(table, rows)
            let before = Dictionary(then.rejected.map { ($0.index, $0) }) { first, _ in first }
            let after = Dictionary(now.rejected.map { ($0.index, $0) }) { first, _ in first }
            for index in 0..<then.rowCount {
                let (old, new) = (before[index], after[index])
                if old == nil, let code = new?.rejection.reasons[0].code {
                    expected[table, default: ([:], [:])].rejectedNow[code, default: 0] += 1
                } else if new == nil, let code = old?.rejection.reasons[0].code {
                    expected[table, default: ([:], [:])].acceptedNow[code, default: 0] += 1
                }
            }
        }
        let verdicts = try judge(old.log, by: Self.otherRules, keyCountMax: keyCountMax)
        for table in verdicts {
            let wanted = expected[table.table] ?? ([:], [:])
            #expect(table.rejectedNow.countByCode == wanted.rejectedNow, "seed \(random.seed)")
            #expect(table.acceptedNow.countByCode == wanted.acceptedNow, "seed \(random.seed)")
        }
        let codes = Set(verdicts.flatMap(\.rejectedNow.countByCode.keys))
        #expect(
            codes.isSuperset(of: [
                "pattern_mismatch", "out_of_range", "too_long", "duplicate_key",
                "unknown_reference",
            ]))
        #expect(verdicts.contains { $0.acceptedNow.countByCode["duplicate_key"] != nil })
        #expect(verdicts.contains { $0.acceptedNow.countByCode["unknown_reference"] != nil })
    }

    @Test("Under the rules that judged them nothing turns, and all rows are counted")
    func sameRules() async throws {
        var random = SeededGenerator()
        let bench = try Bench()
        var accepted = 0
        var rejected = 0
        for _ in 0..<200 {
            let (table, rows) = batch(&random)
            let isAtomic = Int.random(in: 0..<4, using: &random) == 0
            let receipt = try await bench.append(table, rows, isAtomic: isAtomic)
            accepted += receipt.acceptedCount
            rejected += receipt.rowCount - receipt.acceptedCount
        }
        let verdicts = try judge(bench.log, by: Bench.trade)
        #expect(verdicts.allSatisfy { $0.rejectedNow.rowCount == 0 }, "seed \(random.seed)")
        #expect(verdicts.allSatisfy { $0.acceptedNow.rowCount == 0 }, "seed \(random.seed)")
        #expect(verdicts.map(\.acceptedCount).reduce(0, +) == accepted)
        #expect(verdicts.map(\.rejectedCount).reduce(0, +) == rejected)
    }

    private static let goods = """
        table: goods
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: name, type: string, pattern: '[a-z]+'}
          - {name: old, type: date, optional: true}
        """

    @Test("Examples say where, which and why; of rows of all forms, under columns of now")
    func examples() async throws {
        let bench = try Bench(Self.goods)
        try await bench.append(
            "goods",
            #"[{"id":1,"name":"a","old":"2024-01-01"},{"id":2,"name":"B"},{"id":3,"name":"long"}]"#
        )
        let judge = Judge(
            table: bench.catalog.tables[0], constraints: bench.catalog.constraints,
            fingerprintKey: bench.ledger.fingerprintKey)
        for batch in [
            judge.judgeNDJSON(Bytes(Array(#"{"id":4,"name":"C"}"#.utf8), padding: 128)),
            try judge.judgeCSV(Bytes(Array("5,\"D\"\"\",\n6,E,\n7,f\n".utf8)), header: .absent),
        ] {
            _ = try await bench.ledger.append(
                Submission(
                    batch: batch, source: "http", principal: "ann", idempotencyKey: nil,
                    requestDigest: [], isAtomic: false, dictionary: bench.catalog.version))
        }
        let text = """
            table: goods
            key: [id]
            columns:
              - {name: note, type: string, optional: true}
              - {name: name, type: string, pattern: '.', maxLength: 3}
              - {name: id, type: number}
            """
        let verdicts = try self.judge(bench.log, by: text)[0]
        #expect(verdicts.acceptedCount == 2 && verdicts.rejectedCount == 5)
        #expect(verdicts.rejectedNow.countByCode == ["too_long": 1])
        let rejected = try #require(verdicts.rejectedNow.examples.first)
        #expect(rejected.position == 4 && rejected.key == ["3"])
        #expect(rejected.reason.column == "name")
        // `D"` is two characters, and the row of two fields still has one too few.
        #expect(verdicts.acceptedNow.countByCode == ["pattern_mismatch": 3])
        #expect(verdicts.acceptedNow.examples.map(\.position) == [3, 5, 7])
        #expect(verdicts.acceptedNow.examples.map { $0.key[0] } == ["2.0", "4.0", "6.0"])
        #expect(verdicts.acceptedNow.examples[0].reason.code == "pattern_mismatch")
    }

    @Test("An atomic batch turns as a whole")
    func atomic() async throws {
        let bench = try Bench(Self.goods)
        try await bench.append(
            "goods", #"[{"id":1,"name":"a"},{"id":2,"name":"B"}]"#, isAtomic: true)
        try await bench.append(
            "goods", #"[{"id":3,"name":"c"},{"id":4,"name":"DD"}]"#, isAtomic: true)
        let looser = Self.goods.replacing("[a-z]+", with: "[a-zA-Z]")
        let verdicts = try judge(bench.log, by: looser)[0]
        #expect(
            verdicts.acceptedNow.countByCode == ["atomic_batch": 1, "pattern_mismatch": 1])
    }

    @Test("What no dictionary made wrong stays wrong")
    func malformed() async throws {
        let bench = try Bench(Self.goods)
        try await bench.append("goods", "not JSON")
        try await bench.append("goods", #"[[{"id":1,"name":"a"}], 7]"#)
        let verdicts = try judge(bench.log, by: Self.goods.replacing("[a-z]+", with: ".*"))[0]
        #expect(verdicts.rejectedCount == 3 && verdicts.acceptedNow.rowCount == 0)
    }
}
