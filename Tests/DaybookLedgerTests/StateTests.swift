import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Machines and sets")
struct StateTests {
    @Test("A set of integers is the set that it should be, and survives being written")
    func integerSet() {
        var random = SeededGenerator()
        let set = IntegerSet()
        var model = Set<UInt64>()
        for _ in 0..<20_000 {
            var value = UInt64.random(in: 0..<5_000, using: &random)
            if Bool.random(using: &random) { value &+= .max - 2_500 }
            if Bool.random(using: &random) { value = value << 31 }
            if Int.random(in: 0..<3, using: &random) == 0 {
                #expect(set.remove(value) == (model.remove(value) != nil), "seed \(random.seed)")
            } else {
                #expect(set.insert(value) == model.insert(value).inserted, "seed \(random.seed)")
            }
        }
        #expect(set.count == model.count)
        let bytes = set.serialize()
        guard let read = bytes.withUnsafeBytes({ IntegerSet($0) }) else {
            Issue.record("a set reads as it was written, seed \(random.seed)")
            return
        }
        #expect(read.count == model.count && model.allSatisfy { read.contains($0) })
        for count in stride(from: 0, to: bytes.count, by: 97) {
            #expect(bytes.withUnsafeBytes(in: 0..<count) { IntegerSet($0) } == nil)
        }
    }

    /// Keys by position, as the log would give them.
    private struct Keys: KeyReader {
        let keys: [Position: [UInt8]]
        mutating func key(of constraint: KeyConstraint, at position: Position) -> [UInt8]? {
            keys[position]
        }
    }

    @Test("Two keys with one fingerprint are two keys: the log tells them apart")
    func collision() throws {
        let text = """
            table: currencies
            key: [code]
            columns:
              - {name: code, type: string}
            """
        let catalog = try CatalogLoader.load(text: text)
        let schema = try LogSchema(recordSchemas: catalog.tables.map(\.avroSchema))
        let rules = TableRules(
            catalog.tables[0], shape: schema.tables[0], constraints: catalog.constraints)
        // Every value has the same slot.
        let slot = KeySlot(kind: .fingerprint, low: .max, high: 9)
        var keys = KeyState(constraints: catalog.constraints)
        var stored: [Position: [UInt8]] = [:]
        var verdicts: [Bool] = []
        for (position, code) in ["a", "b", "a", "c", "b", "c"].enumerated() {
            var sink = ByteSink()
            sink.append(long: 0)
            sink.append(string: code)
            let encoded = sink.finish()
            let row = JudgedRow(
                originalStart: 0, originalCount: 0, encodedStart: 1,
                encodedCount: UInt32(encoded.count - 1), reasonsStart: 0, reasonsCount: 0,
                lineSkip: 0)
            let batch = JudgedBatch(
                table: catalog.tables[0], format: .json, original: Bytes([]), rows: [row],
                encoded: encoded, reasons: [], slots: [slot])
            stored[Position(position)] = encoded.array(in: 1..<encoded.count)
            var judgement = RowJudgement(
                batch, table: rules, position: Position(position), reader: Keys(keys: stored))
            judgement.run(&keys)
            verdicts.append(judgement.faults.isEmpty)
        }
        #expect(verdicts == [true, true, false, true, false, false])
        keys.undoAll()
        #expect(keys.position(of: Fingerprint(slot), in: 0) == nil)
        #expect(keys.position(of: Fingerprint(slot).next, in: 0) == nil)
    }

    @Test("The queue is in order, bounded, and empties before it ends")
    func queue() {
        var queue = SubmissionQueue<Int>(byteLimit: 100)
        #expect(queue.take() == nil)
        #expect(queue.offer(1, byteCount: 500) == nil, "an empty queue takes anything")
        #expect(queue.offer(2, byteCount: 0) == .queueFull(retryAfterSeconds: 1))
        #expect(queue.takeWaiting() == [1])
        #expect(queue.offer(3, byteCount: 1) == .queueFull(retryAfterSeconds: 1))
        queue.answered(1, byteCount: 500)
        #expect(queue.offer(4, byteCount: 60) == nil && queue.offer(5, byteCount: 40) == nil)
        #expect(queue.offer(6, byteCount: 1) == .queueFull(retryAfterSeconds: 1))
        queue.close()
        #expect(queue.offer(7, byteCount: 0) == .closed)
        guard case .items(let items)? = queue.take(), case .end? = queue.take() else {
            Issue.record("what waits comes before the end")
            return
        }
        #expect(items == [4, 5])
        #expect(queue.fail().isEmpty && queue.state == .failed)
    }

    @Test("Keys grow old, are covered by a snapshot, and go")
    func generations() {
        var generations = KeyGenerations(position: 10, interval: 100)
        #expect(generations.step(position: 109, snapshotPosition: 10) == .none)
        #expect(generations.step(position: 110, snapshotPosition: 10) == .rotate(110))
        #expect(generations.step(position: 150, snapshotPosition: 10) == .none)
        #expect(generations.step(position: 215, snapshotPosition: 10) == .request(215))
        #expect(generations.step(position: 216, snapshotPosition: 109) == .none)
        #expect(generations.step(position: 217, snapshotPosition: 110) == .drop)
        #expect(generations.step(position: 314, snapshotPosition: 215) == .none)
        #expect(generations.step(position: 315, snapshotPosition: 215) == .rotate(315))
    }

    @Test("A batch's id carries its time, sorts as the batches do, and reads as it is written")
    func batchID() {
        var random = SeededGenerator()
        var last = ""
        for step in 0..<2_000 {
            let time = 1_700_000_000_000_000 + Microseconds(step * 5)
            let id = BatchID(receivedAt: time, random: random.next())
            #expect(id.receivedAt.contains(time) && id.receivedAt.count == 1000)
            #expect(id.text > last, "seed \(random.seed)")
            #expect(BatchID(id.text) == id && BatchID(id.text.uppercased()) == id)
            last = id.text
        }
        // RFC 9562, appendix A.6.
        let example = BatchID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")
        #expect(example?.receivedAt.lowerBound == 1_645_557_742_000_000)
        #expect(BatchID("919108f7-52d1-4320-9bac-f847db4148a8") == nil, "a UUIDv4")
    }

    @Test("A text is cut before a character, never within one")
    func cutting() {
        #expect(cut("äöü", to: 6) == "äöü")
        #expect(cut("äöü", to: 5) == "äö")
        #expect(cut("äöü", to: 1) == "")
        #expect(cut("a🙂", to: 4) == "a")
    }
}
