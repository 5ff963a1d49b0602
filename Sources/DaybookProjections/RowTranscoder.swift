import Avro
import DaybookCatalog
import DaybookLog

/// Turns a table's rows from Avro's binary encoding into Postgres's binary COPY, in one loop over
/// the columns and without building anything.
///
/// Sources: `RowResolution` for rows of an older dictionary; Avro 1.11, "Binary Encoding";
/// PostgreSQL documentation, COPY, "Binary Format", and the `*_recv` functions of the types.
struct RowTranscoder: Sendable {
    /// How a value was written, and what becomes of it.
    fileprivate enum Form: Sendable {
        case integer, number, boolean, string, date, timestamp, uuid
        /// A decimal's own scale goes with its values; the column has as many digits or more.
        case decimal(scale: Int)
        /// An `integer` whose column is a `number` now.
        case integerAsNumber
    }

    private struct Field {
        let form: Form
        let isOptional: Bool
        /// Whether the table has no such column.
        let isSkipped: Bool
        /// What a null becomes: a range of `constants`.
        let null: Range<Int>
    }

    /// The columns that a COPY of these rows names, in order.
    let columns: [String]
    private let fields: [Field]
    /// A COPY's null, then the defaults that stand for nulls.
    private let constants: [UInt8]
    /// The defaults of columns that the rows do not have, as they stand in a COPY.
    private let defaults: [UInt8]

    /// A transcoder to `table` from rows that were written under the schema `record`.
    ///
    /// - Throws: `ProjectionFault.cannotApply` if the rows cannot be read as the table's.
    init(_ record: AvroSchema.Record, table: Table) throws {
        let resolution: RowResolution
        do {
            resolution = try RowResolution(record, table: table)
        } catch {
            throw ProjectionFault.cannotApply(
                projection: table.name,
                reason: error.columns.map(\.description).joined(separator: "\n"))
        }
        var present: [String] = []
        var constants = ByteSink()
        constants.append(bigEndian: Int32(-1))
        fields = resolution.fields.map { field in
            let column = field.column.map { table.columns[$0] }
            if let column { present.append(column.name) }
            var null = 0..<4
            if let column, !column.isOptional, let value = column.defaultValue {
                let start = constants.count
                value.appendCopyField(type: column.type, to: &constants)
                null = start..<constants.count
            }
            return Field(
                form: Form(field.type, as: column?.type ?? field.type),
                isOptional: field.isOptional, isSkipped: column == nil, null: null)
        }
        var defaults = ByteSink()
        for (column, field) in zip(table.columns, resolution.fieldOf) where field == nil {
            // An optional column is left out of the COPY, and so null.
            guard !column.isOptional, let value = column.defaultValue else { continue }
            value.appendCopyField(type: column.type, to: &defaults)
            present.append(column.name)
        }
        columns = present + [Table.positionColumn]
        self.constants = Array(constants.unsafeBytes)
        self.defaults = Array(defaults.unsafeBytes)
    }

    /// Appends one row of a COPY: the row at `cursor`, and its position.
    func append(
        _ cursor: inout ByteCursor, position: Position, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        try appendColumns(&cursor, to: &sink)
        sink.append(bigEndian: Int32(8))
        sink.append(bigEndian: position)
    }

    /// Appends one row of a COPY but for its last field, the position.
    @inline(__always)
    func appendColumns(
        _ cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(columns.count))
        for field in fields {
            if field.isOptional, try cursor.readIndex(below: 2) == 0 {
                if !field.isSkipped { appendConstant(field.null, to: &sink) }
            } else if field.isSkipped {
                try RowTranscoder.skip(field.form, &cursor)
            } else {
                try RowTranscoder.append(field.form, &cursor, to: &sink)
            }
        }
        sink.append(raw: defaults)
    }

    @inline(__always)
    private func appendConstant(_ range: Range<Int>, to sink: inout ByteSink) {
        constants.withUnsafeBytes { sink.append(raw: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    @inline(__always)
    private static func append(
        _ form: Form, _ cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        switch form {
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
        case .decimal(let scale):
            try NumericEncoding.append(try cursor.readBytes(), scale: scale, to: &sink)
        case .integerAsNumber:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: Double(try cursor.readLong()).bitPattern)
        }
    }

    private static func skip(
        _ form: Form, _ cursor: inout ByteCursor
    ) throws(AvroDecodingError) {
        switch form {
        case .integer, .integerAsNumber, .timestamp, .date: try cursor.skipLong()
        case .number: try cursor.skip(8)
        case .boolean: _ = try cursor.readBoolean()
        case .string, .uuid, .decimal: _ = try cursor.readBytes()
        }
    }
}

extension RowTranscoder.Form {
    /// How a value of `written` is read for a column of `type`, as which it can be read.
    fileprivate init(_ written: ColumnType, as type: ColumnType) {
        switch written {
        case .integer: self = type == .number ? .integerAsNumber : .integer
        case .number: self = .number
        case .boolean: self = .boolean
        case .string: self = .string
        case .date: self = .date
        case .timestamp: self = .timestamp
        case .uuid: self = type == .string ? .string : .uuid
        case .decimal(_, let scale): self = .decimal(scale: scale)
        }
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
