import Avro

/// How a table's row is laid out, as far as needed to walk over it.
public struct RowShape: Sendable, Equatable {
    /// One field's encoding.
    public enum Kind: UInt8, Sendable {
        /// `long` or `int`.
        case varint
        /// `double`.
        case eightBytes
        /// `boolean`.
        case boolean
        /// `bytes` or `string`.
        case lengthPrefixed
    }

    /// One field.
    public struct Field: Sendable, Equatable {
        /// The field's name: that of the table's column.
        public let name: String
        /// The encoding of the value, where there is one.
        public let kind: Kind
        /// Whether it is a union of null and the type.
        public let isOptional: Bool

        /// A field as it stands in the record's schema.
        public init(name: String, kind: Kind, isOptional: Bool) {
            self.name = name
            self.kind = kind
            self.isOptional = isOptional
        }
    }

    /// The record's name without namespace: that of the table.
    public let name: String
    /// In the order in which they are encoded.
    public let fields: [Field]

    /// The shape of a record with these fields.
    public init(name: String, fields: [Field]) {
        self.name = name
        self.fields = fields
    }

    /// Passes over one row.
    public func skip(_ cursor: inout ByteCursor) throws(AvroDecodingError) {
        // By index: a field taken out of the array would cost a count of its name's references.
        for place in fields.indices {
            if fields[place].isOptional {
                switch try cursor.readLong() {
                case 0: continue
                case 1: break
                case let branch: throw .badIndex(branch)
                }
            }
            switch fields[place].kind {
            case .varint: _ = try cursor.readLong()
            case .eightBytes: try cursor.skip(8)
            case .boolean: _ = try cursor.readBoolean()
            case .lengthPrefixed: _ = try cursor.readBytes()
            }
        }
    }
}

/// The Avro schema of a segment's records: `daybook.Batch` with a branch for every table.
///
/// The union of rows holds the dictionary's tables in order of name, then `Rejection`, then
/// `Control`; so a branch below `tables.count` is the table of that index.
public struct LogSchema: Sendable, Equatable {
    /// The schema's text, as it stands in the segment's Avro header.
    public let json: String
    /// How the tables' rows are laid out, by branch.
    public let tables: [RowShape]
    /// The records of the tables' rows, logical types included, by branch.
    public let records: [AvroSchema.Record]
    /// Whether rejections have a `digest`, for tables whose rejected bytes are not kept.
    public let keepsDigests: Bool

    /// The Avro header of a segment with this schema, but for the sync marker that ends it.
    public let containerPrefix: [UInt8]

    /// Everything follows from the text. Texts of the same storage are compared as pointers.
    public static func == (left: LogSchema, right: LogSchema) -> Bool { left.json == right.json }

    /// The branch of rejected rows: the first after the tables'.
    @inlinable public var rejectionBranch: Int { tables.count }
    /// The branch of the ledger's own events: the last.
    @inlinable public var controlBranch: Int { tables.count + 1 }

    /// The branch of a table's rows, if this schema has the table.
    public func branch(of table: String) -> Int? {
        tables.firstIndex { $0.name == table }
    }

    /// The schema for tables whose rows have these Avro record schemas (JSON), in branch order.
    ///
    /// - Parameter keepsDigests: whether a rejection may have a digest in place of its bytes.
    /// - Throws: `SchemaFault` if one is no record of plain or optional fields.
    public init(recordSchemas: [String], keepsDigests: Bool = false) throws(SchemaFault) {
        try self.init(json: LogSchema.text(recordSchemas, keepsDigests: keepsDigests))
    }

    private static func text(_ recordSchemas: [String], keepsDigests: Bool) -> String {
        let rejection = rejection.replacing("$DIGEST", with: keepsDigests ? digest : "")
        let branches = recordSchemas + [rejection, control]
        return #"{"type":"record","name":"Batch","namespace":"daybook","fields":["#
            + fields.replacing("$ROWS", with: branches.joined(separator: ",")) + "]}"
    }

    /// The schema that stands in a segment's Avro header.
    ///
    /// - Throws: `SchemaFault` if it is no schema of this format.
    public init(json: String) throws(SchemaFault) {
        let schema: AvroSchema
        do { schema = try AvroSchema(json: json) } catch { throw SchemaFault("\(error)") }
        guard case .record(let batch) = schema, batch.name.fullName == "daybook.Batch",
            case .array(.union(let branches))? = batch.fields.last?.schema,
            branches.count >= 2
        else { throw SchemaFault("the schema is not that of a daybook.Batch") }
        // All but the tables' records is fixed: the schema must be what it would be made from.
        let tableSchemas = branches.dropLast(2).map(\.json)
        let form = [false, true].first { keepsDigests in
            let text = LogSchema.text(tableSchemas, keepsDigests: keepsDigests)
            return (try? AvroSchema(json: text)) == schema
        }
        guard let form else {
            throw SchemaFault("the schema is not that of a daybook.Batch of this version")
        }
        var tables: [RowShape] = []
        var records: [AvroSchema.Record] = []
        for branch in branches.dropLast(2) {
            guard case .record(let record) = branch else {
                throw SchemaFault("a table's branch is no record")
            }
            tables.append(try RowShape(record))
            records.append(record)
        }
        var header = ByteSink(capacity: 4096)
        let marker = SyncMarker([UInt8](repeating: 0, count: SyncMarker.byteCount))
        ContainerHeader(schema: schema, codec: .null, syncMarker: marker).encode(into: &header)
        containerPrefix = Array(header.unsafeBytes.dropLast(SyncMarker.byteCount))
        self.json = schema.json
        self.tables = tables
        self.records = records
        keepsDigests = form
    }

    private static let rejection = """
        {"type":"record","name":"Rejection","fields":[\
        {"name":"raw","type":"bytes"},\
        {"name":"raw_length","type":["null","long"]},\
        {"name":"reasons","type":{"type":"array","items":\
        {"type":"record","name":"Reason","fields":[\
        {"name":"code","type":"string"},\
        {"name":"column","type":["null","string"]},\
        {"name":"message","type":"string"}]}}}$DIGEST]}
        """

    private static let digest = #",{"name":"digest","type":["null","bytes"]}"#

    private static let control = """
        {"type":"record","name":"Control","fields":[\
        {"name":"kind","type":"string"},\
        {"name":"refers_to","type":{"type":"array","items":\
        {"type":"record","name":"Span","fields":[\
        {"name":"first","type":"long"},{"name":"end","type":"long"}]}}},\
        {"name":"text","type":"bytes"}]}
        """

    private static let fields = """
        {"name":"position","type":"long"},\
        {"name":"received_at","type":{"type":"long","logicalType":"timestamp-micros"}},\
        {"name":"clock","type":{"type":"long","logicalType":"timestamp-micros"}},\
        {"name":"id","type":{"type":"string","logicalType":"uuid"}},\
        {"name":"source","type":"string"},\
        {"name":"principal","type":"string"},\
        {"name":"idempotency_key","type":["null","string"]},\
        {"name":"request_digest","type":"bytes"},\
        {"name":"dictionary","type":"string"},\
        {"name":"table","type":"string"},\
        {"name":"format","type":"string"},\
        {"name":"first_line","type":["null","long"]},\
        {"name":"line_skips","type":{"type":"array","items":\
        {"type":"record","name":"LineSkip","fields":[\
        {"name":"row","type":"long"},{"name":"lines","type":"long"}]}}},\
        {"name":"corrects","type":{"type":"array","items":\
        {"type":"record","name":"Correction","fields":[\
        {"name":"row","type":"long"},{"name":"position","type":"long"}]}}},\
        {"name":"rows","type":{"type":"array","items":[$ROWS]}}
        """
}

/// Why a schema cannot be that of a log.
public struct SchemaFault: Error, Equatable, Sendable {
    /// The first thing that does not fit, in words.
    public let what: String

    init(_ what: String) { self.what = what }
}

extension RowShape {
    /// The shape of a record of plain fields, or unions of null and a plain type.
    init(_ record: AvroSchema.Record) throws(SchemaFault) {
        var fields: [Field] = []
        for field in record.fields {
            if case .union(let branches) = field.schema {
                guard branches.count == 2, branches[0] == .null else {
                    throw SchemaFault("\(record.name).\(field.name) is no optional type")
                }
                let kind = try Kind(branches[1], of: field.name)
                fields.append(Field(name: field.name, kind: kind, isOptional: true))
            } else {
                let kind = try Kind(field.schema, of: field.name)
                fields.append(Field(name: field.name, kind: kind, isOptional: false))
            }
        }
        self.init(name: record.name.name, fields: fields)
    }
}

extension RowShape.Kind {
    init(_ schema: AvroSchema, of field: String) throws(SchemaFault) {
        switch schema {
        case .int, .long: self = .varint
        case .double: self = .eightBytes
        case .boolean: self = .boolean
        case .bytes, .string: self = .lengthPrefixed
        default: throw SchemaFault("\(field) has a type that no column has")
        }
    }
}
