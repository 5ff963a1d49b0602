import Avro
import Foundation
import TestSupport
import Testing

@Suite("Canonical form")
struct CanonicalFormTests {
    @Test("Canonical forms and fingerprints are fastavro's, also after printing and parsing")
    func againstFastavro() throws {
        var texts = try [
            "\"int\"", #"{"type":"long"}"#, #"["null","string",{"type":"float"}]"#,
            #"{"type":"fixed","size":16,"name":"MD5","namespace":"a.b","aliases":["x"]}"#,
            #"{"symbols":["A","B"],"doc":"d","type":"enum","name":"x.y.E","default":"A"}"#,
            #"{"items":{"type":"map","values":"bytes"},"type":"array"}"#,
            #"""
            {"type":"record","name":"R","namespace":"n","doc":"x","aliases":["Q"],"fields":[
              {"name":"a","doc":"y","order":"ignore","default":null,"type":["null","R"]},
              {"name":"b","type":{"type":"fixed","name":"F","size":3}},
              {"name":"c","aliases":["k"],"type":{"type":"enum","name":"o.E","symbols":["X"]}},
              {"name":"d","type":["n.F","o.E",{"type":"int","logicalType":"date"}]}]}
            """#,
            Oracle.everythingText(),
        ]
        for seed in 0..<UInt64(50) {
            var source = RandomSchema(SeededGenerator(seed: seed))
            texts.append(source.schema(depth: 4).json)
        }
        let input = "[" + texts.joined(separator: ",") + "]"
        let answers = try Oracle.python(
            ["canonical"], input: Data(input.utf8), as: [[String]].self)
        #expect(answers.count == texts.count)
        for (text, answer) in zip(texts, answers) {
            let schema = try AvroSchema(json: text)
            #expect(schema.canonicalForm == answer[0])
            #expect(hexLittleEndian(schema.fingerprint) == answer[1])
            #expect(try AvroSchema(json: schema.json) == schema)
            #expect(try AvroSchema(json: schema.canonicalForm).fingerprint == schema.fingerprint)
        }
    }

    /// fastavro prints the fingerprint's bytes, the lowest first.
    private func hexLittleEndian(_ value: UInt64) -> String {
        withUnsafeBytes(of: value.littleEndian) { bytes in
            bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
    }
}
