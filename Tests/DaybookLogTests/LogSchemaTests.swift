import Avro
import DaybookLog
import Foundation
import TestSupport
import Testing

@Suite("The schema of records") struct LogSchemaTests {
    @Test("It is read back from its text as it was made")
    func roundTrip() throws {
        let schema = try Sample.schema()
        #expect(try LogSchema(json: schema.json) == schema)
        #expect(schema.tables.map(\.name) == ["jobs", "readings"])
        #expect(schema.rejectionBranch == 2 && schema.controlBranch == 3)
        #expect(schema.branch(of: "readings") == 1 && schema.branch(of: "Rejection") == nil)
        let kinds = schema.tables[1].fields.map(\.kind)
        #expect(kinds == [.lengthPrefixed, .eightBytes, .varint, .boolean, .lengthPrefixed])
        #expect(schema.tables[1].fields.map(\.isOptional) == [false, false, false, true, false])
        let empty = try LogSchema(recordSchemas: [])
        #expect(try LogSchema(json: empty.json) == empty && empty.tables.isEmpty)
    }

    @Test("fastavro takes it for the same schema, logical types included")
    func stock() throws {
        let script = """
            import fastavro, json, sys
            schema = json.load(sys.stdin)
            fastavro.parse_schema(schema)
            print(fastavro.schema.to_parsing_canonical_form(schema))
            """
        let schema = try Sample.schema()
        let result = try runTool(pythonPath, ["-c", script], input: Data(schema.json.utf8))
        #expect(result.status == 0, "\(result.errorText)")
        let canonical = try AvroSchema(json: schema.json).canonicalForm
        #expect(result.text == canonical + "\n")
        #expect(schema.json.contains(#""logicalType":"decimal""#))
    }

    @Test(
        "A schema that is not this format's is refused",
        arguments: [
            #""long""#, "[]", "", #"{"type":"record","name":"Batch","fields":[]}"#,
            #"{"type":"record","name":"Batch","namespace":"daybook","fields":[]}"#,
        ])
    func foreign(_ json: String) {
        #expect(throws: SchemaFault.self) { try LogSchema(json: json) }
    }

    @Test("A schema of ours with a field renamed, moved or gone is refused")
    func changed() throws {
        let json = try Sample.schema().json
        let changes = [
            (#""name":"clock""#, #""name":"wall""#),
            (#""name":"Batch""#, #""name":"Bunch""#),
            (#""namespace":"daybook""#, #""namespace":"other""#),
            (#"{"name":"source","type":"string"},"#, ""),
            (
                #"{"name":"source","type":"string"},{"name":"principal","type":"string"},"#,
                #"{"name":"principal","type":"string"},{"name":"source","type":"string"},"#
            ),
            (#""name":"Rejection""#, #""name":"Refusal""#),
        ]
        for (old, new) in changes {
            let other = json.replacingOccurrences(of: old, with: new)
            #expect(other != json, "\(old) stands in the schema")
            #expect(throws: SchemaFault.self, "\(new)") { try LogSchema(json: other) }
        }
    }

    @Test(
        "A table whose rows have no shape that a column can have is refused",
        arguments: [
            #""float""#, #"["long","null"]"#, #"["null","long","string"]"#, #""null""#,
            #"{"type":"array","items":"int"}"#, #"{"type":"fixed","name":"f","size":4}"#,
        ])
    func shapes(_ type: String) throws {
        let record = #"{"type":"record","name":"t","fields":[{"name":"a","type":$}]}"#
        _ = try LogSchema(recordSchemas: [record.replacing("$", with: #""long""#)])
        #expect(throws: SchemaFault.self) {
            try LogSchema(recordSchemas: [record.replacing("$", with: type)])
        }
    }

    @Test(
        "A table that is no record, or has a name of ours, is refused",
        arguments: [
            #""string""#, "nonsense", #"{"type":"enum","name":"t","symbols":["a"]}"#,
            #"{"type":"record","name":"Rejection","fields":[{"name":"a","type":"long"}]}"#,
        ])
    func tables(_ record: String) {
        #expect(throws: SchemaFault.self) { try LogSchema(recordSchemas: [record]) }
    }
}
