/// The full name of a record, enum or fixed.
public struct AvroName: Hashable, Sendable, CustomStringConvertible {
    /// The namespace, a dot, and the name; only the name where there is no namespace.
    public let fullName: String

    /// A full name as it is; whether it is well-formed is judged where a schema is parsed.
    public init(_ fullName: String) {
        self.fullName = fullName
    }

    /// The last part.
    public var name: String {
        fullName.split(separator: ".").last.map(String.init) ?? fullName
    }

    /// All but the last part; empty where there is none.
    public var namespace: String {
        fullName.lastIndex(of: ".").map { String(fullName[..<$0]) } ?? ""
    }

    /// The full name.
    public var description: String { fullName }
}

/// What a value means beyond its encoding.
///
/// Source: Apache Avro 1.11 specification, "Logical Types". A logical type that is unknown, or that
/// does not fit its type (a scale above the precision), is ignored, as the specification wants.
public enum AvroLogicalType: Hashable, Sendable {
    /// On `bytes` or `fixed`: an unscaled big-endian two's complement integer.
    case decimal(precision: Int, scale: Int)
    /// On `string`: a UUID in RFC 4122's text form.
    case uuid
    /// On `int`: days since 1970-01-01.
    case date
    /// On `int`: milliseconds since midnight.
    case timeMillis
    /// On `long`: microseconds since midnight.
    case timeMicros
    /// On `long`: milliseconds since 1970-01-01T00:00:00Z.
    case timestampMillis
    /// On `long`: microseconds since 1970-01-01T00:00:00Z.
    case timestampMicros
    /// On `long`: milliseconds since 1970-01-01T00:00:00 in a time zone that is not told.
    case localTimestampMillis
    /// On `long`: microseconds since 1970-01-01T00:00:00 in a time zone that is not told.
    case localTimestampMicros
    /// On a `fixed` of 12: months, days and milliseconds, each as 32 bits, little endian.
    case duration
}

/// An Avro schema.
///
/// Source: Apache Avro 1.11 specification, "Schema Declaration". A schema that came from
/// `init(json:)` is valid. A named type stands in full where it is first used; later uses are
/// `reference`s, looked up in `definitions`, so a recursive type needs no cycle in memory.
public indirect enum AvroSchema: Hashable, Sendable {
    /// No value; no bytes.
    case null
    /// One byte.
    case boolean
    /// 32 bits, as a varint.
    case int(AvroLogicalType? = nil)
    /// 64 bits, as a varint.
    case long(AvroLogicalType? = nil)
    /// IEEE 754, 4 bytes.
    case float
    /// IEEE 754, 8 bytes.
    case double
    /// Bytes behind their count.
    case bytes(AvroLogicalType? = nil)
    /// UTF-8 behind its byte count.
    case string(AvroLogicalType? = nil)
    /// Fields, one after the other.
    case record(Record)
    /// One of a list of symbols.
    case enumeration(Enumeration)
    /// Items, in blocks.
    case array(AvroSchema)
    /// Values by string keys, in blocks.
    case map(AvroSchema)
    /// A fixed number of bytes.
    case fixed(Fixed)
    /// One of several branches, by number.
    case union([AvroSchema])
    /// A named type that is defined elsewhere in the schema.
    case reference(AvroName)

    /// A record: named fields in an order.
    public struct Record: Hashable, Sendable {
        /// Its full name.
        public var name: AvroName
        /// Other full names under which a writer may have known it.
        public var aliases: [AvroName]
        /// Its documentation.
        public var doc: String?
        /// Its fields, in the order of their encoding.
        public var fields: [Field]

        /// A record of `fields`.
        public init(
            _ name: String, aliases: [String] = [], doc: String? = nil, fields: [Field]
        ) {
            self.name = AvroName(name)
            self.aliases = aliases.map(AvroName.init)
            self.doc = doc
            self.fields = fields
        }

        /// The place of the field called `name`.
        public func index(of name: String) -> Int? {
            fields.firstIndex { $0.name == name }
        }
    }

    /// A field of a record.
    public struct Field: Hashable, Sendable {
        /// Its name.
        public var name: String
        /// Other names under which a writer may have known it.
        public var aliases: [String]
        /// Its documentation.
        public var doc: String?
        /// What it holds.
        public var schema: AvroSchema
        /// What a reader takes where the writer had no such field, as JSON.
        public var defaultValue: AvroJSON?
        /// How it counts when records are sorted.
        public var order: Order

        /// A field that holds `schema`.
        public init(
            _ name: String, _ schema: AvroSchema, defaultValue: AvroJSON? = nil,
            aliases: [String] = [], doc: String? = nil, order: Order = .ascending
        ) {
            self.name = name
            self.aliases = aliases
            self.doc = doc
            self.schema = schema
            self.defaultValue = defaultValue
            self.order = order
        }
    }

    /// How a field counts when records are sorted.
    public enum Order: String, Hashable, Sendable {
        /// Smallest first.
        case ascending
        /// Largest first.
        case descending
        /// Not at all.
        case ignore
    }

    /// An enum: a list of symbols.
    public struct Enumeration: Hashable, Sendable {
        /// Its full name.
        public var name: AvroName
        /// Other full names under which a writer may have known it.
        public var aliases: [AvroName]
        /// Its documentation.
        public var doc: String?
        /// Its symbols; a value is encoded as the place in this list.
        public var symbols: [String]
        /// What a reader takes for a symbol it does not know.
        public var defaultSymbol: String?

        /// An enum of `symbols`.
        public init(
            _ name: String, aliases: [String] = [], doc: String? = nil, symbols: [String],
            defaultSymbol: String? = nil
        ) {
            self.name = AvroName(name)
            self.aliases = aliases.map(AvroName.init)
            self.doc = doc
            self.symbols = symbols
            self.defaultSymbol = defaultSymbol
        }
    }

    /// A fixed: bytes without a count before them.
    public struct Fixed: Hashable, Sendable {
        /// Its full name.
        public var name: AvroName
        /// Other full names under which a writer may have known it.
        public var aliases: [AvroName]
        /// How many bytes a value has.
        public var byteCount: Int
        /// What the bytes mean: `decimal` or `duration`.
        public var logicalType: AvroLogicalType?

        /// A fixed of `byteCount` bytes.
        public init(
            _ name: String, aliases: [String] = [], byteCount: Int,
            logicalType: AvroLogicalType? = nil
        ) {
            self.name = AvroName(name)
            self.aliases = aliases.map(AvroName.init)
            self.byteCount = byteCount
            self.logicalType = logicalType
        }
    }
}

extension AvroSchema {
    /// Every named type that this schema defines, by its full name.
    public var definitions: [AvroName: AvroSchema] {
        var found: [AvroName: AvroSchema] = [:]
        collectDefinitions(into: &found)
        return found
    }

    private func collectDefinitions(into found: inout [AvroName: AvroSchema]) {
        if let typeName { found[typeName] = self }
        switch self {
        case .record(let record):
            for field in record.fields { field.schema.collectDefinitions(into: &found) }
        case .array(let item), .map(let item): item.collectDefinitions(into: &found)
        case .union(let branches):
            for branch in branches { branch.collectDefinitions(into: &found) }
        default: break
        }
    }

    /// The full name, if this is the definition of a named type.
    public var typeName: AvroName? {
        switch self {
        case .record(let record): record.name
        case .enumeration(let enumeration): enumeration.name
        case .fixed(let fixed): fixed.name
        default: nil
        }
    }

    /// The logical type, if there is one.
    public var logicalType: AvroLogicalType? {
        switch self {
        case .int(let logical), .long(let logical), .bytes(let logical), .string(let logical):
            logical
        case .fixed(let fixed): fixed.logicalType
        default: nil
        }
    }

    /// For `[null, T]` and `[T, null]`: T, and the branches' numbers.
    public var optional: (schema: AvroSchema, nullBranch: Int, valueBranch: Int)? {
        guard case .union(let branches) = self, branches.count == 2,
            let null = branches.firstIndex(of: .null)
        else { return nil }
        return (branches[1 - null], null, 1 - null)
    }

    /// The type's word in the specification, or a reference's name.
    public var kind: String {
        switch self {
        case .null: "null"
        case .boolean: "boolean"
        case .int: "int"
        case .long: "long"
        case .float: "float"
        case .double: "double"
        case .bytes: "bytes"
        case .string: "string"
        case .record: "record"
        case .enumeration: "enum"
        case .array: "array"
        case .map: "map"
        case .fixed: "fixed"
        case .union: "union"
        case .reference(let name): name.fullName
        }
    }
}
