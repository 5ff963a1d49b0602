import Avro
import Testing

@Suite("Schemas")
struct SchemaTests {
    @Test("A record's fields keep their order, and a union its branches'")
    func walk() throws {
        let schema = try AvroSchema(
            json: """
                {"type": "record", "name": "Hire", "namespace": "hr", "doc": "one row", "fields": [
                  {"name": "id", "type": "long"},
                  {"name": "name", "type": ["null", "string"], "default": null, "aliases": ["n"]},
                  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
                  {"name": "boss", "type": ["null", "Hire"], "unknown": {"a": [1, 2.5e3, true]}}]}
                """)
        guard case .record(let record) = schema else {
            Issue.record("not a record")
            return
        }
        #expect(record.name.fullName == "hr.Hire")
        #expect(record.fields.map(\.name) == ["id", "name", "at", "boss"])
        #expect(record.fields[1].schema == .union([.null, .string()]))
        #expect(record.fields[1].schema.optional?.valueBranch == 1)
        #expect(record.fields[1].aliases == ["n"])
        #expect(record.fields[2].schema.logicalType == .timestampMicros)
        #expect(record.fields[3].schema == .union([.null, .reference(AvroName("hr.Hire"))]))
        #expect(try AvroSchema(json: schema.json) == schema)
    }

    @Test("A schema made in code prints as JSON that reads as the same schema")
    func printed() throws {
        let inner = AvroSchema.enumeration(
            .init(
                "b.Colour", aliases: ["b.Color", "c.Hue"], symbols: ["RED"], defaultSymbol: "RED"))
        let schema = AvroSchema.record(
            .init(
                "a.Outer", aliases: ["a.Old", "z.Older"], doc: "say \"hello\"\n\u{1}",
                fields: [
                    .init("colour", inner, defaultValue: .string("RED"), order: .ignore),
                    .init("again", .array(.reference(AvroName("b.Colour")))),
                    .init("sizes", .map(.fixed(.init("Plain", byteCount: 3)))),
                    .init("plain", .reference(AvroName("Plain")), defaultValue: .string("abc")),
                    .init("price", .bytes(.decimal(precision: 9, scale: 2))),
                    .init("same", .union([.reference(AvroName("a.Outer")), .null])),
                    .init("ratio", .double, defaultValue: .number("1.50")),
                ]))
        #expect(try AvroSchema(json: schema.json) == schema)
    }

    @Test("Broken rules are named with their place", arguments: brokenSchemas)
    func broken(json: String, path: String, problem: AvroSchemaError.Problem) {
        #expect(throws: AvroSchemaError.invalid(path: path, problem)) {
            try AvroSchema(json: json)
        }
    }

    @Test(
        "Text that is no JSON is refused with its line and column",
        arguments: [
            ("", 1, 1), ("{", 1, 2), ("[\"int\",]", 1, 8), ("\"int\" x", 1, 7),
            ("{\"type\":\n \"int\",\n \"type\": 1}", 3, 8), ("{'type': 1}", 1, 2), ("\"in", 1, 4),
            ("01", 1, 2), ("-", 1, 2), ("1.", 1, 3), ("\"\\ud800\"", 1, 8), ("\"\\x\"", 1, 4),
            ("nul", 1, 1), ("\"a\nb\"", 1, 3),
        ])
    func malformedJSON(text: String, line: Int, column: Int) throws {
        let error = try #require(throws: AvroSchemaError.self) { try AvroSchema(json: text) }
        guard case .malformedJSON(line, column, _) = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test("Text that nests without end is refused before the stack is")
    func endlessJSON() {
        let text = String(repeating: "[", count: 100_000)
        #expect(
            throws: AvroSchemaError.malformedJSON(
                line: 1, column: 201, reason: "nested too deep")
        ) { try AvroSchema(json: text) }
    }

    @Test("A logical type that is unknown or does not fit its type is ignored")
    func ignoredLogicalTypes() throws {
        for (json, plain) in [
            (#"{"type":"long","logicalType":"date"}"#, AvroSchema.long()),
            (#"{"type":"long","logicalType":"new-thing"}"#, .long()),
            (#"{"type":"bytes","logicalType":"decimal"}"#, .bytes()),
            (#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#, .bytes()),
            (#"{"type":"bytes","logicalType":"decimal","precision":0}"#, .bytes()),
            (
                #"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":5}"#,
                .fixed(.init("F", byteCount: 2))
            ),
            (
                #"{"type":"fixed","name":"F","size":11,"logicalType":"duration"}"#,
                .fixed(.init("F", byteCount: 11))
            ),
        ] {
            #expect(try AvroSchema(json: json) == plain)
        }
        let json = #"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4}"#
        #expect(try AvroSchema(json: json).logicalType == .decimal(precision: 4, scale: 0))
    }
}

private func record(_ fields: String) -> String {
    #"{"type":"record","name":"R","fields":[\#(fields)]}"#
}

private let brokenSchemas: [(String, String, AvroSchemaError.Problem)] = [
    ("17", "/", .notASchema),
    ("\"strin\"", "/", .unknownType("strin")),
    ("{}", "/", .missing(attribute: "type")),
    (#"{"type":"array"}"#, "/", .missing(attribute: "items")),
    (#"{"type":"map"}"#, "/", .missing(attribute: "values")),
    (#"{"type":"record","fields":[]}"#, "/", .missing(attribute: "name")),
    (#"{"type":"record","name":"R"}"#, "R", .missing(attribute: "fields")),
    (#"{"type":"record","name":"R","fields":{}}"#, "R", .malformed(attribute: "fields")),
    (#"{"type":"record","name":"1R","fields":[]}"#, "/", .badName("1R")),
    (#"{"type":"record","name":"a..R","fields":[]}"#, "/", .badName("a..R")),
    (#"{"type":"record","name":"string","fields":[]}"#, "/", .badName("string")),
    (#"{"type":"fixed","name":"F"}"#, "/", .missing(attribute: "size")),
    (#"{"type":"fixed","name":"F","size":-1}"#, "/", .malformed(attribute: "size")),
    (#"{"type":"enum","name":"E"}"#, "/", .missing(attribute: "symbols")),
    (#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "/", .duplicateSymbol("A")),
    (#"{"type":"enum","name":"E","symbols":["A-B"]}"#, "/", .badName("A-B")),
    (
        #"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#, "/", .unknownSymbol("B")
    ),
    (#"["int",["null"]]"#, "/1", .nestedUnion),
    (#"["int","null","int"]"#, "/2", .duplicateBranch("int")),
    (#"["int",{"type":"int","logicalType":"date"}]"#, "/1", .duplicateBranch("int")),
    (
        record(#"{"name":"a","type":{"type":"array","items":["null","X"]}}"#), "R/a/items/1",
        .unknownType("X")
    ),
    (record(#"{"type":"int"}"#), "R/0", .missing(attribute: "name")),
    (record(#"{"name":"a"}"#), "R/a", .missing(attribute: "type")),
    (record(#"{"name":"a b","type":"int"}"#), "R/a b", .badName("a b")),
    (
        record(#"{"name":"a","type":"int"},{"name":"a","type":"long"}"#), "R/a",
        .duplicateField("a")
    ),
    (
        record(#"{"name":"a","type":"int"},{"name":"b","aliases":["a"],"type":"long"}"#),
        "R/b", .duplicateField("a")
    ),
    (record(#"{"name":"a","type":"int","order":"up"}"#), "R/a", .malformed(attribute: "order")),
    (record(#"{"name":"a","type":"int","default":"1"}"#), "R/a", .badDefault("\"1\"")),
    (record(#"{"name":"a","type":"int","default":1.5}"#), "R/a", .badDefault("1.5")),
    (
        record(#"{"name":"a","type":"int","default":2147483648}"#), "R/a",
        .badDefault("2147483648")
    ),
    (record(#"{"name":"a","type":"bytes","default":"\u0100"}"#), "R/a", .badDefault("\"Ā\"")),
    (record(#"{"name":"a","type":["null","int"],"default":"x"}"#), "R/a", .badDefault("\"x\"")),
    (record(#"{"name":"a","type":"R","default":{}}"#), "R/a", .badDefault("{}")),
    (
        record(
            #"{"name":"a","type":{"type":"fixed","name":"R","size":1}}"#), "R/a",
        .redefined("R")
    ),
]
