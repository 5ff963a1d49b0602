/// A value of some schema, as a tree: for tools, tests and defaults. Rows take the byte paths.
///
/// A value of a logical type is the value of the type beneath it: a `timestamp-micros` is a `long`.
public indirect enum AvroValue: Equatable, Sendable {
    /// Of `null`.
    case null
    /// Of `boolean`.
    case boolean(Bool)
    /// Of `int`.
    case int(Int32)
    /// Of `long`.
    case long(Int64)
    /// Of `float`.
    case float(Float)
    /// Of `double`.
    case double(Double)
    /// Of `bytes`.
    case bytes([UInt8])
    /// Of `string`.
    case string(String)
    /// Of a record: its fields' values in the schema's order.
    case record([AvroValue])
    /// Of an enum: the symbol.
    case enumeration(String)
    /// Of an array.
    case array([AvroValue])
    /// Of a map: its entries in the order of the bytes.
    case map([Entry])
    /// Of a fixed.
    case fixed([UInt8])
    /// Of a union: the branch's number, and its value.
    case union(Int, AvroValue)

    /// An entry of a map.
    public struct Entry: Equatable, Sendable {
        /// The key.
        public var key: String
        /// The value.
        public var value: AvroValue

        /// `value` under `key`.
        public init(_ key: String, _ value: AvroValue) {
            self.key = key
            self.value = value
        }
    }
}

extension AvroValue {
    /// How deep the value of a default may nest: a record whose default holds itself has no value.
    private static let defaultDepthMax = 64

    /// The value that a default's JSON means for a schema; nil where it means none.
    ///
    /// Source: Apache Avro 1.11 specification, "Complex Types", the table of field defaults. For a
    /// union it is the first branch that takes the JSON, as in 1.12 (1.11 knows only the first).
    init?(
        json: AvroJSON, schema: AvroSchema, definitions: [AvroName: AvroSchema], depth: Int = 0
    ) {
        guard depth < Self.defaultDepthMax else { return nil }
        switch (schema, json) {
        case (.null, .null): self = .null
        case (.boolean, .boolean(let value)): self = .boolean(value)
        case (.int, .number(let digits)):
            guard let value = Int32(digits) else { return nil }
            self = .int(value)
        case (.long, .number(let digits)):
            guard let value = Int64(digits) else { return nil }
            self = .long(value)
        case (.float, .number(let digits)):
            guard let value = Float(digits) else { return nil }
            self = .float(value)
        case (.double, .number(let digits)):
            guard let value = Double(digits) else { return nil }
            self = .double(value)
        case (.string, .string(let text)): self = .string(text)
        case (.bytes, .string(let text)):
            guard let bytes = Self.bytes(fromCodePoints: text) else { return nil }
            self = .bytes(bytes)
        case (.fixed(let fixed), .string(let text)):
            guard let bytes = Self.bytes(fromCodePoints: text), bytes.count == fixed.byteCount
            else { return nil }
            self = .fixed(bytes)
        case (.enumeration(let enumeration), .string(let symbol)):
            guard enumeration.symbols.contains(symbol) else { return nil }
            self = .enumeration(symbol)
        case (.reference(let name), _):
            guard let definition = definitions[name] else { return nil }
            self.init(
                json: json, schema: definition, definitions: definitions, depth: depth + 1)
        case (.union(let branches), _):
            for (index, branch) in branches.enumerated() {
                if let value = AvroValue(
                    json: json, schema: branch, definitions: definitions, depth: depth + 1)
                {
                    self = .union(index, value)
                    return
                }
            }
            return nil
        default: self.init(nested: json, schema, definitions, depth)
        }
    }

    private init?(
        nested json: AvroJSON, _ schema: AvroSchema, _ definitions: [AvroName: AvroSchema],
        _ depth: Int
    ) {
        switch (schema, json) {
        case (.array(let item), .array(let list)):
            var items: [AvroValue] = []
            for json in list {
                guard
                    let value = AvroValue(
                        json: json, schema: item, definitions: definitions, depth: depth + 1)
                else { return nil }
                items.append(value)
            }
            self = .array(items)
        case (.map(let schema), .object(let members)):
            var values: [Entry] = []
            for member in members {
                guard
                    let value = AvroValue(
                        json: member.value, schema: schema, definitions: definitions,
                        depth: depth + 1)
                else { return nil }
                values.append(Entry(member.name, value))
            }
            self = .map(values)
        case (.record(let record), .object):
            var values: [AvroValue] = []
            for field in record.fields {
                guard let json = json[field.name] ?? field.defaultValue,
                    let value = AvroValue(
                        json: json, schema: field.schema, definitions: definitions,
                        depth: depth + 1)
                else { return nil }
                values.append(value)
            }
            self = .record(values)
        default: return nil
        }
    }

    /// Each code point from U+0000 to U+00FF stands for the byte of that value.
    private static func bytes(fromCodePoints text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let byte = UInt8(exactly: scalar.value) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
