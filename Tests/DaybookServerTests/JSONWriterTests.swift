import Foundation
import TestSupport
import Testing

@testable import DaybookServer

@Suite("JSON text")
struct JSONWriterTests {
    private func written(_ body: (inout JSONWriter) -> Void) -> Data {
        var json = JSONWriter(capacity: 32)
        body(&json)
        return Data(json.unsafeBytes)
    }

    @Test("Every string comes back from another parser as it was")
    func strings() throws {
        var generator = SeededGenerator()
        var texts = (0...0x2000).compactMap { UnicodeScalar($0).map { "a\($0)b" } }
        texts += ["", "\"", "\\", "/", "\u{7F}", "\u{2028}", "🐘", "e\u{301}"]
        texts += ["\0\u{1}\r\n\t\u{8}\u{C}"]
        for _ in 0..<500 {
            var text = ""
            for _ in 0..<Int.random(in: 0..<40, using: &generator) {
                guard let scalar = UnicodeScalar(UInt32.random(in: 0..<0x300, using: &generator))
                else { continue }
                text.unicodeScalars.append(scalar)
            }
            texts.append(text)
        }
        for text in texts {
            let data = written { $0.string(text) }
            let parsed = try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed)
            let read = try #require(parsed as? String)
            #expect(Array(read.utf8) == Array(text.utf8), "seed \(generator.seed)")
        }
    }

    @Test("Objects and arrays in each other have their commas and no more")
    func nesting() throws {
        let data = written { json in
            json.openObject()
            json.field("a", 1)
            json.key("b")
            json.openArray()
            json.openObject()
            json.closeObject()
            json.openArray()
            json.closeArray()
            json.null()
            json.boolean(true)
            json.number(0.1)
            json.raw(" {\"x\": 1 }")
            json.closeArray()
            json.field("c", nil as String?)
            json.key("d")
            json.time(1_636_253_322_000_000)
            json.closeObject()
        }
        #expect(
            String(decoding: data, as: UTF8.self)
                == #"{"a":1,"b":[{},[],null,true,0.1, {"x": 1 }],"c":null,"#
                + #""d":"2021-11-07T02:48:42Z"}"#)
        _ = try JSONSerialization.jsonObject(with: data)
    }

    @Test("Integers and numbers come back from another parser as they were")
    func numbers() throws {
        for value in [Int64.min, -1, 0, 1, .max] {
            let data = written { $0.integer(value) }
            #expect(try JSONDecoder().decode(Int64.self, from: data) == value)
        }
        for value in [0.1, -0.0, 1e300, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1.0] {
            let data = written { $0.number(value) }
            #expect(try JSONDecoder().decode(Double.self, from: data) == value)
        }
        #expect(written { $0.number(.nan) } == Data("null".utf8))
    }
}

@Suite("JSON syntax")
struct JSONSyntaxTests {
    private func isValue(_ text: String) -> Bool { isValue(Array(text.utf8)) }

    private func isValue(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { JSONSyntax.isValue($0) }
    }

    @Test(
        "What is JSON may be spliced",
        arguments: [
            "0", "-0", "1.5e+10", "1E-2", "true", "false", "null", #""""#, #""\u00e9\n\"""#, "[]",
            "{}", "[1 , 2]", #" {"a" : [ {} , "é" ] , "b":null} "#, #"{"a":1,"a":2}"#,
        ])
    func valid(text: String) {
        #expect(isValue(text))
    }

    @Test(
        "What is nearly JSON may not",
        arguments: [
            "", " ", "01", "-", "+1", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "tru", "truee",
            "'a'", #"""#, #""\x""#, #""\u12g4""#, #""\u12"#, "\"\n\"", "[", "]", "[1,]", "[,1]",
            "[1 2]", "{", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{a:1}", "1 2", "{} {}", "1,",
            "\u{FEFF}1", "[1]x", "\u{0}", "[1\u{0}]",
        ])
    func invalid(text: String) {
        #expect(!isValue(text))
    }

    @Test("Bytes that are no UTF-8, and brackets without end, are no JSON")
    func hostile() {
        #expect(!isValue([0x22, 0xFF, 0x22]))
        #expect(!isValue([0x22, 0xC3, 0x22]))
        #expect(!isValue([0x22, 0xED, 0xA0, 0x80, 0x22]), "a lone surrogate")
        #expect(!isValue(String(repeating: "[", count: 1_000_000)))
        let deep = 100_000
        #expect(
            !isValue(String(repeating: "[", count: deep) + String(repeating: "]", count: deep)))
    }

    @Test("Another parser takes and refuses the same texts")
    func random() {
        var generator = SeededGenerator()
        let parts = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "1", "-", ".5", "e0", "null", " ", "\\", "\"",
            "true", "0",
        ]
        var agreedCount = 0
        for _ in 0..<20_000 {
            let text = (0..<Int.random(in: 1..<9, using: &generator))
                .map { _ in parts.randomElement(using: &generator) ?? "" }.joined()
            // The other parser refuses numbers that no double holds; they are JSON all the same.
            // It takes a comma before a closing bracket, which JSON does not have.
            if text.contains(/e0\d{3}/) || text.contains(/, *[\]}]/) { continue }
            let oracle = try? JSONSerialization.jsonObject(
                with: Data(text.utf8), options: .fragmentsAllowed)
            #expect(isValue(text) == (oracle != nil), "\(text), seed \(generator.seed)")
            if oracle != nil { agreedCount += 1 }
        }
        #expect(agreedCount > 100, "random texts are sometimes JSON; seed \(generator.seed)")
    }
}
