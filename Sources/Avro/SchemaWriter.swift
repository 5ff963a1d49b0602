extension AvroSchema {
    /// The schema as JSON text, with everything this library knows about it.
    public var json: String { jsonValue(in: "").text }

    /// The schema as JSON, where `namespace` is the one around it.
    func jsonValue(in namespace: String) -> AvroJSON {
        switch self {
        case .null, .boolean, .float, .double: return .string(kind)
        case .int(let logical), .long(let logical), .bytes(let logical), .string(let logical):
            guard let logical else { return .string(kind) }
            return .object([.init("type", .string(kind))] + logical.members)
        case .reference(let name):
            let isNear = name.namespace == namespace
            return .string(isNear ? name.name : name.fullName)
        case .union(let branches): return .array(branches.map { $0.jsonValue(in: namespace) })
        case .array(let item):
            return .object([
                .init("type", .string("array")), .init("items", item.jsonValue(in: namespace)),
            ])
        case .map(let value):
            return .object([
                .init("type", .string("map")), .init("values", value.jsonValue(in: namespace)),
            ])
        case .record(let record): return record.jsonValue(in: namespace)
        case .enumeration(let enumeration):
            var members = Self.head("enum", enumeration.name, enumeration.aliases, in: namespace)
            if let doc = enumeration.doc { members.append(.init("doc", .string(doc))) }
            members.append(.init("symbols", .array(enumeration.symbols.map(AvroJSON.string))))
            if let symbol = enumeration.defaultSymbol {
                members.append(.init("default", .string(symbol)))
            }
            return .object(members)
        case .fixed(let fixed):
            var members = Self.head("fixed", fixed.name, fixed.aliases, in: namespace)
            members.append(.init("size", .integer(fixed.byteCount)))
            return .object(members + (fixed.logicalType?.members ?? []))
        }
    }

    static func head(
        _ type: String, _ name: AvroName, _ aliases: [AvroName], in namespace: String
    ) -> [AvroJSON.Member] {
        var members: [AvroJSON.Member] = [
            .init("type", .string(type)), .init("name", .string(name.name)),
        ]
        if name.namespace != namespace {
            members.append(.init("namespace", .string(name.namespace)))
        }
        if !aliases.isEmpty {
            let names = aliases.map { AvroJSON.string($0.relative(to: name.namespace)) }
            members.append(.init("aliases", .array(names)))
        }
        return members
    }
}

extension AvroName {
    /// As short as it can be written inside `namespace`.
    func relative(to namespace: String) -> String {
        self.namespace == namespace ? name : fullName
    }
}

extension AvroSchema.Record {
    func jsonValue(in namespace: String) -> AvroJSON {
        var members = AvroSchema.head("record", name, aliases, in: namespace)
        if let doc { members.append(.init("doc", .string(doc))) }
        let list = fields.map { field in
            var members: [AvroJSON.Member] = [
                .init("name", .string(field.name)),
                .init("type", field.schema.jsonValue(in: name.namespace)),
            ]
            if let json = field.defaultValue { members.append(.init("default", json)) }
            if !field.aliases.isEmpty {
                members.append(.init("aliases", .array(field.aliases.map(AvroJSON.string))))
            }
            if let doc = field.doc { members.append(.init("doc", .string(doc))) }
            if field.order != .ascending {
                members.append(.init("order", .string(field.order.rawValue)))
            }
            return AvroJSON.object(members)
        }
        members.append(.init("fields", .array(list)))
        return .object(members)
    }
}

extension AvroLogicalType {
    /// The attributes that say so.
    var members: [AvroJSON.Member] {
        let word: String
        switch self {
        case .decimal(let precision, let scale):
            return [
                .init("logicalType", .string("decimal")), .init("precision", .integer(precision)),
                .init("scale", .integer(scale)),
            ]
        case .uuid: word = "uuid"
        case .date: word = "date"
        case .timeMillis: word = "time-millis"
        case .timeMicros: word = "time-micros"
        case .timestampMillis: word = "timestamp-millis"
        case .timestampMicros: word = "timestamp-micros"
        case .localTimestampMillis: word = "local-timestamp-millis"
        case .localTimestampMicros: word = "local-timestamp-micros"
        case .duration: word = "duration"
        }
        return [.init("logicalType", .string(word))]
    }
}
