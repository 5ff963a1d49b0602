import Avro
import DaybookCatalog

/// How a value stands in an Avro file and what it is taken for: flat and without references, so
/// that walking a row counts none.
enum AvroReading {
    case null
    case boolean
    /// An `int` or `long` that is only a number.
    case whole
    case float, double
    case text
    /// An enum: a range of the plan's symbols.
    case symbol(first: Int, count: Int)
    /// Days from 1970-01-01.
    case date
    /// From 1970-01-01T00:00. A local timestamp has no time zone, and is taken as UTC.
    case milliseconds, microseconds
    /// `bytes`, with or without a meaning that no column has.
    case bytes
    /// A decimal as `bytes`.
    case decimal(scale: Int)
    /// A fixed, and a decimal in one.
    case fixed(byteCount: Int)
    case fixedDecimal(scale: Int, byteCount: Int)
    /// A record, array or map: the number of its skipper in the plan.
    case nested(Int)
}

/// Where the value of a column stands in the row that is being judged.
struct AvroPlace {
    var cursor = ByteCursor(UnsafeRawBufferPointer(start: nil, count: 0))
    var reading = AvroReading.null
}

/// The fields of an Avro file made ready for judging, beside the table's own plan.
// @unchecked: what the pointers point to is written before `init` returns, never after, and freed
// in `deinit`. They stand for arrays because a row must not count references to its own plan.
final class AvroRowPlan: @unchecked Sendable {
    /// A field of the file.
    private struct Field {
        /// The column that takes it, or -1.
        let column: Int
        /// Ranges of `readings`: one for each branch of a union, else a single one.
        let first: Int
        let count: Int
        let isUnion: Bool
    }

    private let fields: UnsafeBufferPointer<Field>
    private let readings: UnsafeBufferPointer<AvroReading>
    private let skippers: [AvroSkipper]
    /// The symbols of all enums.
    let symbols: [[UInt8]]
    /// How a row is shown to people.
    let text: AvroRowText

    /// A plan for rows of `schema` as rows of `table`.
    ///
    /// Throws `unusableFile` if the file's values are no records, or no column has a field, and
    /// `repeatedColumn` if two fields are for one.
    init(_ schema: AvroSchema, table: Table) throws(IntakeError) {
        guard case .record(let record) = schema else {
            throw .unusableFile("its values are of type \(schema.kind), not records")
        }
        var draft = Draft(definitions: schema.definitions)
        var fields: [Field] = []
        var taken = Set<Int>()
        for field in record.fields {
            let column = table.column(called: field.name)
            if let column, !taken.insert(column).inserted { throw .repeatedColumn(field.name) }
            let branches = draft.branches(of: field.schema)
            let first = draft.readings.count
            for branch in branches.schemas { draft.add(branch) }
            fields.append(
                Field(
                    column: column ?? -1, first: first, count: branches.schemas.count,
                    isUnion: branches.isUnion))
        }
        guard !taken.isEmpty else {
            let names = record.fields.map(\.name).joined(separator: ", ")
            throw .unusableFile(
                ReasonText.cut("none of its fields is a column of \(table.name); it has \(names)"))
        }
        self.fields = Self.memory(fields)
        readings = Self.memory(draft.readings)
        skippers = draft.skippers
        symbols = draft.symbols
        text = AvroRowText(
            record, definitions: schema.definitions,
            kinds: fields.map { $0.column < 0 ? nil : ColumnPlan(table.columns[$0.column]).kind })
    }

    deinit {
        fields.deallocate()
        readings.deallocate()
    }

    private static func memory<T>(_ values: [T]) -> UnsafeBufferPointer<T> {
        let memory = UnsafeMutableBufferPointer<T>.allocate(capacity: values.count)
        _ = memory.initialize(from: values)
        return UnsafeBufferPointer(memory)
    }

    /// Passes over one row, and notes in `places` where the value of each column stands that the
    /// file has.
    func scan(
        _ cursor: inout ByteCursor, _ places: UnsafeMutablePointer<AvroPlace>
    ) throws(AvroDecodingError) {
        for index in 0..<fields.count {
            let field = fields[index]
            let branch = field.isUnion ? try cursor.readIndex(below: field.count) : 0
            let reading = readings[field.first + branch]
            if field.column >= 0 {
                places[field.column].cursor = cursor
                places[field.column].reading = reading
            }
            try skip(reading, &cursor)
        }
    }

    @inline(__always)
    private func skip(
        _ reading: AvroReading, _ cursor: inout ByteCursor
    ) throws(AvroDecodingError) {
        switch reading {
        case .null: break
        case .boolean: _ = try cursor.readBoolean()
        case .whole, .date, .milliseconds, .microseconds: try cursor.skipLong()
        case .float: try cursor.skip(4)
        case .double: try cursor.skip(8)
        case .text, .bytes, .decimal: _ = try cursor.readBytes()
        case .symbol(_, let count): _ = try cursor.readIndex(below: count)
        case .fixed(let byteCount), .fixedDecimal(_, let byteCount): try cursor.skip(byteCount)
        case .nested(let skipper): try skippers[skipper].skip(&cursor)
        }
    }
}

/// The plan while its fields are compiled.
private struct Draft {
    let definitions: [AvroName: AvroSchema]
    var readings: [AvroReading] = []
    var skippers: [AvroSkipper] = []
    var symbols: [[UInt8]] = []

    init(definitions: [AvroName: AvroSchema]) { self.definitions = definitions }

    func branches(of schema: AvroSchema) -> (schemas: [AvroSchema], isUnion: Bool) {
        if case .union(let branches) = schema { return (branches, true) }
        return ([schema], false)
    }

    mutating func add(_ schema: AvroSchema) {
        readings.append(reading(of: schema))
    }

    private mutating func reading(of schema: AvroSchema) -> AvroReading {
        switch schema {
        case .null: return .null
        case .boolean: return .boolean
        case .int(let logical): return logical == .date ? .date : .whole
        case .long(let logical):
            switch logical {
            case .timestampMillis, .localTimestampMillis: return .milliseconds
            case .timestampMicros, .localTimestampMicros: return .microseconds
            default: return .whole
            }
        case .float: return .float
        case .double: return .double
        case .string: return .text
        case .bytes(let logical):
            return AvroScalars.scale(logical).map { .decimal(scale: $0) } ?? .bytes
        case .fixed(let fixed):
            let count = fixed.byteCount
            return AvroScalars.scale(fixed.logicalType)
                .map { .fixedDecimal(scale: $0, byteCount: count) } ?? .fixed(byteCount: count)
        case .enumeration(let enumeration):
            let first = symbols.count
            symbols += enumeration.symbols.map { Array($0.utf8) }
            return .symbol(first: first, count: enumeration.symbols.count)
        case .reference(let name):
            guard let definition = definitions[name] else {
                preconditionFailure("a schema that was read defines what it refers to")
            }
            return reading(of: definition)
        case .record, .array, .map, .union:
            skippers.append(AvroSkipper(schema, definitions: definitions))
            return .nested(skippers.count - 1)
        }
    }
}
