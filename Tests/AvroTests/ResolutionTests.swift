import Avro
import Foundation
import TestSupport
import Testing

private func record(_ fields: String, _ name: String = "R", _ more: String = "") -> String {
    #"{"type":"record","name":"\#(name)",\#(more)"fields":[\#(fields)]}"#
}

private func field(_ name: String, _ type: String, _ more: String = "") -> String {
    #"{"name":"\#(name)","type":\#(type)\#(more)}"#
}

private let colours = #"{"type":"enum","name":"E","symbols":["A","B","C"]}"#
private let fixed = #"{"type":"fixed","name":"F","size":2}"#
private let list = record(
    field("v", "\"int\"") + "," + field("next", #"["null","R"]"#))
private let longList = record(
    field("next", #"["null","R"]"#) + "," + field("v", "\"double\"")
        + "," + field("w", "\"int\"", ",\"default\":9"))

/// One case a line: what was written, with which values, and what the reader wants.
private let cases: [(name: String, writer: String, reader: String, values: [AvroValue])] = [
    ("int to long", "\"int\"", "\"long\"", [.int(-5), .int(.max)]),
    ("int to float", "\"int\"", "\"float\"", [.int(-5), .int(16_777_216)]),
    ("int to double", "\"int\"", "\"double\"", [.int(.min)]),
    ("long to float", "\"long\"", "\"float\"", [.long(1 << 40)]),
    ("long to double", "\"long\"", "\"double\"", [.long(-(1 << 53))]),
    ("float to double", "\"float\"", "\"double\"", [.float(0.1)]),
    ("string to bytes", "\"string\"", "\"bytes\"", [.string("é")]),
    ("bytes to string", "\"bytes\"", "\"string\"", [.bytes([0x61, 0xC3, 0xA9])]),
    ("long to int", "\"long\"", "\"int\"", [.long(1)]),
    ("double to float", "\"double\"", "\"float\"", [.double(1)]),
    ("string to long", "\"string\"", "\"long\"", [.string("1")]),
    ("boolean to int", "\"boolean\"", "\"int\"", [.boolean(true)]),
    ("null to string", "\"null\"", "\"string\"", [.null]),
    (
        "items are promoted", #"{"type":"array","items":"int"}"#,
        #"{"type":"array","items":"double"}"#, [.array([.int(1), .int(2)])]
    ),
    (
        "map values are promoted", #"{"type":"map","values":"float"}"#,
        #"{"type":"map","values":"double"}"#, [.map([.init("k", .float(1.5))])]
    ),
    (
        "items that do not fit", #"{"type":"array","items":"string"}"#,
        #"{"type":"array","items":"int"}"#, [.array([.string("x")])]
    ),
    (
        "fields in another order", record(field("a", "\"int\"") + "," + field("b", "\"string\"")),
        record(field("b", "\"string\"") + "," + field("a", "\"long\"")),
        [.record([.int(1), .string("x")])]
    ),
    (
        "extra fields of every kind are skipped",
        record(
            [
                field("a", #"{"type":"array","items":["null",\#(fixed)]}"#),
                field("b", #"{"type":"map","values":"double"}"#), field("c", "\"long\""),
                field("d", colours), field("e", "\"boolean\""), field("f", "\"float\""),
                field("g", "F"), field("keep", "\"int\""), field("h", "\"bytes\""),
            ].joined(separator: ",").replacingOccurrences(of: ":F}", with: ":\"F\"}")),
        record(field("keep", "\"int\"")),
        [
            .record([
                .array([.union(1, .fixed([1, 2])), .union(0, .null)]),
                .map([.init("k", .double(1))]), .long(-99), .enumeration("B"), .boolean(true),
                .float(2), .fixed([3, 4]), .int(77), .bytes([9]),
            ])
        ]
    ),
    (
        "missing fields take defaults", record(field("a", "\"int\"")),
        record(
            [
                field("i", "\"int\"", ",\"default\":5"), field("a", "\"int\""),
                field("s", "\"string\"", ",\"default\":\"NO\""),
                field("u", "[\"null\",\"int\"]", ",\"default\":null"),
                field("d", "\"double\"", ",\"default\":1.25"),
                field("t", "\"boolean\"", ",\"default\":true"),
                field("l", #"{"type":"array","items":"long"}"#, ",\"default\":[1,2]"),
                field("m", #"{"type":"map","values":"string"}"#, ",\"default\":{\"k\":\"v\"}"),
                field("e", colours, ",\"default\":\"C\""),
                field("r", record(field("x", "\"int\""), "X"), ",\"default\":{\"x\":3}"),
            ].joined(separator: ",")),
        [.record([.int(1)])]
    ),
    (
        "a missing field without default", record(field("a", "\"int\"")),
        record(field("a", "\"int\"") + "," + field("b", "\"int\"")), [.record([.int(1)])]
    ),
    (
        "a field by its alias", record(field("old", "\"int\"")),
        record(field("new", "\"long\"", ",\"aliases\":[\"older\",\"old\"]")), [.record([.int(4)])]
    ),
    (
        "a record by its alias", record(field("a", "\"int\""), "Old"),
        record(field("a", "\"int\""), "New", "\"aliases\":[\"Old\"],"), [.record([.int(4)])]
    ),
    (
        "a record of another name", record(field("a", "\"int\""), "Old"),
        record(field("a", "\"int\""), "New"), [.record([.int(4)])]
    ),
    (
        "a record of another namespace", record(field("a", "\"int\""), "x.R"),
        record(field("a", "\"int\""), "y.R"), [.record([.int(4)])]
    ),
    ("a symbol both know", colours, colours, [.enumeration("C")]),
    (
        "a symbol at another place", colours,
        #"{"type":"enum","name":"E","symbols":["C","B"]}"#, [.enumeration("C"), .enumeration("B")]
    ),
    (
        "an unknown symbol becomes the default", colours,
        #"{"type":"enum","name":"E","symbols":["Z","A"],"default":"Z"}"#,
        [.enumeration("A"), .enumeration("B")]
    ),
    (
        "an unknown symbol without default", colours,
        #"{"type":"enum","name":"E","symbols":["A"]}"#, [.enumeration("B")]
    ),
    ("fixed of one size", fixed, fixed, [.fixed([1, 2])]),
    (
        "fixed of another size", fixed, #"{"type":"fixed","name":"F","size":3}"#, [.fixed([1, 2])]
    ),
    ("into a union", "\"int\"", #"["null","int"]"#, [.int(3)]),
    ("into a union by promotion", "\"int\"", #"["null","string","double"]"#, [.int(3)]),
    ("into a union that has no place", "\"int\"", #"["null","string"]"#, [.int(3)]),
    (
        "out of a union", #"["null","int","long"]"#, "\"long\"",
        [.union(1, .int(3)), .union(2, .long(4))]
    ),
    ("out of a union, the wrong branch", #"["null","int"]"#, "\"int\"", [.union(0, .null)]),
    (
        "from union to union", #"["null","int","string"]"#, #"["string","null","double"]"#,
        [.union(0, .null), .union(1, .int(3)), .union(2, .string("x"))]
    ),
    (
        "from union to union, a branch that has no place", #"["null","boolean"]"#,
        #"["null","int"]"#, [.union(1, .boolean(true))]
    ),
    (
        "records in unions go by name",
        "[\(record(field("a", "\"int\""), "A")),\(record(field("b", "\"int\""), "B"))]",
        "[\"null\",\(record(field("b", "\"long\""), "B")),\(record(field("a", "\"int\""), "A"))]",
        [.union(0, .record([.int(1)])), .union(1, .record([.int(2)]))]
    ),
    (
        "a recursive record", list, longList,
        [
            .record([
                .int(1),
                .union(1, .record([.int(2), .union(1, .record([.int(3), .union(0, .null)]))])),
            ])
        ]
    ),
]

@Suite("Schema resolution")
struct ResolutionTests {
    @Test("Every case resolves as fastavro resolves it, to values or to an error")
    func againstFastavro() throws {
        let folder = try TemporaryFolder()
        var questions: [[String: Any]] = []
        for (number, one) in cases.enumerated() {
            let file = try File.write(one.values, AvroSchema(json: one.writer))
            questions.append([
                "file": try File.save(file, as: "\(number).avro", in: folder),
                "reader": try JSONSerialization.jsonObject(
                    with: Data(one.reader.utf8), options: .fragmentsAllowed),
            ])
        }
        let answers = try Oracle.python(
            ["resolve"], input: JSONSerialization.data(withJSONObject: questions),
            as: [[String]?].self)
        #expect(answers.count == cases.count)
        for (one, answer) in zip(cases, answers) {
            let ours = try? Self.resolve(one.values, one.writer, one.reader)
            #expect(ours == answer, "\(one.name)")
        }
    }

    static func resolve(
        _ values: [AvroValue], _ writer: String, _ reader: String
    ) throws -> [String] {
        let schema = try AvroSchema(json: reader)
        let file = try File.write(values, AvroSchema(json: writer))
        let rendering = Rendering(definitions: schema.definitions)
        return try File.read(file, as: schema).values.map { try rendering.show($0, schema) }
    }

    @Test("What can never be resolved is told at once, with its place")
    func places() throws {
        func problem(_ writer: String, _ reader: String) throws -> AvroSchemaError? {
            let (writer, reader) = (try AvroSchema(json: writer), try AvroSchema(json: reader))
            do {
                _ = try ResolvingDecoder(writer: writer, reader: reader)
                return nil
            } catch { return error }
        }
        let items = #"{"type":"array","items":"#
        #expect(
            try problem(
                record(field("a", items + "\"string\"}")), record(field("a", items + "\"int\"}")))
                == .unresolvable(path: "R/a/items", .kind(writer: "string", reader: "int")))
        #expect(
            try problem(record(""), record(field("b", "\"int\"")))
                == .unresolvable(path: "R/b", .missingField("b")))
        #expect(
            try problem("\"boolean\"", #"["null","int"]"#)
                == .unresolvable(path: "", .noBranch(writer: "boolean")))
        #expect(
            try problem(fixed, #"{"type":"fixed","name":"F","size":3}"#)
                == .unresolvable(path: "F", .size(writer: 2, reader: 3)))
        #expect(
            try problem(fixed, #"{"type":"fixed","name":"G","size":2}"#)
                == .unresolvable(path: "G", .name(writer: "F", reader: "G")))
        let decimal = #"{"type":"bytes","logicalType":"decimal","precision":9,"scale":"#
        #expect(
            try problem(decimal + "2}", decimal + "3}")
                == .unresolvable(path: "", .kind(writer: "decimal(9,2)", reader: "decimal(9,3)")))
        #expect(try problem(decimal + "2}", decimal + "2}") == nil)
    }

    @Test("A record at the top may have any name where names at the root are ignored")
    func rootNames() throws {
        let writer = try AvroSchema(json: record(field("a", "\"int\""), "topLevelRecord"))
        let reader = try AvroSchema(json: record(field("a", "\"long\""), "jobs"))
        #expect(throws: AvroSchemaError.self) {
            try ResolvingDecoder(writer: writer, reader: reader)
        }
        let decoder = try ResolvingDecoder(
            writer: writer, reader: reader, ignoringRootNames: true)
        let bytes = try AvroEncoder(writer).encode(.record([.int(5)]))
        #expect(try decoder.decode(bytes) == .record([.long(5)]))
    }

    @Test("Defaults of bytes and fixed are code points, and a union's default any branch's")
    func defaults() throws {
        let writer = try AvroSchema(json: record(""))
        let reader = try AvroSchema(
            json: record(
                field("b", "\"bytes\"", #","default":"\u00ffA""#) + ","
                    + field("f", fixed, #","default":"\u0001\u00e9""#) + ","
                    + field("u", #"["null","string"]"#, #","default":"x""#)))
        let decoder = try ResolvingDecoder(writer: writer, reader: reader)
        #expect(
            try decoder.decode(Bytes([]))
                == .record([.bytes([0xFF, 0x41]), .fixed([1, 0xE9]), .union(1, .string("x"))]))
    }

    @Test("Union branches of the same type keep their place when writer and reader are one")
    func identity() throws {
        let schema = try AvroSchema(json: #"["double","float","long","int","bytes","string"]"#)
        let decoder = ResolvingDecoder(schema)
        for (branch, value) in [
            AvroValue.double(1), .float(1), .long(1), .int(1), .bytes([1]), .string("1"),
        ].enumerated() {
            let bytes = try AvroEncoder(schema).encode(.union(branch, value))
            #expect(try decoder.decode(bytes) == .union(branch, value))
        }
    }
}
