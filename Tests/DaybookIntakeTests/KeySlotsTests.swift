import Avro
import DaybookCatalog
import Testing

@testable import DaybookIntake

@Suite("Keys of rows")
struct KeySlotsTests {
    private func payment(_ fields: String) -> String {
        #"{"amount":1,"booked":"2021-11-07",\#(fields)}"#
    }

    private func judge(_ table: String, _ rows: [String]) throws -> JudgedBatch {
        try makeJudge(table).judgeJSON(Bytes(Array("[\(rows.joined(separator: ","))]".utf8)))
    }

    @Test("An integer key is its value; a reference has the value that it refers to")
    func integers() throws {
        let at = #""name":"A B","at":"2021-11-07T02:48:42Z""#
        let batch = try judge(
            "hires",
            [
                #"{"id":-5,"job":9223372036854775807,\#(at)}"#, #"{"id":"x","job":7,\#(at)}"#,
                #"{"id":5,\#(at)}"#, "7",
            ])
        #expect(Array(batch.slots(0)) == [.integer(-5), .integer(.max)])
        #expect(Array(batch.slots(1)) == [.absent, .integer(7)])
        #expect(Array(batch.slots(2)) == [.integer(5), .absent])
        #expect(Array(batch.slots(3)) == [.absent, .absent])
    }

    @Test("Other keys are fingerprints: equal for equal values, however they were written")
    func fingerprints() throws {
        let uuid = "0190a3c4-7d2e-7b3f-8a41-9f0e1d2c3b4a"
        let batch = try judge(
            "payments",
            [
                payment(#""bank":"AB","number":1,"reference":"\#(uuid)""#),
                payment(#""number":1,"bank":"\u0041B","reference":"\#(uuid.uppercased())""#),
                payment(#""bank":"A","number":1"#),
                payment(#""bank":"AB","number":2,"reference":null"#),
                payment(#""number":2,"reference":"x""#),
            ])
        let slots = (0..<5).map { Array(batch.slots($0)) }
        #expect(slots[0] == slots[1])
        #expect(slots.prefix(4).allSatisfy { $0[0].kind == .fingerprint })
        #expect(Set(slots.map { $0[0] }).count == 4)
        #expect(slots[2][1] == .absent && slots[3][1] == .absent)
        #expect(slots[4] == [.absent, .absent])
        #expect(slots[0][1].kind == .fingerprint && slots[0][1] != slots[0][0])
    }

    @Test("A fingerprint depends on the ledger's key and on the constraint's name")
    func domains() throws {
        let bytes = Array("value".utf8)
        let other = FingerprintKey(bytes: Array(1...16))
        bytes.withUnsafeBytes { value in
            let slot = testKey.fingerprint(of: value, domain: "a")
            #expect(slot == testKey.fingerprint(of: value, domain: "a"))
            #expect(slot != testKey.fingerprint(of: value, domain: "b"))
            #expect(slot != other.fingerprint(of: value, domain: "a"))
        }
    }

    @Test("Replay computes the same slots from the rows' bytes as the door did")
    func replay() throws {
        let rows = (0..<200).map { index in
            let reference =
                index % 3 == 0 ? "null" : "\"0190a3c4-7d2e-7b3f-8a41-\(100_000_000_000 + index)\""
            let due = index % 5 == 0 ? "\"2022-01-01\"" : "null"
            return payment(
                #""bank":"B\#(index % 7)","number":\#(index - 100),"#
                    + #""reference":\#(reference),"due":\#(due)"#
            )
        }
        let batch = try judge("payments", rows)
        let slots = try makeJudge("payments").slots
        var replayed = ContiguousArray<KeySlot>()
        try batch.encoded.withUnsafeBytes { bytes in
            var cursor = ByteCursor(bytes)
            while !cursor.isAtEnd {
                #expect(try cursor.readLong() == Int64(batch.table.index))
                try slots.extract(&cursor, into: &replayed)
            }
        }
        #expect(batch.rows.allSatisfy { $0.isCandidate })
        #expect(replayed == batch.slots)
    }

    @Test("A row cut anywhere is an error, not a wrong key")
    func truncated() throws {
        let batch = try judge("payments", [payment(#""bank":"B","number":7"#)])
        let row = batch.encodedBytes(0)
        let slots = try makeJudge("payments").slots
        for count in row.indices {
            var replayed = ContiguousArray<KeySlot>()
            #expect(throws: AvroDecodingError.self) {
                try row.prefix(count).withUnsafeBytes { bytes in
                    var cursor = ByteCursor(bytes)
                    try slots.extract(&cursor, into: &replayed)
                }
            }
        }
    }
}
