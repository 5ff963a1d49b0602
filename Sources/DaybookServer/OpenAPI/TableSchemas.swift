import DaybookCatalog

/// Schemas of a table's rows: as they are accepted, and as they are given back.
struct TableSchemas {
    let table: Table

    /// The components, under the table's name.
    var components: [(name: String, value: JSONValue)] {
        let name = table.name
        return [
            ("\(name).new", accepted.described(table.doc)),
            (
                "\(name).batch",
                [
                    "anyOf": [
                        [
                            "type": "array", "minItems": 1, "maxItems": 1000,
                            "items": .named("\(name).new"),
                        ],
                        .named("\(name).new"),
                    ]
                ]
            ),
            ("\(name).row", stored),
            (
                "\(name).rows",
                .members(["rows": .list(.named("\(name).row")), "next": .orNull(.text)])
            ),
        ]
    }

    /// A row that intake takes: other rules than those of one value are the ledger's to say.
    private var accepted: JSONValue {
        var properties: [(name: String, value: JSONValue)] = []
        var required: [JSONValue] = []
        var choices: [JSONValue] = []
        for column in table.columns {
            let schema = column.acceptedSchema.described(column.doc)
            properties.append((column.name, schema))
            for alias in column.aliases {
                properties.append(
                    (alias, column.acceptedSchema.described("The same as \(column.name).")))
            }
            guard column.isRequired else { continue }
            if column.aliases.isEmpty {
                required.append(.string(column.name))
            } else {
                let names = [column.name] + column.aliases
                choices.append(
                    ["oneOf": .array(names.map { ["required": .array([.string($0)])] })])
            }
        }
        var members: [(name: String, value: JSONValue)] = [
            ("type", "object"), ("properties", .object(properties)),
            ("additionalProperties", .boolean(table.unknownFields == .ignore)),
        ]
        if !required.isEmpty { members.append(("required", .array(required))) }
        if !choices.isEmpty { members.append(("allOf", .array(choices))) }
        return .object(members)
    }

    /// A row of the table, with the position of its event.
    private var stored: JSONValue {
        let columns = table.columns.map { column -> (name: String, value: JSONValue) in
            let schema = column.type.storedSchema
            return (column.name, column.isOptional ? .orNull(schema) : schema)
        }
        let all = columns + [("ledger_position", JSONValue.position)]
        return [
            "type": "object", "required": .array(all.map { .string($0.name) }),
            "properties": .object(all),
        ]
    }
}

extension Column {
    fileprivate var isRequired: Bool { !isOptional && defaultValue == nil }

    /// A value that is accepted. A missing one may be null or empty text too, where it may miss.
    fileprivate var acceptedSchema: JSONValue {
        let value = restricted
        return isRequired ? value : ["anyOf": [value, ["enum": [nil, ""]]]]
    }

    private var restricted: JSONValue {
        if let oneOf {
            return ["enum": .array(oneOf.map { JSONValue($0, of: type) })]
        }
        switch type {
        case .integer:
            return [
                "type": "integer", "format": "int64",
                "minimum": minimum.map { JSONValue($0, of: type) } ?? .integer(.min),
                "maximum": maximum.map { JSONValue($0, of: type) } ?? .integer(.max),
            ]
        case .string:
            var members: [(name: String, value: JSONValue)] = [
                ("type", "string"), ("minLength", 1),
            ]
            if let maxLength { members.append(("maxLength", .integer(Int64(maxLength)))) }
            if let pattern { members.append(("pattern", .string("^(?:\(pattern.text))$"))) }
            return .object(members)
        case .number: return ["type": "number"]
        case .boolean: return ["type": "boolean"]
        case .decimal(_, let scale):
            return ["anyOf": [["type": "number"], ColumnType.decimalText(scale: scale)]]
        case .date, .timestamp, .uuid: return type.storedSchema
        }
    }
}

extension ColumnType {
    fileprivate static func decimalText(scale: Int) -> JSONValue {
        let fraction = scale == 0 ? "" : "(\\.[0-9]{1,\(scale)})?"
        return ["type": "string", "pattern": "^-?[0-9]+\(fraction)$"]
    }

    /// A value as it is given back.
    var storedSchema: JSONValue {
        switch self {
        case .integer: ["type": "integer", "format": "int64"]
        // What is no finite number is null.
        case .number: ["type": ["number", "null"]]
        case .decimal(_, let scale): ColumnType.decimalText(scale: scale)
        case .boolean: ["type": "boolean"]
        case .string: .text
        case .date: ["type": "string", "format": "date"]
        case .timestamp: .time
        case .uuid: ["type": "string", "format": "uuid"]
        }
    }
}

extension JSONValue {
    /// A value of the dictionary's types, as rows have it.
    init(_ value: ScalarValue, of type: ColumnType) {
        switch value {
        case .integer(let value): self = .integer(value)
        case .boolean(let value): self = .boolean(value)
        case .number, .decimal, .string, .date, .timestamp, .uuid:
            self = .string(value.text(type: type))
        }
    }
}
