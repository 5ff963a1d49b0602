import Crypto

/// All that the dictionary says: the tables, the aggregates and the version that names them.
///
/// A catalog is a value, made whole from its files (`CatalogLoader`) or from the text that a
/// `catalog` control event keeps. It knows nothing of the log or of Postgres.
public struct Catalog: Sendable {
    /// The tables in order of name. A table's place is its branch in the log's union of rows.
    public let tables: [Table]
    /// The aggregates in order of name.
    public let aggregates: [Aggregate]
    /// Every uniqueness rule of every table, in table order; `KeyConstraint.index` is the place.
    public let constraints: [KeyConstraint]
    /// Names these definitions: lower-case hex of the SHA-256 of `text`, as `sha256sum` prints it.
    /// Comments, spacing and the order of keys in the files do not change it; docs do, because the
    /// text and every schema in the log carry them.
    public let version: String
    /// The canonical text, one YAML document a definition, from which `CatalogLoader.load(text:)`
    /// reads the same catalog again.
    public let text: String

    /// The table of that name, if there is one.
    public func table(named name: String) -> Table? {
        tables.first { $0.name == name }
    }

    /// The aggregate of that name, if there is one.
    public func aggregate(named name: String) -> Aggregate? {
        aggregates.first { $0.name == name }
    }

    init(tables: [Table], aggregates: [Aggregate], constraints: [KeyConstraint]) {
        self.tables = tables
        self.aggregates = aggregates
        self.constraints = constraints
        var writer = CanonicalWriter()
        for table in tables { writer.write(table, constraints) }
        for aggregate in aggregates { writer.write(aggregate, of: tables) }
        text = writer.text
        version = SHA256.hash(data: Array(text.utf8)).hexText
    }
}

/// One table of the dictionary.
public struct Table: Sendable {
    /// Its name in the dictionary, in Postgres and in paths of the interface.
    public let name: String
    /// What it holds, for a person; may be empty.
    public let doc: String
    /// Place in `Catalog.tables`, and branch in the log's union of rows.
    public let index: Int
    /// In the order of the file, which is that of Avro's fields and of Postgres's columns.
    public let columns: [Column]
    /// Indexes of the key's columns in key order; empty for an append-only table.
    public let key: [Int]
    /// Further sets of columns whose values may stand in one row only.
    public let unique: [[Int]]
    /// What becomes of a field that no column has.
    public let unknownFields: UnknownFields
    /// What the log keeps of a rejected row.
    public let rejectedRaw: RejectedRaw
    /// Comparisons between columns.
    public let checks: [Check]
    /// The uniqueness and reference rules of this table as the ledger applies them, in order:
    /// the key first (if any), then `unique`, then the references.
    public let slots: [SlotPlan]

    /// Postgres allows 1,600, fewer if they are wide.
    public static let columnCountMax = 1_000
    /// What Postgres allows for an index.
    static let keyColumnCountMax = 32
}

/// What becomes of a field that no column has.
public enum UnknownFields: String, Sendable, CaseIterable { case reject, ignore }

/// What the log keeps of a rejected row's bytes.
public enum RejectedRaw: String, Sendable, CaseIterable {
    /// All of them.
    case full
    /// Their SHA-256 and their number; reasons then quote no values.
    case digest
}

/// One column.
public struct Column: Sendable {
    /// Its name in the table and in incoming rows.
    public let name: String
    /// What it means, for a person; may be empty.
    public let doc: String
    /// What its values are.
    public let type: ColumnType
    /// Whether it may be null: a row may leave it out, or give null or an empty CSV field.
    public let isOptional: Bool
    /// What stands in for a missing value, so that a row may leave it out even if not optional.
    public let defaultValue: ScalarValue?
    /// In Unicode scalars, as Postgres counts.
    public let maxLength: Int?
    /// What the whole of a string must match.
    public let pattern: Pattern?
    /// The least value allowed.
    public let minimum: ScalarValue?
    /// The greatest value allowed.
    public let maximum: ScalarValue?
    /// The only values allowed.
    public let oneOf: [ScalarValue]?
    /// Other names under which incoming rows may have it.
    public let aliases: [String]
}

/// The types of columns, and what each is in Avro and in Postgres.
public enum ColumnType: Sendable, Hashable {
    /// 64 bit: Avro `long`, Postgres `bigint`.
    case integer
    /// Avro `double`, Postgres `double precision`.
    case number
    /// Avro `bytes` with logical type `decimal`, Postgres `numeric(p,s)`; precision at most 38.
    case decimal(precision: Int, scale: Int)
    case boolean
    /// UTF-8: Avro `string`, Postgres `text`.
    case string
    /// Days from 1970-01-01: Avro `int` with logical type `date`, Postgres `date`.
    case date
    /// Microseconds from 1970 UTC: Avro `long`, `timestamp-micros`; Postgres `timestamptz`.
    case timestamp
    /// Avro `string` with logical type `uuid` (36 characters, lower case); Postgres `uuid`.
    case uuid
}

/// One value of a column's type, for defaults, bounds and enumerations. Rows never become these.
public enum ScalarValue: Sendable, Hashable {
    case integer(Int64)
    case number(Double)
    /// The unscaled value: 12.30 at scale 2 is 1230.
    case decimal(unscaled: Int128)
    case boolean(Bool)
    case string(String)
    /// Days from 1970-01-01.
    case date(days: Int32)
    /// Microseconds from 1970-01-01T00:00Z.
    case timestamp(microseconds: Int64)
    /// The 16 bytes, most significant half first.
    case uuid(high: UInt64, low: UInt64)
}

/// A comparison between two columns that every row must pass (rows with a null pass).
public struct Check: Sendable {
    /// Index of the column on the left.
    public let left: Int
    /// What must hold between left and right.
    public let comparison: Comparison
    /// Index of the column on the right.
    public let right: Int
}

/// The comparisons of `check` and `where`.
public enum Comparison: String, Sendable, CaseIterable {
    case less = "<"
    case lessOrEqual = "<="
    case equal = "="
    case notEqual = "!="
    case greaterOrEqual = ">="
    case greater = ">"
}

/// A rule that a set of columns has other values in every row of the table.
public struct KeyConstraint: Sendable, Hashable {
    /// Place in `Catalog.constraints`.
    public let index: Int
    /// Stable name over dictionary versions: `table/column,column`.
    public let name: String
    /// The table whose rows differ in these columns.
    public let table: String
    /// The columns' names, in key order.
    public let columns: [String]
    /// Whether it is one `integer` column (kept as a bitmap) or anything else (as fingerprints).
    public let isInteger: Bool
}

/// One thing that the ledger looks up or takes for a row: its key, a unique set, or a reference.
public struct SlotPlan: Sendable {
    /// What is asked of the values.
    public enum Role: Sendable, Hashable {
        /// The values must be new: `duplicate_key` otherwise.
        case unique
        /// The values must stand in the table that `constraint` belongs to: `unknown_reference`.
        case reference(rejectMissing: Bool)
    }
    /// Whether the values are taken or looked up.
    public let role: Role
    /// The constraint whose values are meant, in `Catalog.constraints`.
    public let constraint: Int
    /// Indexes of this table's columns, in the constraint's order.
    public let columns: [Int]
    /// Whether the values are one integer.
    public let isInteger: Bool
}

/// An aggregate that is kept beside the tables. Loaded and checked here; computed by a projector.
public struct Aggregate: Sendable {
    /// Its name in the dictionary and in Postgres.
    public let name: String
    /// What it says, for a person; may be empty.
    public let doc: String
    /// The table it is made from.
    public let table: String
    /// The columns that tell its rows apart, in order.
    public let groups: [Group]
    /// What is counted in every row, in order.
    public let measures: [Measure]
    /// A simple condition on the rows that count, if any.
    public let condition: Condition?
    /// The IANA name of the zone in which times are cut into years, days and so on.
    public let timeZone: String

    /// One column by which rows are grouped.
    public struct Group: Sendable {
        /// The column's name in the aggregate.
        public let name: String
        /// How the source column's time is cut; absent for the value as it is.
        public let function: TimeFunction?
        /// The source column's name.
        public let column: String
    }

    /// One figure of every group.
    public struct Measure: Sendable {
        /// How the rows' values become one figure.
        public enum Function: String, Sendable { case count, sum, min, max, avg }
        /// The column's name in the aggregate.
        public let name: String
        /// How the rows' values become one figure.
        public let function: Function
        /// Absent for `count`.
        public let column: String?
    }

    /// A comparison of a column with a value.
    public struct Condition: Sendable {
        /// The source column's name, on the left.
        public let column: String
        /// What must hold for a row to count.
        public let comparison: Comparison
        /// The value on the right, of the column's type.
        public let value: ScalarValue
    }

    /// What part of a time a group is made of, or how wide its buckets are.
    public enum TimeFunction: Sendable, Hashable {
        case year, quarter, month, day, date, hour, minute
        /// Whole multiples of a width, from 1970-01-01T00:00Z.
        case bucket(seconds: Int64)
    }
}
