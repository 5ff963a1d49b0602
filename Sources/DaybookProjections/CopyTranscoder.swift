import Avro
import DaybookCatalog
import DaybookLog

/// Turns a table's rows from Postgres's binary COPY into Avro's binary encoding, in one loop over
/// the columns: the other way round than `RowTranscoder`.
///
/// Sources: PostgreSQL, the `*_send` functions of the types; Avro 1.11, "Binary Encoding".
public struct CopyTranscoder: Sendable {
    fileprivate enum Form: Sendable {
        case integer, number, boolean, string, date, timestamp, uuid
        case decimal(scale: Int)
    }

    private struct Field: Sendable {
        let form: Form
        let isOptional: Bool
    }

    /// What a COPY must select, in order: the table's columns, cast to the dictionary's types, and
    /// `ledger_position`.
    public let columns: [(name: String, sqlType: String)]
    /// The schema of the rows that are written.
    public let schema: AvroSchema
    private let fields: [Field]

    /// A transcoder of `table`'s rows.
    public init(_ table: Table) {
        columns =
            table.columns.map { ($0.name, $0.type.sqlType) } + [(Table.positionColumn, "bigint")]
        fields =
            table.columns.map { Field(form: Form($0.type), isOptional: $0.isOptional) }
            + [Field(form: .integer, isOptional: false)]
        guard case .record(var record)? = try? AvroSchema(json: table.avroSchema) else {
            preconditionFailure("a table's schema is a record")
        }
        record.fields.append(.init(Table.positionColumn, .long(), doc: "Position of its event"))
        schema = .record(record)
    }

    /// Appends the Avro bytes of a row as it stands in a COPY of `columns`.
    ///
    /// - Throws: `Fault` if a value is none that an event can have; the sink may hold a part of the
    ///   row then.
    public func append(
        _ row: UnsafeRawBufferPointer, to sink: inout ByteSink
    ) throws(Fault) {
        guard row.count >= 2,
            Int(Int16(bigEndian: row.loadUnaligned(as: Int16.self))) == fields.count
        else { throw Fault(column: "", what: "is no row of a COPY") }
        var place = 2
        for index in fields.indices {
            guard place + 4 <= row.count else { throw fault(index, "is cut") }
            let count = Int(
                Int32(bigEndian: row.loadUnaligned(fromByteOffset: place, as: Int32.self)))
            place += 4
            let field = fields[index]
            if count < 0 {
                guard field.isOptional else { throw fault(index, "is null") }
                sink.append(byte: 0)
                continue
            }
            guard place + count <= row.count else { throw fault(index, "is cut") }
            if field.isOptional { sink.append(byte: 2) }
            let value = UnsafeRawBufferPointer(rebasing: row[place..<place + count])
            guard CopyTranscoder.append(field.form, value, to: &sink) else {
                throw fault(index, "is no value that an event can have")
            }
            place += count
        }
        guard place == row.count else { throw Fault(column: "", what: "is no row of a COPY") }
    }

    private func fault(_ index: Int, _ what: String) -> Fault {
        Fault(column: columns[index].name, what: what)
    }

    /// False if the value is none of the type, or none that an event can have.
    @inline(__always)
    private static func append(
        _ form: Form, _ value: UnsafeRawBufferPointer, to sink: inout ByteSink
    ) -> Bool {
        switch form {
        case .string: sink.append(bytes: value)
        case .integer:
            guard let number = load(Int64.self, value) else { return false }
            sink.append(long: number)
        case .timestamp:
            // The ends of the range are Postgres's infinities.
            guard let time = load(Int64.self, value), time != .max, time != .min else {
                return false
            }
            let (moved, isTooFar) = time.addingReportingOverflow(PostgresEpoch.microseconds)
            if isTooFar { return false }
            sink.append(long: moved)
        case .date:
            guard let day = load(Int32.self, value), day != .max, day != .min else { return false }
            let (moved, isTooFar) = day.addingReportingOverflow(PostgresEpoch.days)
            if isTooFar { return false }
            sink.append(long: Int64(moved))
        case .number:
            guard let bits = load(UInt64.self, value), Double(bitPattern: bits).isFinite else {
                return false
            }
            sink.append(littleEndian: bits)
        case .boolean:
            guard let byte = load(UInt8.self, value) else { return false }
            sink.append(byte: byte == 0 ? 0 : 1)
        case .uuid:
            guard let bits = load(UInt128.self, value) else { return false }
            sink.append(
                value: .uuid(
                    high: UInt64(truncatingIfNeeded: bits >> 64),
                    low: UInt64(truncatingIfNeeded: bits)))
        case .decimal(let scale):
            return appendDecimal(value, scale: scale, to: &sink)
        }
        return true
    }

    private static func appendDecimal(
        _ value: UnsafeRawBufferPointer, scale: Int, to sink: inout ByteSink
    ) -> Bool {
        guard value.count >= 8 else { return false }
        func word(_ place: Int) -> UInt16 {
            UInt16(bigEndian: value.loadUnaligned(fromByteOffset: place * 2, as: UInt16.self))
        }
        // NaN and the infinities have signs of their own. 38 digits are ten groups and two halves.
        guard word(2) == 0 || word(2) == 0x4000, word(0) <= 12,
            value.count == 8 + 2 * Int(word(0)), Int16(bitPattern: word(1)) < 10
        else { return false }
        sink.append(decimal: NumericDecoding.unscaled(value, scale: scale))
        return true
    }

    @inline(__always)
    private static func load<Value: FixedWidthInteger>(
        _ type: Value.Type, _ bytes: UnsafeRawBufferPointer
    ) -> Value? {
        guard bytes.count == MemoryLayout<Value>.size else { return nil }
        return Value(bigEndian: bytes.loadUnaligned(as: Value.self))
    }
}

extension CopyTranscoder {
    /// A value that no event can have: somebody has written it into the table.
    public struct Fault: Error, Sendable, Equatable {
        /// The column; empty if the row is none at all.
        public let column: String
        /// What is wrong with it; no row data.
        public let what: String
    }
}

extension CopyTranscoder.Form {
    fileprivate init(_ type: ColumnType) {
        switch type {
        case .integer: self = .integer
        case .number: self = .number
        case .decimal(_, let scale): self = .decimal(scale: scale)
        case .boolean: self = .boolean
        case .string: self = .string
        case .date: self = .date
        case .timestamp: self = .timestamp
        case .uuid: self = .uuid
        }
    }
}
