import Avro
import DaybookCatalog
import Testing

@testable import DaybookIntake

@Suite("Values of Avro files")
struct AvroValueTests {
    /// A column of `payments` or `hires`, what its field holds, and the JSON that means the same.
    struct Case: Sendable, CustomTestStringConvertible {
        let column: String
        let type: String
        let value: AvroValue
        let json: String?

        init(_ column: String, _ type: String, _ value: AvroValue, _ json: String?) {
            self.column = column
            self.type = type
            self.value = value
            self.json = json
        }

        var testDescription: String { "\(column) from \(type) \(value)" }
    }

    private static let moment: Int64 = 1_636_253_322_000_000
    private static let money = #"{"type":"bytes","logicalType":"decimal","precision":6,"scale":1}"#
    private static let fine =
        #"{"type":"fixed","name":"F","size":9,"logicalType":"decimal","precision":20,"scale":3}"#
    private static let decimalText = #"{"type":"string","logicalType":"decimal"}"#
    private static func logical(_ type: String, _ name: String) -> String {
        #"{"type":"\#(type)","logicalType":"\#(name)"}"#
    }
    private static let choice = #"["string","null",{"type":"array","items":"int"},"double","long"]"#

    static let cases: [Case] = [
        // Integers: of either width, behind any union; no fraction, no text.
        Case("id", #""int""#, .int(-7), "-7"),
        Case("id", #""long""#, .long(1 << 62), "4611686018427387904"),
        Case("id", #"["null","int"]"#, .union(1, .int(9)), "9"),
        Case("id", #"["long","null"]"#, .union(0, .long(9)), "9"),
        Case("id", #"["null","int"]"#, .union(0, .null), "null"),
        Case("id", choice, .union(4, .long(5)), "5"),
        Case("id", choice, .union(0, .string("5")), "\"5\""),
        Case("id", choice, .union(2, .array([.int(5)])), "[5]"),
        Case("id", choice, .union(3, .double(5)), "5.0"),
        Case("id", choice, .union(1, .null), "null"),
        Case("id", #""null""#, .null, nil),
        Case("id", #""boolean""#, .boolean(true), "true"),
        Case("id", logical("int", "date"), .int(3), "\"1970-01-04\""),
        Case("job", #""long""#, .long(0), "0"),
        // Numbers.
        Case("rate", #""double""#, .double(-0.1), "-0.1"),
        Case("rate", #""float""#, .float(0.1), "0.10000000149011612"),
        Case("rate", #""int""#, .int(2), "2"),
        Case("rate", #""long""#, .long(-(1 << 60) - 1), "-1152921504606846977"),
        Case("rate", #""double""#, .double(2.6), "2.6"),
        Case("rate", #""double""#, .double(-0.0), "-0.0"),
        Case("rate", money, .bytes([25]), "2.5"),
        Case("rate", #""string""#, .string("1"), "\"1\""),
        // Decimals of a smaller scale, of digits too fine, as text and as whole numbers.
        Case("amount", money, .bytes([125]), "\"12.5\""),
        Case("amount", money, .bytes([]), "\"0.0\""),
        Case("amount", fine, .fixed([0, 0, 0, 0, 0, 0, 0, 0x30, 0x34]), "\"12.340\""),
        Case("amount", fine, .fixed([0, 0, 0, 0, 0, 0, 0, 0x30, 0x35]), "\"12.341\""),
        Case("amount", fine, .fixed(Array(repeating: 0xFF, count: 9)), "\"-0.001\""),
        Case("amount", #""string""#, .string("12.34"), "\"12.34\""),
        Case("amount", #""long""#, .long(12), "12"),
        Case("amount", #""double""#, .double(12.34), "12.34"),
        Case("amount", #""bytes""#, .bytes([1, 2]), "\"AQI=\""),
        // Texts, enums, bytes.
        Case("name", #""string""#, .string("Ann Łódź"), "\"Ann Łódź\""),
        Case("name", #""string""#, .string(""), "\"\""),
        Case("name", #""bytes""#, .bytes(Array("Ann Lee".utf8)), "\"Ann Lee\""),
        Case("name", #""string""#, .string("Ann"), "\"Ann\""),
        Case("name", #""long""#, .long(4), "4"),
        Case("currency", #"{"type":"enum","name":"E","symbols":["EUR","USD"]}"#,
            .enumeration("USD"), "\"USD\""),
        Case("currency", #"{"type":"enum","name":"E","symbols":["CHF"]}"#, .enumeration("CHF"),
            "\"CHF\""),
        Case("currency", #"["null","string"]"#, .union(0, .null), nil),
        Case("name", #"{"type":"map","values":"int"}"#, .map([.init("a", .int(1))]), "{}"),
        Case("name", #"{"type":"record","name":"R","fields":[]}"#, .record([]), "{}"),
        // Booleans.
        Case("settled", #""boolean""#, .boolean(true), "true"),
        Case("settled", #""int""#, .int(1), "1"),
        // Dates.
        Case("booked", logical("int", "date"), .int(18_938), "\"2021-11-07\""),
        Case("booked", logical("int", "date"), .int(0), "\"1970-01-01\""),
        Case("due", logical("int", "date"), .int(20_000), "\"2024-10-04\""),
        Case("due", logical("int", "date"), .int(0), "\"1970-01-01\""),
        Case("booked", #""string""#, .string("2021-11-07"), "\"2021-11-07\""),
        Case("booked", #""int""#, .int(18_938), "18938"),
        Case("booked", logical("long", "timestamp-micros"), .long(moment),
            "\"2021-11-07T02:48:42Z\""),
        // Times.
        Case("at", logical("long", "timestamp-micros"), .long(moment), "\"2021-11-07T02:48:42Z\""),
        Case("at", logical("long", "timestamp-millis"), .long(-1), "\"1969-12-31T23:59:59.999Z\""),
        Case("at", logical("long", "local-timestamp-micros"), .long(moment + 5),
            "\"2021-11-07T02:48:42.000005Z\""),
        Case("at", logical("long", "local-timestamp-millis"), .long(0), "\"1970-01-01T00:00:00Z\""),
        Case("at", #""string""#, .string("2021-11-07 02:48:42.0"), "\"2021-11-07T02:48:42Z\""),
        Case("at", #""string""#, .string("2021-11-07 02:48:42"), "\"2021-11-07T02:48:42Z\""),
        Case("at", #""string""#, .string("2021-11-07T02:48:42.123456"),
            "\"2021-11-07T02:48:42.123456Z\""),
        Case("at", #""string""#, .string("2021-11-07T02:48:42+01:00"),
            "\"2021-11-07T02:48:42+01:00\""),
        Case("at", #""long""#, .long(moment), "\(moment)"),
        // UUIDs.
        Case("reference", #"{"type":"fixed","name":"U","size":16}"#, .fixed(Array(0..<16)),
            "\"00010203-0405-0607-0809-0a0b0c0d0e0f\""),
        Case("reference", logical("string", "uuid"),
            .string("00010203-0405-0607-0809-0A0B0C0D0E0F"),
            "\"00010203-0405-0607-0809-0a0b0c0d0e0f\""),
        Case("reference", #""bytes""#, .bytes([1, 2, 3]), "\"AQID\""),
    ]

    /// The fields that make a row of the column's table whole, as JSON and as Avro.
    private func others(
        _ column: String
    ) -> (table: String, fields: [(String, String, AvroValue)]) {
        let hires: [(String, String, AvroValue)] = [
            ("id", "1", .long(1)), ("name", "\"Ann Lee\"", .string("Ann Lee")),
            ("at", "\"1970-01-01T00:00:00Z\"", .string("1970-01-01T00:00:00Z")),
            ("job", "1", .long(1)),
        ]
        let payments: [(String, String, AvroValue)] = [
            ("bank", "\"B\"", .string("B")), ("number", "1", .long(1)),
            ("amount", "\"1.00\"", .string("1.00")),
            ("booked", "\"2020-01-01\"", .string("2020-01-01")),
        ]
        let isHire = hires.contains { $0.0 == column }
        let fields = isHire ? hires : payments
        return (isHire ? "hires" : "payments", fields.filter { $0.0 != column })
    }

    @Test("They are judged as the JSON that means the same", arguments: cases)
    func sameAsJSON(one: Case) throws {
        let (table, others) = others(one.column)
        // The field in question stands last: the order of a file's fields is its own.
        let types =
            others.map { name, _, value in
                #"{"name":"\#(name)","type":"\#(value.isLong ? "long" : "string")"}"#
            } + [#"{"name":"\#(one.column)","type":\#(one.type)}"#]
        let schema = #"{"type":"record","name":"n.S","fields":[\#(types.joined(separator: ","))]}"#
        let batch = try AvroFiles.judge(
            table, schema, [.record(others.map(\.2) + [one.value])])
        var members = others.map { "\"\($0.0)\":\($0.1)" }
        if let json = one.json { members.append("\"\(one.column)\":\(json)") }
        let body = "{\(members.joined(separator: ","))}"
        let expected = try makeJudge(table).judgeJSON(Bytes(Array(body.utf8), padding: 128))
        #expect(batch.codes(0) == expected.codes(0), "\(batch.reasons)")
        #expect(hexadecimal(batch.encodedBytes(0)) == hexadecimal(expected.encodedBytes(0)))
        #expect(batch.slots(0) == expected.slots(0))
        #expect(batch.reasons.map(\.message) == expected.reasons.map(\.message) || one.isOtherText)
        // What is kept of the row has the same verdict when it is judged again.
        let again = try PastRows(
            makeJudge(table).table.avroRecord(), judge: makeJudge(table)
        ).judge(rejected: batch.raw(ofRow: 0), format: .avro)
        let raw = String(decoding: batch.raw(ofRow: 0), as: UTF8.self)
        #expect(again?.codes(0) == batch.codes(0), "\(raw)")
        #expect(again?.encodedBytes(0) == batch.encodedBytes(0), "\(raw)")
    }

    @Test(
        "What no column can hold is out of range, and harmless",
        arguments: [
            ("at", logical("long", "timestamp-millis"), AvroValue.long(.max)),
            ("at", logical("long", "timestamp-millis"), .long(253_402_300_800_000)),
            ("at", logical("long", "timestamp-micros"), .long(.min)),
            ("at", logical("long", "timestamp-micros"), .long(-62_135_596_800_000_001)),
            ("booked", logical("int", "date"), .int(.max)),
            ("booked", logical("int", "date"), .int(-719_163)),
            ("rate", #""double""#, .double(.nan)), ("rate", #""float""#, .float(-.infinity)),
            ("amount", #"{"type":"bytes","logicalType":"decimal","precision":38,"scale":0}"#,
                .bytes(Array(repeating: 0x7F, count: 40))),
            ("amount", #"{"type":"bytes","logicalType":"decimal","precision":38,"scale":0}"#,
                .bytes([0x00] + Array(repeating: 0xFF, count: 16))),
            // Their last sixteen bytes alone are 1 and -5.
            ("rate", #"{"type":"bytes","logicalType":"decimal","precision":38,"scale":0}"#,
                .bytes([0x01] + Array(repeating: 0, count: 15) + [0x01])),
            ("rate", #"{"type":"bytes","logicalType":"decimal","precision":38,"scale":0}"#,
                .bytes([0x00] + Array(repeating: 0xFF, count: 15) + [0xFB])),
        ] as [(String, String, AvroValue)])
    func outOfRange(column: String, type: String, value: AvroValue) throws {
        let table = column == "at" ? "hires" : "payments"
        let batch = try AvroFiles.judge(
            table, AvroFiles.record((column, type)), [.record([value])])
        #expect(batch.codes(0).contains("out_of_range(\(column))"), "\(batch.reasons)")
        #expect(batch.raw(ofRow: 0).count > 10)
    }

    @Test("A scale beyond any column's makes a decimal mere bytes, and costs nothing")
    func hugeScale() throws {
        let type =
            #"{"type":"bytes","logicalType":"decimal","precision":2000000000,"scale":1900000000}"#
        let batch = try AvroFiles.judge(
            "payments", AvroFiles.record(("amount", type)), [.record([.bytes([5])])])
        #expect(batch.codes(0).contains("invalid_decimal(amount)"))
    }

    @Test("A text that is no UTF-8, or holds a NUL, is wrong_type, and is shown repaired")
    func badText() throws {
        for bytes: [UInt8] in [[0x41, 0xFF], [0x41, 0x00]] {
            let file = try AvroFiles.file(
                AvroFiles.record(("note", #""bytes""#)), [.record([.bytes(bytes)])])
            // The same bytes under a schema that calls them a string.
            let schema = Array(#""type":"bytes""#.utf8)
            let text = Array(#""type":"string""#.utf8)
            let place = try #require(
                file.indices.first { file[$0...].starts(with: schema) })
            var changed = Array(file[..<place]) + text + Array(file[(place + schema.count)...])
            let length = try #require(
                changed.indices.first { changed[$0...].starts(with: Array("{".utf8)) })
            // The schema's length, two bytes as a varint, grew by one.
            #expect(changed[length - 2] < 0xFE)
            changed[length - 2] += 2
            let found = try AvroFiles.batches(changed, makeJudge("readings"))
            #expect(found[0].batch.codes(0) == ["wrong_type(note)"])
            let raw = String(decoding: found[0].batch.raw(ofRow: 0), as: UTF8.self)
            #expect(raw == (bytes[1] == 0 ? #"{"note":"A\u0000"}"# : #"{"note":"A�"}"#))
        }
    }

    @Test("Enumerations and bounds hold for whole numbers that need no parsing")
    func wholeNumberRules() throws {
        let catalog = try CatalogLoader.load(
            text: """
                table: dice
                key: []
                columns:
                  - {name: eyes, type: integer, oneOf: [1, 3, 5]}
                  - {name: throw, type: integer, min: 0, max: 9, optional: true}
                """)
        let judge = Judge(
            table: catalog.tables[0], constraints: catalog.constraints, fingerprintKey: testKey)
        let schema = AvroFiles.record(
            ("eyes", #""int""#), ("throw", #"["null","long"]"#))
        let rows = [(3, 9), (2, 0), (5, 10), (1, -1)].map { eyes, number in
            AvroValue.record([.int(Int32(eyes)), .union(1, .long(Int64(number)))])
        }
        let batch = try AvroFiles.batches(AvroFiles.file(schema, rows), judge)[0].batch
        #expect(
            (0..<4).map { batch.codes($0) }
                == [[], ["not_allowed(eyes)"], ["out_of_range(throw)"], ["out_of_range(throw)"]])
        #expect(hexadecimal(batch.encodedBytes(0)) == "060212")
    }

    @Test("Numbers that need no parsing are those that parsing gives, and -0 is 0")
    func plainNumbers() throws {
        let catalog = try CatalogLoader.load(
            text: """
                table: weights
                key: []
                columns:
                  - {name: weight, type: number, optional: true}
                """)
        let judge = Judge(
            table: catalog.tables[0], constraints: catalog.constraints, fingerprintKey: testKey)
        let type = #"["null","long","float","double"]"#
        let values: [(AvroValue, String)] = [
            (.union(3, .double(-0.0)), "-0"), (.union(2, .float(-0.0)), "-0.0"),
            (.union(1, .long(.max)), "9223372036854775807"), (.union(1, .long(0)), "0"),
            (.union(2, .float(1.5)), "1.5"), (.union(3, .double(.leastNonzeroMagnitude)), "5e-324"),
            (.union(0, .null), "null"),
        ]
        let file = try AvroFiles.file(
            AvroFiles.record(("weight", type)), values.map { .record([$0.0]) })
        let batch = try AvroFiles.batches(file, judge)[0].batch
        for (row, (_, text)) in values.enumerated() {
            let json = Bytes(Array(#"{"weight":\#(text)}"#.utf8), padding: 128)
            #expect(batch.encodedBytes(row) == judge.judgeJSON(json).encodedBytes(0), "\(text)")
        }
    }

    @Test("Fields are found by name and alias, others are passed over, lacking ones are absent")
    func resolution() throws {
        let schema = AvroFiles.record(
            ("ledger_position", #""long""#),
            ("deep", #"{"type":"array","items":{"type":"map","values":["null","double"]}}"#),
            ("hired_at", #""string""#), ("job", #"["null","int"]"#), ("name", #""string""#),
            ("id", #""int""#))
        let deep = AvroValue.array([.map([.init("x", .union(1, .double(1)))]), .map([])])
        func row(_ id: Int32) -> AvroValue {
            .record([
                .long(99), deep, .string("2020-01-01 00:00:00"), .union(1, .int(7)),
                .string("Ann Lee"), .int(id),
            ])
        }
        let batch = try AvroFiles.judge("hires", schema, [row(1), row(2)])
        #expect(batch.codes(0) == [] && batch.codes(1) == [])
        let json = #"{"id":1,"name":"Ann Lee","at":"2020-01-01T00:00:00Z","job":7}"#
        let expected = try makeJudge("hires").judgeJSON(Bytes(Array(json.utf8), padding: 128))
        #expect(batch.encodedBytes(0) == expected.encodedBytes(0))

        let few = try AvroFiles.judge(
            "payments", AvroFiles.record(("bank", #""string""#)), [.record([.string("B")])])
        #expect(
            few.codes(0) == [
                "missing_field(number)", "missing_field(amount)", "missing_field(booked)",
            ])
    }
}

extension AvroValueTests.Case {
    /// The faulty value has no text of its own in JSON, so the messages differ.
    fileprivate var isOtherText: Bool {
        switch value {
        case .map, .record, .union(2, _): true
        default: testDescription.contains("nan")
        }
    }
}

extension AvroValue {
    fileprivate var isLong: Bool {
        if case .long = self { true } else { false }
    }
}

extension Table {
    /// The record that the log has of the table's rows.
    fileprivate func avroRecord() throws -> AvroSchema.Record {
        guard case .record(let record) = try AvroSchema(json: avroSchema) else {
            throw IntakeError.notAvro
        }
        return record
    }
}
