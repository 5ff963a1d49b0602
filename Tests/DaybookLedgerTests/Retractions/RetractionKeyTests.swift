import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Keys of retracted rows that share a fingerprint")
struct RetractionKeyTests {
    /// Keys by position, as the log would give them.
    private struct Keys: KeyReader {
        let keys: [Position: [UInt8]]
        mutating func key(of constraint: KeyConstraint, at position: Position) -> [UInt8]? {
            keys[position]
        }
    }

    /// A table of texts, all of which have one fingerprint.
    private final class Codes {
        let table: Table
        let constraints: [KeyConstraint]
        let rules: TableRules
        let slot = KeySlot(kind: .fingerprint, low: .max - 1, high: 9)
        var keys: KeyState
        var stored: [Position: [UInt8]] = [:]
        var end: Position = 0

        init() throws {
            let catalog = try CatalogLoader.load(
                text: "table: codes\nkey: [code]\ncolumns:\n  - {name: code, type: string}")
            table = catalog.tables[0]
            constraints = catalog.constraints
            rules = TableRules(
                table, shape: try LogSchema(recordSchemas: [table.avroSchema]).tables[0],
                constraints: catalog.constraints)
            keys = KeyState(constraints: catalog.constraints)
        }

        /// Appends a row; its position, or nil if its key is taken.
        func append(_ code: String) -> Position? {
            var sink = ByteSink()
            sink.append(string: code)
            let encoded = sink.finish()
            let row = JudgedRow(
                originalStart: 0, originalCount: 0, encodedStart: 0,
                encodedCount: UInt32(encoded.count), reasonsStart: 0, reasonsCount: 0, lineSkip: 0)
            let batch = JudgedBatch(
                table: table, format: .json, original: Bytes([]), rows: [row], encoded: encoded,
                reasons: [], slots: [slot])
            stored[end] = encoded.array(in: 0..<encoded.count)
            var judgement = RowJudgement(
                batch, table: rules, position: end, reader: Keys(keys: stored))
            judgement.run(&keys)
            end += 1
            keys.commit()
            return judgement.faults.isEmpty ? end - 1 : nil
        }

        func retract(_ position: Position) {
            keys.free(ExtractedKey(set: 0, slot: slot, position: position))
            keys.retract([position..<position + 1])
        }
    }

    @Test("The first of a chain is freed: the second is still found, and the first free again")
    func chain() throws {
        let codes = try Codes()
        let a = try #require(codes.append("a"))
        let b = try #require(codes.append("b"))
        codes.retract(a)
        #expect(codes.append("b") == nil)
        let again = try #require(codes.append("a"))
        #expect(codes.append("a") == nil && codes.append("b") == nil)
        codes.retract(b)
        codes.retract(again)
        #expect(codes.append("c") != nil && codes.append("a") != nil && codes.append("b") != nil)
        #expect(["a", "b", "c"].allSatisfy { codes.append($0) == nil })
    }

    @Test("Keys come and go at random, grow old and go, as in a model")
    func model() throws {
        var random = SeededGenerator()
        for _ in 0..<60 {
            let codes = try Codes()
            var holders: [String: Position] = [:]
            for _ in 0..<80 {
                let code = "\(Int.random(in: 0..<4, using: &random))"
                if let holder = holders[code], Bool.random(using: &random) {
                    codes.retract(holder)
                    holders[code] = nil
                } else {
                    let position = codes.append(code)
                    #expect((position == nil) == (holders[code] != nil), "seed \(random.seed)")
                    holders[code] = holders[code] ?? position
                }
                if Int.random(in: 0..<9, using: &random) == 0 { codes.keys.undoAll() }
            }
        }
    }

    /// Sets of keys by number as the store has them, with the places between filled too.
    private func chain(
        from start: Fingerprint, _ look: (Fingerprint) -> Position?
    ) -> [Position] {
        var found: [Position] = []
        var place = start
        while let position = look(place) {
            found.append(position)
            place = place.next
        }
        return found
    }

    private typealias Change = (key: ExtractedKey, isFree: Bool)

    private func write(_ changes: [Change], to store: KeyStore) throws {
        try store.write { (writer) throws(KeyStoreFault) in
            for (key, isFree) in changes {
                let place = Fingerprint(key.slot)
                if isFree {
                    try writer.free(place, position: key.position, number: 0)
                } else {
                    try writer.put(place, position: key.position, number: 0)
                }
            }
        }
    }

    @Test("Memory over a store, in generations, has the chains of memory alone; so has the store")
    func generations() throws {
        var random = SeededGenerator()
        let catalog = try CatalogLoader.load(
            text: "table: codes\nkey: [code]\ncolumns:\n  - {name: code, type: string}")
        let slots = (0..<3).map { KeySlot(kind: .fingerprint, low: .max - 2, high: $0) }
        let folder = try TemporaryFolder()
        for round in 0..<8 {
            let store = try KeyStore(folder: folder.path("keys\(round)"))
            defer { store.close() }
            let view = try store.view()
            defer { view.close() }
            var alone = KeyState(constraints: catalog.constraints)
            var layered = KeyState(constraints: catalog.constraints, base: view)
            var standing: [ExtractedKey] = []
            var young: [Change] = []
            var old = young
            func check(_ step: Int) throws {
                let fresh = try store.view()
                defer { fresh.close() }
                for slot in slots {
                    let start = Fingerprint(slot)
                    let expected = chain(from: start) { alone.position(of: $0, in: 0) }
                    let found = chain(from: start) { layered.position(of: $0, in: 0) }
                    #expect(found == expected, "seed \(random.seed), step \(step)")
                    guard young.isEmpty, old.isEmpty else { continue }
                    #expect(
                        chain(from: start) { fresh.position(of: $0, set: 0) } == expected,
                        "seed \(random.seed), step \(step)")
                }
            }
            func age() throws {
                try write(old, to: store)
                try view.renew()
                layered.dropOld()
                layered.rotate()
                (old, young) = (young, [])
            }
            for step in 0..<120 {
                switch Int.random(in: 0..<8, using: &random) {
                case 0:
                    try age()
                case 1, 2:
                    guard let place = standing.indices.randomElement(using: &random) else { break }
                    let key = standing.remove(at: place)
                    alone.free(key)
                    layered.free(key)
                    // A key that is freed a second time is free already.
                    alone.free(key)
                    layered.free(key)
                    young.append((key, true))
                default:
                    let slot = slots[Int.random(in: 0..<3, using: &random)]
                    let key = ExtractedKey(set: 0, slot: slot, position: Position(step))
                    alone.restore(key)
                    layered.restore(key)
                    standing.append(key)
                    young.append((key, false))
                }
                try check(step)
            }
            for _ in 0..<2 {
                try age()
            }
            try check(.max)
        }
    }
}
