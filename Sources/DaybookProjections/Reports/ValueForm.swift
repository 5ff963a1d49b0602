import Avro
import DaybookCatalog
import Postgres

/// How the text that Postgres gives for a type becomes the text of an answer.
enum ValueForm {
    case number, boolean, json, time, text

    /// What a connection is told first, so that the values' text does not depend on the server's
    /// configuration.
    static let settings = """
        SET timezone = 'UTC';
        SET datestyle = 'ISO';
        SET intervalstyle = 'iso_8601';
        SET extra_float_digits = 1;
        SET bytea_output = 'hex'
        """

    /// The form of a type's values (`src/include/catalog/pg_type.dat`).
    init(_ type: UInt32) {
        let float4: UInt32 = 700
        let json: UInt32 = 114
        let timestamp: UInt32 = 1114
        switch type {
        case TypeOID.int2, TypeOID.int4, TypeOID.int8, float4, TypeOID.float8: self = .number
        case TypeOID.bool: self = .boolean
        case json, TypeOID.jsonb: self = .json
        case timestamp, TypeOID.timestamptz: self = .time
        default: self = .text
        }
    }

    var form: ReportTable.Column.Form {
        switch self {
        case .number: .number
        case .boolean: .boolean
        case .json: .json
        case .time, .text: .text
        }
    }

    func append(_ text: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        switch self {
        case .number, .json, .text: sink.append(raw: text)
        case .boolean:
            let isTrue = text.first == UInt8(ascii: "t")
            sink.append(raw: Array((isTrue ? "true" : "false").utf8))
        case .time: ValueForm.append(time: text, to: &sink)
        }
    }

    /// `2021-11-07 02:48:42.5+00` as `2021-11-07T02:48:42.5Z`; a time without zone keeps none, and
    /// `infinity` is left as it is.
    private static func append(time text: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        let zone = Array("+00".utf8)
        let isZoned = text.count > 10 && text.suffix(3).elementsEqual(zone)
        for (place, byte) in text.dropLast(isZoned ? 3 : 0).enumerated() {
            sink.append(byte: byte == 0x20 && place == 10 ? UInt8(ascii: "T") : byte)
        }
        if isZoned { sink.append(byte: UInt8(ascii: "Z")) }
    }
}

extension ReportTable {
    /// Copies the first columns and rows of a result in text form, over a connection that was told
    /// `ValueForm.settings`.
    ///
    /// - Parameter types: the names of the types of the columns that are copied.
    init(_ result: PostgresResult, types: [String], rowCount: Int) {
        precondition(types.count <= result.columnNames.count, "no more is copied than there is")
        let forms = types.indices.map { ValueForm(result.typeOID(column: $0)) }
        let columns = types.indices.map {
            Column(name: result.columnNames[$0], type: types[$0], form: forms[$0].form)
        }
        var builder = Builder(columns: columns, rowCount: rowCount)
        for row in result.prefix(rowCount) {
            for (column, form) in forms.enumerated() {
                let value: Void? = row.withBytes(column) { text in
                    builder.append { sink in form.append(text, to: &sink) }
                }
                if value == nil { builder.appendNull() }
            }
        }
        self = builder.finish()
    }
}
