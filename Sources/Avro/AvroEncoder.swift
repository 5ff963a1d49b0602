/// Why a tree could not be encoded: it is no value of the schema.
public enum AvroEncodingError: Error, Equatable, Sendable {
    /// At this place stands another kind of value, or one that does not fit.
    case mismatch(path: String, expected: String)
    /// Values nest deeper than `AvroLimits.depth`.
    case tooDeep

    fileprivate func inside(_ part: String) -> AvroEncodingError {
        switch self {
        case .mismatch(let path, let expected):
            .mismatch(path: path.isEmpty ? part : part + "/" + path, expected: expected)
        case .tooDeep: self
        }
    }
}

/// Writes trees in the binary encoding of one schema.
///
/// Source: Apache Avro 1.11 specification, "Binary Encoding".
public struct AvroEncoder: Sendable {
    private let schema: AvroSchema
    private let definitions: [AvroName: AvroSchema]
    private let limits: AvroLimits

    /// An encoder for values of `schema`, which must be whole: its references are defined in it.
    public init(_ schema: AvroSchema, limits: AvroLimits = AvroLimits()) {
        self.schema = schema
        self.definitions = schema.definitions
        self.limits = limits
    }

    /// Appends `value`; after an error the sink is as it was.
    public func encode(
        _ value: AvroValue, into sink: inout ByteSink
    ) throws(AvroEncodingError) {
        let start = sink.count
        do {
            try encode(value, schema, into: &sink, depthLeft: limits.depth)
        } catch {
            sink.truncate(to: start)
            throw error
        }
    }

    /// The bytes of `value`.
    public func encode(_ value: AvroValue) throws(AvroEncodingError) -> Bytes {
        var sink = ByteSink()
        try encode(value, into: &sink)
        return sink.finish()
    }

    private func encode(
        _ value: AvroValue, _ schema: AvroSchema, into sink: inout ByteSink, depthLeft: Int
    ) throws(AvroEncodingError) {
        switch (schema, value) {
        case (.null, .null): break
        case (.boolean, .boolean(let value)): sink.append(boolean: value)
        case (.int, .int(let value)): sink.append(long: Int64(value))
        case (.long, .long(let value)): sink.append(long: value)
        case (.float, .float(let value)): sink.append(float: value)
        case (.double, .double(let value)): sink.append(double: value)
        case (.bytes, .bytes(let value)): sink.append(bytes: value)
        case (.string, .string(let value)): sink.append(string: value)
        case (.fixed(let fixed), .fixed(let value)) where value.count == fixed.byteCount:
            sink.append(raw: value)
        case (.enumeration(let enumeration), .enumeration(let symbol)):
            guard let index = enumeration.symbols.firstIndex(of: symbol) else {
                throw .mismatch(path: "", expected: enumeration.name.fullName)
            }
            sink.append(long: Int64(index))
        case (.reference(let name), _):
            guard let definition = definitions[name] else {
                preconditionFailure("a schema's references are defined in it")
            }
            try encode(value, definition, into: &sink, depthLeft: depthLeft)
        default: try encodeNested(value, schema, into: &sink, depthLeft: depthLeft)
        }
    }

    private func encodeNested(
        _ value: AvroValue, _ schema: AvroSchema, into sink: inout ByteSink, depthLeft: Int
    ) throws(AvroEncodingError) {
        guard depthLeft > 0 else { throw .tooDeep }
        func encodePart(
            _ value: AvroValue, _ schema: AvroSchema, _ part: String, _ sink: inout ByteSink
        ) throws(AvroEncodingError) {
            do {
                try encode(value, schema, into: &sink, depthLeft: depthLeft - 1)
            } catch {
                throw error.inside(part)
            }
        }
        switch (schema, value) {
        case (.record(let record), .record(let values)) where values.count == record.fields.count:
            for (field, value) in zip(record.fields, values) {
                try encodePart(value, field.schema, field.name, &sink)
            }
        case (.array(let item), .array(let values)):
            if !values.isEmpty { sink.append(long: Int64(values.count)) }
            for value in values { try encodePart(value, item, "items", &sink) }
            sink.append(long: 0)
        case (.map(let schema), .map(let entries)):
            if !entries.isEmpty { sink.append(long: Int64(entries.count)) }
            for entry in entries {
                sink.append(string: entry.key)
                try encodePart(entry.value, schema, "values", &sink)
            }
            sink.append(long: 0)
        case (.union(let branches), .union(let index, let value))
        where branches.indices.contains(index):
            sink.append(long: Int64(index))
            try encodePart(value, branches[index], String(index), &sink)
        default:
            throw .mismatch(path: "", expected: schema.typeName?.fullName ?? schema.kind)
        }
    }
}
