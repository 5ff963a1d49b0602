import Avro
import DaybookCatalog
import DaybookLog

/// Turns a table's rows from Avro's binary encoding into Postgres's binary COPY, in one loop over
/// the columns and without building anything.
///
/// Sources: Avro 1.11, "Binary Encoding" and "Schema Resolution"; PostgreSQL documentation, COPY,
/// "Binary Format", and the `*_recv` functions of the types. A column that the rows were written
/// without has its default, or is left out of the COPY and so null; a field that the table does not
/// have is passed over.
struct RowTranscoder: Sendable {
    private struct Field {
        let type: ColumnType
        let isOptional: Bool
        /// Whether the table has no such column.
        let isSkipped: Bool
    }

    /// The columns that a COPY of these rows names, in order.
    let columns: [String]
    private let fields: [Field]
    /// The defaults of columns that the rows do not have, as they stand in a COPY.
    private let defaults: [UInt8]

    /// A transcoder to `table` from rows that were written under the schema `record`.
    ///
    /// - Throws: `ProjectionFault.cannotApply` if the rows cannot be read as the table's.
    init(_ record: AvroSchema.Record, table: Table) throws {
        var present: [String] = []
        var fields: [Field] = []
        for field in record.fields {
            guard let (type, isOptional) = ColumnType.written(as: field.schema) else {
                throw ProjectionFault.cannotApply(
                    projection: table.name,
                    reason: "events have a field \(field.name) of a type that no column has")
            }
            let column = table.columns.first { $0.name == field.name }
            if let column {
                guard type.isReadable(as: column.type) else {
                    throw ProjectionFault.cannotApply(
                        projection: table.name,
                        reason: "column \(column.name) is \(column.type.sqlType), and"
                            + " \(type.sqlType) in older events")
                }
                present.append(column.name)
            }
            fields.append(Field(type: type, isOptional: isOptional, isSkipped: column == nil))
        }
        var defaults = ByteSink()
        var defaulted: [String] = []
        for column in table.columns where !column.isOptional && !present.contains(column.name) {
            guard let value = column.defaultValue else {
                throw ProjectionFault.cannotApply(
                    projection: table.name,
                    reason: "column \(column.name) is required, has no default, and older events"
                        + " do not have it")
            }
            value.appendCopyField(type: column.type, to: &defaults)
            defaulted.append(column.name)
        }
        columns = present + defaulted + [Table.positionColumn]
        self.fields = fields
        self.defaults = Array(defaults.unsafeBytes)
    }

    /// Appends one row of a COPY: the row at `cursor`, and its position.
    func append(
        _ cursor: inout ByteCursor, position: Position, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(columns.count))
        for field in fields {
            if field.isOptional, try cursor.readIndex(below: 2) == 0 {
                if !field.isSkipped { sink.append(bigEndian: Int32(-1)) }
            } else if field.isSkipped {
                try RowTranscoder.skip(field.type, &cursor)
            } else {
                try RowTranscoder.append(field.type, &cursor, to: &sink)
            }
        }
        sink.append(raw: defaults)
        sink.append(bigEndian: Int32(8))
        sink.append(bigEndian: position)
    }

    @inline(__always)
    private static func append(
        _ type: ColumnType, _ cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        switch type {
        case .integer:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readLong())
        case .timestamp:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readLong() &- PostgresEpoch.microseconds)
        case .date:
            sink.append(bigEndian: Int32(4))
            sink.append(bigEndian: try cursor.readInt() &- PostgresEpoch.days)
        case .string:
            let bytes = try cursor.readBytes()
            sink.append(bigEndian: Int32(bytes.count))
            sink.append(raw: bytes)
        case .number:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readDouble().bitPattern)
        case .boolean:
            sink.append(bigEndian: Int32(1))
            sink.append(byte: try cursor.readBoolean() ? 1 : 0)
        case .uuid:
            try UUIDText.append(try cursor.readBytes(), to: &sink)
        case .decimal(_, let scale):
            try NumericEncoding.append(try cursor.readBytes(), scale: scale, to: &sink)
        }
    }

    private static func skip(
        _ type: ColumnType, _ cursor: inout ByteCursor
    ) throws(AvroDecodingError) {
        switch type {
        case .integer, .timestamp, .date: try cursor.skipLong()
        case .number: try cursor.skip(8)
        case .boolean: _ = try cursor.readBoolean()
        case .string, .uuid, .decimal: _ = try cursor.readBytes()
        }
    }
}

extension ColumnType {
    /// The type whose values are written under `schema`, and whether they may be null; nil if there
    /// is no such type.
    fileprivate static func written(as schema: AvroSchema) -> (type: Self, isOptional: Bool)? {
        switch schema {
        case .union(let branches):
            guard branches.count == 2, branches[0] == .null,
                let (type, isOptional) = written(as: branches[1]), !isOptional
            else { return nil }
            return (type, true)
        case .long(nil): return (.integer, false)
        case .long(.timestampMicros): return (.timestamp, false)
        case .int(.date): return (.date, false)
        case .double: return (.number, false)
        case .boolean: return (.boolean, false)
        case .string(nil): return (.string, false)
        case .string(.uuid): return (.uuid, false)
        case .bytes(.decimal(let precision, let scale)):
            return (.decimal(precision: precision, scale: scale), false)
        default: return nil
        }
    }

    /// Whether values of this type can stand in a column of another. A decimal's own scale goes
    /// with its values, and Postgres refuses a digit too many.
    fileprivate func isReadable(as column: ColumnType) -> Bool {
        if case (.decimal(_, let scale), .decimal(_, let columnScale)) = (self, column) {
            return scale <= columnScale
        }
        return self == column
    }
}

extension ScalarValue {
    /// Appends the value as a field of a COPY: its length and its binary form.
    fileprivate func appendCopyField(type: ColumnType, to sink: inout ByteSink) {
        func append<Value: FixedWidthInteger>(_ value: Value) {
            sink.append(bigEndian: Int32(MemoryLayout<Value>.size))
            sink.append(bigEndian: value)
        }
        switch self {
        case .integer(let value): append(value)
        case .number(let value): append(value.bitPattern)
        case .boolean(let value): append(value ? 1 as UInt8 : 0)
        case .date(let days): append(days - PostgresEpoch.days)
        case .timestamp(let microseconds): append(microseconds - PostgresEpoch.microseconds)
        case .uuid(let high, let low): append(UInt128(high) << 64 | UInt128(low))
        case .string(let text):
            sink.append(bigEndian: Int32(text.utf8.count))
            sink.append(raw: Array(text.utf8))
        case .decimal(let unscaled):
            guard case .decimal(_, let scale) = type else {
                preconditionFailure("a default has its column's type")
            }
            NumericEncoding.append(unscaled: unscaled, scale: scale, to: &sink)
        }
    }
}

/// Where Postgres begins to count: 2000-01-01T00:00Z, from 1970.
enum PostgresEpoch {
    static let days: Int32 = 10_957
    static let microseconds: Int64 = 10_957 * 86_400 * 1_000_000
}

/// A UUID's 36 characters as the 16 bytes that `uuid_recv` takes.
enum UUIDText {
    static func append(
        _ text: some Collection<UInt8>, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        guard text.count == 36 else { throw .badLength(Int64(text.count)) }
        sink.append(bigEndian: Int32(16))
        var high: UInt8?
        var digitCount = 0
        for character in text {
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = character - UInt8(ascii: "A") + 10
            case UInt8(ascii: "-"): continue
            default: throw .badIndex(Int64(character))
            }
            digitCount += 1
            if let first = high {
                sink.append(byte: first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        guard digitCount == 32 else { throw .badLength(Int64(digitCount)) }
    }
}
