import Avro
import DaybookCatalog
import DaybookLog

/// Turns a table's rows from Avro's binary encoding into Postgres's binary COPY, in one loop over the
/// columns and without building anything.
///
/// Sources: Avro 1.11, "Binary Encoding"; PostgreSQL documentation, COPY, "Binary Format", and the
/// `*_recv` functions of the types. A column that the rows' schema does not have is left out of the
/// COPY and so null; one that the table does not have is passed over.
struct RowTranscoder: Sendable {
    /// What is done with one field of a row.
    fileprivate enum Step: UInt8 {
        case bigint, double, boolean, text, date, timestamp, uuid, numeric
        case skipVarint, skipDouble, skipBoolean, skipBytes
    }

    private struct Field {
        let step: Step
        let isOptional: Bool
        let scale: Int16
    }

    /// The columns that a COPY of these rows names, in order.
    let columns: [String]
    private let fields: [Field]

    /// A transcoder from rows of `shape` to `table`.
    ///
    /// - Throws: `ProjectionFault.cannotApply` if the rows cannot be read as the table's.
    init(shape: RowShape, table: Table) throws {
        var columns: [String] = []
        var fields: [Field] = []
        for field in shape.fields {
            guard let column = table.columns.first(where: { $0.name == field.name }) else {
                fields.append(
                    Field(step: .skip(field.kind), isOptional: field.isOptional, scale: 0))
                continue
            }
            guard field.kind == RowTranscoder.kind(column.type) else {
                throw ProjectionFault.cannotApply(
                    projection: table.name,
                    reason: "column \(column.name) had another type when these events were written")
            }
            var scale: Int16 = 0
            if case .decimal(_, let digits) = column.type { scale = Int16(digits) }
            fields.append(
                Field(step: .of(column.type), isOptional: field.isOptional, scale: scale))
            columns.append(column.name)
        }
        for column in table.columns where !column.isOptional && !columns.contains(column.name) {
            throw ProjectionFault.cannotApply(
                projection: table.name,
                reason: "column \(column.name) is required and older events do not have it")
        }
        self.columns = columns + [Table.positionColumn]
        self.fields = fields
    }

    private static func kind(_ type: ColumnType) -> RowShape.Kind {
        switch type {
        case .integer, .date, .timestamp: .varint
        case .number: .eightBytes
        case .boolean: .boolean
        case .decimal, .string, .uuid: .lengthPrefixed
        }
    }

    /// Appends one row of a COPY: the row at `cursor`, and its position.
    func append(
        _ cursor: inout ByteCursor, position: Position, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        sink.append(bigEndian: Int16(columns.count))
        for field in fields {
            if field.isOptional {
                let branch = try cursor.readLong()
                guard branch == 0 || branch == 1 else { throw .badIndex(branch) }
                if branch == 0 {
                    if field.step.rawValue < Step.skipVarint.rawValue {
                        sink.append(bigEndian: Int32(-1))
                    }
                    continue
                }
            }
            try append(field, &cursor, to: &sink)
        }
        sink.append(bigEndian: Int32(8))
        sink.append(bigEndian: position)
    }

    @inline(__always)
    private func append(
        _ field: Field, _ cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        switch field.step {
        case .bigint:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readLong())
        case .timestamp:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readLong() &- PostgresEpoch.microseconds)
        case .date:
            sink.append(bigEndian: Int32(4))
            let days = try cursor.readLong() &- Int64(PostgresEpoch.days)
            sink.append(bigEndian: Int32(truncatingIfNeeded: days))
        case .text:
            let bytes = try cursor.readBytes()
            sink.append(bigEndian: Int32(truncatingIfNeeded: bytes.count))
            sink.append(raw: bytes)
        case .double:
            sink.append(bigEndian: Int32(8))
            sink.append(bigEndian: try cursor.readDouble().bitPattern)
        case .boolean:
            sink.append(bigEndian: Int32(1))
            sink.append(byte: try cursor.readBoolean() ? 1 : 0)
        case .uuid:
            try UUIDText.append(try cursor.readBytes(), to: &sink)
        case .numeric:
            NumericEncoding.append(try cursor.readBytes(), scale: field.scale, to: &sink)
        case .skipVarint: _ = try cursor.readLong()
        case .skipDouble: try cursor.skip(8)
        case .skipBoolean: _ = try cursor.readBoolean()
        case .skipBytes: _ = try cursor.readBytes()
        }
    }
}

extension RowTranscoder.Step {
    fileprivate static func of(_ type: ColumnType) -> Self {
        switch type {
        case .integer: .bigint
        case .number: .double
        case .decimal: .numeric
        case .boolean: .boolean
        case .string: .text
        case .date: .date
        case .timestamp: .timestamp
        case .uuid: .uuid
        }
    }

    fileprivate static func skip(_ kind: RowShape.Kind) -> Self {
        switch kind {
        case .varint: .skipVarint
        case .eightBytes: .skipDouble
        case .boolean: .skipBoolean
        case .lengthPrefixed: .skipBytes
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
        _ text: UnsafeRawBufferPointer, to sink: inout ByteSink
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
