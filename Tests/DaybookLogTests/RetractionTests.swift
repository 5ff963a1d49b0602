import Avro
import TestSupport
import Testing

@testable import DaybookLog

@Suite("Retractions in the log")
struct RetractionTests {
    private static let end: Position = 60

    private func range(_ random: inout SeededGenerator) -> Range<Position> {
        let from = Position.random(in: 0..<Self.end, using: &random)
        return from..<min(Self.end, from + Position.random(in: 0...6, using: &random))
    }

    @Test("Retracted rows are the set that they should be")
    func model() {
        var random = SeededGenerator()
        for _ in 0..<400 {
            var rows = RetractedRows()
            var model = Set<Position>()
            for _ in 0..<Int.random(in: 0..<8, using: &random) {
                let ranges = (0..<Int.random(in: 0..<4, using: &random)).map { _ in range(&random) }
                rows.add(ranges)
                model.formUnion(ranges.joined())
                #expect(rows.isEmpty == model.isEmpty, "seed \(random.seed)")
                #expect(
                    zip(rows.spans, rows.spans.dropFirst()).allSatisfy {
                        $0.upperBound < $1.lowerBound
                    } && rows.spans.allSatisfy { !$0.isEmpty }, "seed \(random.seed)")
                #expect(Set(rows.spans.joined()) == model, "seed \(random.seed)")
            }
            for position in -1...Self.end {
                #expect(rows.contains(position) == model.contains(position), "seed \(random.seed)")
            }
            for _ in 0..<40 {
                let asked = range(&random)
                #expect(
                    rows.intersects(asked) == asked.contains { model.contains($0) },
                    "seed \(random.seed), \(asked)")
                let parts = rows.remainder(of: asked)
                #expect(
                    Array(parts.joined()) == asked.filter { !model.contains($0) },
                    "seed \(random.seed), \(asked)")
                #expect(parts.allSatisfy { !$0.isEmpty }, "seed \(random.seed), \(asked)")
            }
        }
    }

    private let retraction = Retraction(
        note: "line\n\"two\" ä / \u{1F980}", principal: "local:ann")

    @Test("The event's text is JSON, and reads as it was written")
    func text() throws {
        let control = retraction.control(of: [3..<5, 9..<10])
        #expect(control.kind == "retraction" && control.refersTo == [3..<5, 9..<10])
        #expect(
            String(decoding: control.text, as: UTF8.self)
                == #"{"by":"local:ann","note":"line\n\"two\" ä / 🦀"}"#)
        #expect(Retraction(text: control.text) == retraction)
        let plain = Retraction(text: Array(#"{"note":"n","more":[1]}"#.utf8))
        #expect(plain == Retraction(note: "n", principal: ""))
        for bad in ["", "[]", #"{"by":"a"}"#, #"{"note":5}"#, "{\"note\":\"\u{7f}"] {
            #expect(Retraction(text: Array(bad.utf8)) == nil, "\(bad)")
        }
    }

    /// A block at position 20 with batches of the ledger's own, or of `jobs` where nil stands.
    private func block(_ batches: [[Control]?]) throws -> DurableBlock {
        let sync = [UInt8](repeating: 7, count: 16)
        let schema = try Sample.schema()
        var builder = BlockBuilder(schema: schema)
        var position: Position = 20
        for (index, controls) in batches.enumerated() {
            let table = controls == nil ? "jobs" : ""
            let facts = Sample.facts(
                position: position, receivedAt: Microseconds(index + 5), table: table)
            if let controls {
                _ = builder.append(facts, rowCount: controls.count, rejectedCount: 0) { sink in
                    for one in controls { sink.append(control: one, branch: schema.controlBranch) }
                }
            } else {
                _ = Sample.append(jobs: 1, facts, to: &builder)
            }
            position += Position(controls?.count ?? 1)
        }
        let content = builder.finish(sync: sync).content
        var header = Sample.blockHeader
        header.firstPosition = 20
        header.eventCount = UInt32(position - 20)
        header.batchCount = UInt32(batches.count)
        header.firstReceivedAt = 5
        header.lastReceivedAt = Microseconds(batches.count + 4)
        return try DurableBlock(
            header: header, schema: schema,
            content: Bytes(content.bytes.array(in: content.start..<content.bytes.count)),
            sync: sync)
    }

    @Test("A block is a retraction if one stands alone in it")
    func blocks() throws {
        let own = retraction.control(of: [3..<5, 9..<20])
        let found = try #require(try block([[own]]).retraction())
        #expect(found.position == 20 && found.receivedAt == 5 && found.spans == [3..<5, 9..<20])
        #expect(found.retraction == retraction)
        let note = Control(kind: "note", refersTo: [3..<5], text: own.text)
        for other in [[[note]], [nil], [[own, own]], [[own], nil], [nil, [own]]] {
            #expect(try block(other).retraction() == nil, "\(other)")
        }
    }

    @Test(
        "A retraction that does not read, or whose ranges are out of order, is corruption",
        arguments: [[], [5..<5], [9..<10, 3..<5], [3..<5, 5..<6], [3..<21]])
    func corrupt(_ spans: [Range<Position>]) throws {
        let text = retraction.control(of: [1..<2]).text
        let bad = Control(kind: Retraction.kind, refersTo: spans, text: text)
        #expect(throws: LogError.self) { try block([[bad]]).retraction() }
        let noText = Control(kind: Retraction.kind, refersTo: [3..<5], text: [])
        #expect(throws: LogError.self) { try block([[noText]]).retraction() }
    }
}
