import Avro
import Testing

@testable import DaybookIntake

@Suite("Bodies as batches")
struct BatchTests {
    @Test(
        "A body that is no batch is one malformed_batch with its own bytes",
        arguments: [
            "", " \n", "[]", " [ ] ", "nothing", "3", "\"text\"", "null", "[", "]", "{", "[{}",
            "[{]",
            "[{},]", "[,{}]", "[{}{}]", "[{}] x", "{} {}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
            "{a:1}", "{'a':1}", "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":-}", "{\"a\":+1}",
            "{\"a\":1e}", "{\"a\":nul}", "{\"a\":nulll}", "{\"a\":True}", "{\"a\":NaN}",
            "{\"a\":1 2}", "{\"a\":\"b\"c}", "{\"a\":1\"b\"}", "{\"a\":\"b}", "{\"a\":\"b\n\"}",
            "{\"a\":\"\u{1}\"}", "{\"a\":[1,]}", "{\"a\":[}]}", "{\"a\":{\"b\":1]}",
            "{\"a\":[1 2]}",
            "{\"a\":{\"b\"}}", "{\"a\":1}}", "[[{}]", "\u{feff}[{}]", "{\"a\":1,,\"b\":2}",
            "{\"a\":\u{1}}", "{\"a\":1\u{0}}", "{\"a\"::1}", "{,}", "[{\"a\":\"\\\"}]", "[{}]\u{0}",
            "{}\u{0}", "[]\u{0}",
        ])
    func malformed(body: String) throws {
        let batch = try makeJudge("readings").judgeJSON(Bytes(Array(body.utf8)))
        #expect(batch.rows.count == 1)
        #expect(batch.codes(0) == ["malformed_batch"])
        #expect(batch.malformedByteCount == body.utf8.count)
        #expect(batch.originalBytes(0) == Array(body.utf8))
    }

    @Test("Text that is not UTF-8 is no batch", arguments: [[0xFF], [0xC3], [0xED, 0xA0, 0x80]])
    func notUTF8(bytes: [UInt8]) throws {
        let body = Array("{\"note\":\"a".utf8) + bytes + Array("\"}".utf8)
        let batch = try makeJudge("readings").judgeJSON(Bytes(body))
        #expect(batch.codes(0) == ["malformed_batch"])
        #expect(batch.originalBytes(0) == body)
    }

    @Test("Only the start of a long malformed body is kept, and its length")
    func longBody() throws {
        let body = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        let batch = try makeJudge("readings").judgeJSON(Bytes(body))
        #expect(batch.codes(0) == ["malformed_batch"])
        #expect(batch.original.count == 64 << 10)
        #expect(batch.malformedByteCount == 1_000_000)
    }

    @Test("Values may be nested 512 deep and not deeper")
    func depth() throws {
        func nested(_ depth: Int) -> Bytes {
            let open = String(repeating: "[", count: depth)
            let close = String(repeating: "]", count: depth)
            return Bytes(Array("{\"other\":\(open)\(close)}".utf8))
        }
        let judge = try makeJudge("readings")
        #expect(judge.judgeJSON(nested(512)).codes(0) == [])
        #expect(judge.judgeJSON(nested(513)).codes(0) == ["malformed_batch"])
    }

    @Test("A batch has at most 1000 rows")
    func rowLimit() throws {
        let judge = try makeJudge("readings")
        let rows = { (count: Int) in
            [UInt8]("[\(Array(repeating: "{}", count: count).joined(separator: ","))]".utf8)
        }
        #expect(judge.judgeJSON(Bytes(rows(1_000))).rows.count == 1_000)
        #expect(judge.judgeJSON(Bytes(rows(1_001))).codes(0) == ["malformed_batch"])
        let lines = String(repeating: "{}\n", count: 1_001)
        #expect(judge.judgeNDJSON(Bytes(Array(lines.utf8))).codes(0) == ["malformed_batch"])
        let csv = String(repeating: "a,b,c\n", count: 1_001)
        let batch = try judge.judgeCSV(Bytes(Array(csv.utf8)), header: .absent)
        #expect(batch.codes(0) == ["malformed_batch"])
        #expect(batch.malformedByteCount == csv.utf8.count)
    }

    @Test("A line that is not JSON is a malformed row, and spoils no other line")
    func lines() throws {
        let body =
            "\n{\"note\":\"a\"}\r\n\n  \n{\"note\":\"b}\n"
            + "{\"note\":\n\"c\"}\n[]\n{} \u{0}\n{\"note\":\"d\"}"
        let batch = try makeJudge("readings").judgeNDJSON(Bytes(Array(body.utf8)))
        #expect(
            batch.rows.indices.map(batch.originalText) == [
                "{\"note\":\"a\"}", "{\"note\":\"b}", "{\"note\":", "\"c\"}", "[]", "{} \u{0}",
                "{\"note\":\"d\"}",
            ])
        let bad = ["malformed_row"]
        #expect(batch.rows.indices.map(batch.codes) == [[], bad, bad, bad, bad, bad, []])
        #expect(batch.rows.map(\.lineSkip) == [1, 2, 0, 0, 0, 0, 0])
        // The same without the open quote, which makes the parser go line by line.
        let closed = body.replacing("b}", with: "b\"}")
        let again = try makeJudge("readings").judgeNDJSON(Bytes(Array(closed.utf8)))
        #expect(again.rows.indices.map(again.codes) == [[], [], bad, bad, bad, bad, []])
        #expect(again.rows.map(\.lineSkip) == [1, 2, 0, 0, 0, 0, 0])
        let empty = try makeJudge("readings").judgeNDJSON(Bytes(Array("\n \n".utf8)))
        #expect(empty.codes(0) == ["malformed_batch"])
    }
}
