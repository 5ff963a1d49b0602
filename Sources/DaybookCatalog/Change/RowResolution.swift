import Avro

/// How rows that were written under one schema are read as the rows of a table that may have
/// changed since.
///
/// Columns are found by name, in whatever order they were written; a field that the table does not
/// have is passed over. What resolves:
///
/// - `integer` as `number`, and a decimal as one with as many digits or more on both sides of the
///   point; `uuid` as `string`;
/// - required as optional, and optional as required if the column has a default, which then stands
///   for the nulls, as it does for a row that comes without a value;
/// - a column that the rows lack, as its default if it is required and has one, as null if it is
///   optional.
///
/// Nothing else does: a value is never guessed or cut.
///
/// Source: Apache Avro 1.11 specification, "Schema Resolution".
public struct RowResolution: Sendable {
    /// One field of the rows, as it was written.
    public struct Field: Sendable, Hashable {
        /// The column's name when the rows were written.
        public let name: String
        /// The type under which the value was encoded.
        public let type: ColumnType
        /// Whether a branch number stands before the value: 0 for null.
        public let isOptional: Bool
        /// Index of the table's column; nil if the table does not have it any more.
        public let column: Int?
    }

    /// In the order in which they are encoded.
    public let fields: [Field]
    /// For every column of the table the field that it is read from; nil if the rows lack it.
    public let fieldOf: [Int?]

    /// The way from rows of the schema `record` to those of `table`.
    ///
    /// - Throws: `UnreadableColumns` with every column that does not resolve.
    public init(_ record: AvroSchema.Record, table: Table) throws(UnreadableColumns) {
        var faults: [UnreadableColumn] = []
        var fields: [Field] = []
        var fieldOf: [Int?] = Array(repeating: nil, count: table.columns.count)
        for field in record.fields {
            let place = table.columns.firstIndex { $0.name == field.name }
            guard let (type, isOptional) = ColumnType.written(as: field.schema) else {
                faults.append(.init(foreign: field, in: table))
                continue
            }
            if let place {
                let column = table.columns[place]
                if let fault = UnreadableColumn(column, of: table, from: type, isOptional) {
                    faults.append(fault)
                }
                fieldOf[place] = fields.count
            }
            fields.append(
                Field(name: field.name, type: type, isOptional: isOptional, column: place))
        }
        let known = Set(record.fields.map(\.name))
        for column in table.columns where !known.contains(column.name) {
            if column.isOptional || column.defaultValue != nil { continue }
            faults.append(UnreadableColumn(missing: column, of: table))
        }
        guard faults.isEmpty else { throw UnreadableColumns(columns: faults) }
        self.fields = fields
        self.fieldOf = fieldOf
    }
}

/// Columns of one table that older rows cannot be read as.
public struct UnreadableColumns: Error, Sendable, Equatable {
    /// One or more, in the order in which the rows were written, those that they lack last.
    public let columns: [UnreadableColumn]
}

/// A column that rows in the log cannot be read as: where, why, and what would be right.
public struct UnreadableColumn: Sendable, Hashable, CustomStringConvertible {
    /// The table that has the column.
    public let table: String
    /// The column's name in the rows, and in the dictionary if that has it.
    public let column: String
    /// Its type in the rows, as the dictionary writes it; nil if they lack it.
    public let written: String?
    /// Its type in the dictionary.
    public let wanted: String
    /// What would be right.
    public let remedy: String

    /// `table.column is integer, and string in events of the log; what would be right`
    public var description: String {
        let found = written.map { "and \($0) in events of the log" } ?? "and events lack it"
        return "\(table).\(column) is \(wanted), \(found); \(remedy)"
    }

    /// Nil if a value of `type` can stand in `column`.
    fileprivate init?(
        _ column: Column, of table: Table, from type: ColumnType, _ isOptional: Bool
    ) {
        let isReadable = type.isReadable(as: column.type)
        let hasNoPlace = isOptional && !column.isOptional && column.defaultValue == nil
        if isReadable && !hasNoPlace { return nil }
        self.table = table.name
        self.column = column.name
        written = (isOptional ? "optional " : "") + "\(type)"
        wanted =
            (column.isOptional ? "optional " : hasNoPlace ? "required " : "") + "\(column.type)"
        remedy =
            isReadable
            ? "leave it optional, or give it a default, which then stands for their nulls"
            : "make it \(type.readableAs), and give what changes a column of another name"
    }

    fileprivate init(missing column: Column, of table: Table) {
        self.table = table.name
        self.column = column.name
        written = nil
        wanted = "required \(column.type)"
        remedy = "make it optional, or give it a default, which then stands for them"
    }

    fileprivate init(foreign field: AvroSchema.Field, in table: Table) {
        self.table = table.name
        column = field.name
        written = "of a type that no column has"
        wanted = table.columns.first { $0.name == field.name }.map { "\($0.type)" } ?? "gone"
        remedy = "the log was written by another program; read it with that"
    }
}

extension Catalog {
    /// What rows written under `records` cannot be read as, tables in order of name, each column
    /// once for every type that it was written with. Tables that this catalog does not have are
    /// not read, and so never in the way.
    public func unreadable(_ records: some Sequence<AvroSchema.Record>) -> [UnreadableColumn] {
        var faults: [UnreadableColumn] = []
        for record in records {
            guard let table = table(named: record.name.name) else { continue }
            do {
                _ = try RowResolution(record, table: table)
            } catch {
                faults += error.columns.filter { !faults.contains($0) }
            }
        }
        return faults.sorted { ($0.table, $0.column) < ($1.table, $1.column) }
    }
}

extension ColumnType {
    /// The type whose values are written under `schema`, and whether they may be null; nil if there
    /// is no such type.
    public static func written(as schema: AvroSchema) -> (type: Self, isOptional: Bool)? {
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

    /// Whether every value of this type is one of another.
    func isReadable(as column: ColumnType) -> Bool {
        switch (self, column) {
        case (.decimal(let precision, let scale), .decimal(let wider, let columnScale)):
            scale <= columnScale && precision - scale <= wider - columnScale
        case (.integer, .number), (.uuid, .string): true
        default: self == column
        }
    }

    /// The types as which values of this one can be read, for a person.
    fileprivate var readableAs: String {
        switch self {
        case .integer: "integer or number"
        case .uuid: "uuid or string"
        case .decimal(let precision, let scale):
            "\(self), or a decimal with \(precision - scale) digits or more before the point and "
                + "\(scale) or more after it"
        default: "\(self) again"
        }
    }
}
