import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Keys under a changed dictionary")
struct DictionaryChangeTests {
    private static func goods(_ columns: String, key: String, unique: String = "[]") -> String {
        """
        table: goods
        key: \(key)
        unique: \(unique)
        columns:
        \(columns)
        """
    }

    private static let before = goods(
        """
          - {name: id, type: integer}
          - {name: price, type: "decimal(6,2)"}
          - {name: tag, type: uuid}
          - {name: shelf, type: string, optional: true}
        """, key: "[id]")

    private static let rows = """
        [{"id":1,"price":"1.50","tag":"00112233-4455-6677-8899-aabbccddeeff"},
         {"id":2,"price":"-2.00","tag":"00112233-4455-6677-8899-aabbccddeefe","shelf":"b"}]
        """

    /// What a row is given as under the new dictionary, and whether its key is taken by a row that
    /// the old one judged.
    struct Case: Sendable {
        let name: String
        let after: String
        let row: String
        let isTaken: Bool
    }

    private static let wide = """
          - {name: id, type: number}
          - {name: price, type: "decimal(9,4)"}
          - {name: tag, type: string}
          - {name: shelf, type: string, default: a}
          - {name: kind, type: string, default: old}
        """
    private static func row(
        id: String = "9", price: String = "9", tag: String = "t", shelf: String = "z",
        kind: String = "k"
    ) -> String {
        #"{"id":\#(id),"price":\#(price),"tag":"\#(tag)","shelf":"\#(shelf)","kind":"\#(kind)"}"#
    }
    private static let tag = "00112233-4455-6677-8899-aabbccddeeff"

    private static let cases = [
        Case(
            name: "an integer that is a number now", after: goods(wide, key: "[id]"),
            row: row(id: "1"), isTaken: true),
        Case(
            name: "a number that is none of the integers", after: goods(wide, key: "[id]"),
            row: row(id: "1.5"), isTaken: false),
        Case(
            name: "a decimal with more digits",
            after: goods(wide, key: "[id]", unique: "[[price]]"),
            row: row(price: "1.5"), isTaken: true),
        Case(
            name: "a negative one", after: goods(wide, key: "[id]", unique: "[[price]]"),
            row: row(price: "-2.0000"), isTaken: true),
        Case(
            name: "a decimal that is another", after: goods(wide, key: "[id]", unique: "[[price]]"),
            row: row(price: "150"), isTaken: false),
        Case(
            name: "a UUID that is text now", after: goods(wide, key: "[tag]"),
            row: row(tag: tag), isTaken: true),
        Case(
            name: "a default that stands for a null", after: goods(wide, key: "[shelf]"),
            row: row(shelf: "a"), isTaken: true),
        Case(
            name: "a default in a new column",
            after: goods(wide, key: "[id, kind]", unique: "[[shelf, kind]]"),
            row: row(shelf: "b", kind: "old"), isTaken: true),
        Case(
            name: "a new column with another value",
            after: goods(wide, key: "[id, kind]", unique: "[[shelf, kind]]"),
            row: row(shelf: "b", kind: "new"), isTaken: false),
        Case(
            name: "several columns in another order", after: goods(wide, key: "[shelf, price, id]"),
            row: row(id: "2", price: "-2", shelf: "b"), isTaken: true),
    ]

    @Test(
        "Rows that an older dictionary judged have the keys that this one would give them",
        arguments: cases.indices, [false, true])
    func keys(_ index: Int, hasSnapshot: Bool) async throws {
        let example = Self.cases[index]
        let old = try Bench(Self.before)
        #expect(try await old.append("goods", Self.rows).acceptedCount == 2)
        old.close()
        let folder = hasSnapshot ? old.folder : old.folder + "-new"
        let new = try Bench(example.after, log: old.log, folder: folder)
        let receipt = try await new.append("goods", "[\(example.row)]")
        #expect(receipt.acceptedCount == (example.isTaken ? 0 : 1), "\(example.name)")
        #expect(
            receipt.rejected.flatMap(\.rejection.reasons).allSatisfy { $0.code == "duplicate_key" })
    }

    @Test("Another default gives rows that lack the column another key, from the whole log")
    func changedDefault() async throws {
        func dictionary(_ kind: String) -> String {
            Self.goods(
                "  - {name: id, type: integer}\n  - {name: kind, type: string, default: \(kind)}",
                key: "[id, kind]")
        }
        let old = try Bench(Self.goods("  - {name: id, type: integer}", key: "[id]"))
        try await old.append("goods", #"[{"id":1}]"#)
        old.close()
        let first = try Bench(dictionary("a"), log: old.log, folder: old.folder)
        #expect(try await first.append("goods", #"{"id":1,"kind":"a"}"#).acceptedCount == 0)
        first.close()
        let second = try Bench(dictionary("b"), log: old.log, folder: old.folder)
        #expect(try await second.append("goods", #"{"id":1,"kind":"b"}"#).acceptedCount == 0)
        #expect(try await second.append("goods", #"{"id":1,"kind":"a"}"#).acceptedCount == 1)
    }

    @Test("A reference to a key of another type than before finds the rows of then")
    func references() async throws {
        let old = try Bench(Self.before)
        try await old.append("goods", Self.rows)
        old.close()
        let sales = """

            ---
            table: sales
            key: []
            columns:
              - {name: tag, type: string, references: goods}
            """
        let new = try Bench(
            Self.goods(Self.wide, key: "[tag]") + sales, log: old.log, folder: old.folder)
        let receipt = try await new.append("sales", #"[{"tag":"\#(Self.tag)"},{"tag":"x"}]"#)
        #expect(receipt.brief == ["1 unknown_reference(tag)"])
    }

    // MARK: A key that rows in the log share

    private func fit(_ text: String, over log: MemoryLog) throws -> DictionaryFit {
        let records = log.allBlocks.map(\.schema).reduce(into: [AvroSchema.Record]()) { all, one in
            all += one.records.filter { !all.contains($0) }
        }
        // Every block may begin a segment: what is no dictionary is passed over.
        return try DictionaryFit(
            of: CatalogLoader.load(text: text), over: log, writtenRecords: records,
            segmentStarts: log.allBlocks.map(\.firstPosition))
    }

    @Test("A new key that rows of the log share is refused, with the values and the positions")
    func sharedKey() async throws {
        let bench = try Bench(Self.before)
        try await bench.append("goods", Self.rows)
        try await bench.append(
            "goods", #"[{"id":3,"price":"1.5","tag":"\#(Self.tag)"},{"id":1,"price":1}]"#)
        bench.close()
        let columns = String(Self.before.split(separator: "columns:\n")[1])
        let kept = try fit(Self.goods(columns, key: "[id]"), over: bench.log)
        #expect(kept.isGood && kept.inForce?.version == bench.catalog.version)
        let narrower = try fit(Self.goods(columns, key: "[price, tag]"), over: bench.log)
        #expect(
            narrower.reasons == [
                "goods: [price, tag] is to be unique, and 1 row of the log has the values of an "
                    + "earlier one: (1.50, \(Self.tag)) at positions 2 and 4; leave the rule out, "
                    + "or name columns that tell these rows apart"
            ])
        let shelf = try fit(Self.goods(columns, key: "[id]", unique: "[[shelf]]"), over: bench.log)
        #expect(shelf.isGood, "nulls do not share")
        let wider = try fit(Self.goods(columns, key: "[tag, id]"), over: bench.log)
        #expect(wider.isGood)
    }

    @Test("Shared keys are found and counted however few keys may be held at a time")
    func partitions() {
        var random = SeededGenerator()
        for _ in 0..<200 {
            let entries = (0..<Int.random(in: 0..<300, using: &random)).map { index in
                PartitionedKeys.Entry(
                    key: Fingerprint(
                        high: UInt64.random(in: 0..<64, using: &random) &* 0x9E37_79B9_7F4A_7C15,
                        low: UInt64.random(in: 0..<3, using: &random)),
                    position: Position(index))
            }
            var seen: [Fingerprint: Position] = [:]
            var expected = 0
            for entry in entries {
                if seen[entry.key] != nil {
                    expected += 1
                } else {
                    seen[entry.key] = entry.position
                }
            }
            var search = PartitionedKeys(keyCountMax: Int.random(in: 20..<400, using: &random))
            while search.needsPass {
                for entry in entries { search.add(entry) }
                search.endPass()
            }
            #expect(search.sharedCount == expected, "seed \(random.seed)")
            #expect(search.pairs.isEmpty == (expected == 0))
            for pair in search.pairs {
                #expect(seen[entries[Int(pair.second)].key] == pair.first, "seed \(random.seed)")
            }
        }
    }
}
