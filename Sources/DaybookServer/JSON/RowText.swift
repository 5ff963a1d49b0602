import Avro
import DaybookCatalog
import DaybookLog

/// Why an event cannot be shown as text: its bytes are not what its schema says.
public struct EventTextError: Error, Sendable {
    /// What is wrong.
    public let what: String
}

/// Writes rows of the log as JSON objects by the schema that stands in their own segment: so rows
/// of an older dictionary read as they were written.
struct RowText {
    private enum Form {
        case integer, number, boolean, string, base64
        case decimal(scale: Int)
        case date, timestamp
    }

    private struct Field {
        let name: String
        let form: Form
        let isOptional: Bool
    }

    /// By branch of the union of rows.
    private let tables: [[Field]]
    /// The tables' names, by branch.
    let names: [String]

    /// Reads the tables out of a segment's schema.
    init(_ schema: LogSchema) throws(EventTextError) {
        guard let parsed = try? AvroSchema(json: schema.json), case .record(let batch) = parsed,
            case .array(.union(let branches))? = batch.fields.last?.schema
        else { throw EventTextError(what: "the segment's schema is not that of a log") }
        var tables: [[Field]] = []
        for branch in branches.dropLast(2) {
            guard case .record(let record) = branch else {
                throw EventTextError(what: "a table's branch is no record")
            }
            tables.append(record.fields.map(RowText.field))
        }
        self.tables = tables
        names = schema.tables.map(\.name)
    }

    private static func field(_ field: AvroSchema.Field) -> Field {
        if case .union(let branches) = field.schema, let type = branches.last {
            return Field(name: field.name, form: form(type), isOptional: true)
        }
        return Field(name: field.name, form: form(field.schema), isOptional: false)
    }

    private static func form(_ schema: AvroSchema) -> Form {
        switch schema {
        case .int(.date): .date
        case .long(.timestampMicros): .timestamp
        case .bytes(.decimal(_, let scale)): .decimal(scale: scale)
        case .int, .long: .integer
        case .double: .number
        case .boolean: .boolean
        case .bytes: .base64
        default: .string
        }
    }

    /// Writes the row of table `branch` at `cursor` and passes over it.
    func write(
        _ branch: Int, from cursor: inout ByteCursor, to json: inout JSONWriter
    ) throws(AvroDecodingError) {
        json.openObject()
        for field in tables[branch] {
            json.key(field.name)
            if field.isOptional, try cursor.readLong() == 0 {
                json.null()
            } else {
                try RowText.write(field.form, from: &cursor, to: &json)
            }
        }
        json.closeObject()
    }

    private static func write(
        _ form: Form, from cursor: inout ByteCursor, to json: inout JSONWriter
    ) throws(AvroDecodingError) {
        switch form {
        case .integer: json.integer(try cursor.readLong())
        case .number: json.number(try cursor.readDouble())
        case .boolean: json.boolean(try cursor.readBoolean())
        case .string: json.string(utf8: try cursor.readBytes())
        case .base64: json.base64(try cursor.readBytes())
        case .decimal(let scale):
            let value = unscaled(try cursor.readBytes())
            json.value(quoted: true) {
                ScalarText.append(decimal: value, scale: scale, to: &$0)
            }
        case .date:
            let days = Int32(truncatingIfNeeded: try cursor.readLong())
            json.value(quoted: true) { ScalarText.append(days: days, to: &$0) }
        case .timestamp: json.time(try cursor.readLong())
        }
    }

    /// Big-endian two's complement, as Avro keeps a decimal.
    private static func unscaled(_ bytes: UnsafeRawBufferPointer) -> Int128 {
        var value: Int128 = (bytes.first ?? 0) >= 0x80 ? -1 : 0
        for byte in bytes { value = value << 8 | Int128(byte) }
        return value
    }
}

extension JSONWriter {
    /// A time in UTC, as RFC 3339.
    public mutating func time(_ microseconds: Microseconds) {
        value(quoted: true) { ScalarText.append(microseconds: microseconds, to: &$0) }
    }

    /// A time in UTC as RFC 3339, by itself.
    public static func text(time microseconds: Microseconds) -> String {
        var sink = ByteSink(capacity: 32)
        ScalarText.append(microseconds: microseconds, to: &sink)
        return String(decoding: sink.unsafeBytes, as: UTF8.self)
    }
}
