extension AvroSchema {
    /// Parses a schema and checks it by the specification's rules; unknown attributes are ignored.
    public init(json text: String) throws(AvroSchemaError) {
        try self.init(json: JSONReader.read(text))
    }

    /// Parses a schema that stands in other JSON.
    public init(json: AvroJSON) throws(AvroSchemaError) {
        var reader = SchemaReader()
        self = try reader.read(json, SchemaReader.Place(path: "", namespace: ""))
        try checkDefaults(definitions: definitions, path: "")
    }

    /// Defaults may be of types that are defined further on, so they are checked last.
    private func checkDefaults(
        definitions: [AvroName: AvroSchema], path: String
    ) throws(AvroSchemaError) {
        switch self {
        case .record(let record):
            let path = path.isEmpty ? record.name.name : path
            for field in record.fields {
                let place = path + "/" + field.name
                try field.schema.checkDefaults(definitions: definitions, path: place)
                guard let json = field.defaultValue else { continue }
                guard AvroValue(json: json, schema: field.schema, definitions: definitions) != nil
                else { throw .invalid(path: place, .badDefault(json.text)) }
            }
        case .array(let item):
            try item.checkDefaults(definitions: definitions, path: path + "/items")
        case .map(let value):
            try value.checkDefaults(definitions: definitions, path: path + "/values")
        case .union(let branches):
            for (index, branch) in branches.enumerated() {
                try branch.checkDefaults(definitions: definitions, path: path + "/\(index)")
            }
        default: break
        }
    }
}

/// Turns JSON into a schema, and remembers which names are defined.
///
/// Source: Apache Avro 1.11 specification, "Schema Declaration" and "Names".
struct SchemaReader {
    /// Where a schema stands: the path for messages, and the namespace around it.
    struct Place {
        var path: String
        var namespace: String

        func inside(_ part: String) -> Place {
            Place(path: path + "/" + part, namespace: namespace)
        }

        func error(_ problem: AvroSchemaError.Problem) -> AvroSchemaError {
            .invalid(path: path.isEmpty ? "/" : path, problem)
        }
    }

    private static let primitives: [String: AvroSchema] = [
        "null": .null, "boolean": .boolean, "int": .int(), "long": .long(), "float": .float,
        "double": .double, "bytes": .bytes(), "string": .string(),
    ]

    /// How many named types a schema may define, so that a chain of them cannot exhaust the stack.
    static let typeCountMax = 5_000

    private var defined: Set<AvroName> = []

    mutating func read(_ json: AvroJSON, _ place: Place) throws(AvroSchemaError) -> AvroSchema {
        switch json {
        case .string(let name): return try resolve(name, place)
        case .array(let branches): return try readUnion(branches, place)
        case .object: return try readObject(json, place)
        default: throw place.error(.notASchema)
        }
    }

    private func resolve(_ name: String, _ place: Place) throws(AvroSchemaError) -> AvroSchema {
        if let primitive = Self.primitives[name] { return primitive }
        // A name without a dot means the namespace around it first, and then none.
        let nearest = AvroName(Self.qualify(name, place.namespace))
        if defined.contains(nearest) { return .reference(nearest) }
        if defined.contains(AvroName(name)) { return .reference(AvroName(name)) }
        throw place.error(.unknownType(name))
    }

    private mutating func readUnion(
        _ json: [AvroJSON], _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema {
        var branches: [AvroSchema] = []
        var seen: Set<String> = []
        for (index, item) in json.enumerated() {
            let branchPlace = place.inside(String(index))
            let branch = try read(item, branchPlace)
            if case .union = branch { throw branchPlace.error(.nestedUnion) }
            let identity = branch.typeName?.fullName ?? branch.kind
            guard seen.insert(identity).inserted else {
                throw branchPlace.error(.duplicateBranch(identity))
            }
            branches.append(branch)
        }
        return .union(branches)
    }

    private mutating func readObject(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema {
        guard let type = json["type"] else { throw place.error(.missing(attribute: "type")) }
        // Some writers wrap a whole schema once more: {"type": {"type": …}}.
        guard case .string(let word) = type else { return try read(type, place) }
        switch word {
        case "record", "error": return try readRecord(json, place)
        case "enum": return .enumeration(try readEnumeration(json, place))
        case "fixed": return .fixed(try readFixed(json, place))
        case "array":
            guard let items = json["items"] else { throw place.error(.missing(attribute: "items")) }
            return .array(try read(items, place.inside("items")))
        case "map":
            guard let values = json["values"] else {
                throw place.error(.missing(attribute: "values"))
            }
            return .map(try read(values, place.inside("values")))
        case "int": return .int(AvroLogicalType(json, on: word))
        case "long": return .long(AvroLogicalType(json, on: word))
        case "bytes": return .bytes(AvroLogicalType(json, on: word))
        case "string": return .string(AvroLogicalType(json, on: word))
        default: return try resolve(word, place)
        }
    }

    private mutating func readRecord(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema {
        let name = try define(json, place)
        let inner = Place(
            path: place.path.isEmpty ? name.name : place.path, namespace: name.namespace)
        guard let fields = json["fields"] else { throw inner.error(.missing(attribute: "fields")) }
        guard case .array(let list) = fields else {
            throw inner.error(.malformed(attribute: "fields"))
        }
        var record = AvroSchema.Record(name.fullName, fields: [])
        record.aliases = try readAliases(json, inner).map {
            AvroName(Self.qualify($0, name.namespace))
        }
        record.doc = try readText("doc", json, inner)
        var names: Set<String> = []
        for (index, item) in list.enumerated() {
            let field = try readField(item, at: index, inner)
            for name in [field.name] + field.aliases {
                guard names.insert(name).inserted else {
                    throw inner.inside(field.name).error(.duplicateField(name))
                }
            }
            record.fields.append(field)
        }
        return .record(record)
    }

    private mutating func readField(
        _ json: AvroJSON, at index: Int, _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema.Field {
        guard let name = try readText("name", json, place.inside(String(index))) else {
            throw place.inside(String(index)).error(.missing(attribute: "name"))
        }
        let place = place.inside(name)
        guard Self.isName(name) else { throw place.error(.badName(name)) }
        guard let type = json["type"] else { throw place.error(.missing(attribute: "type")) }
        let schema = try read(type, place)
        let aliases = try readAliases(json, place)
        for alias in aliases where !Self.isName(alias) { throw place.error(.badName(alias)) }
        var order = AvroSchema.Order.ascending
        if let word = try readText("order", json, place) {
            guard let known = AvroSchema.Order(rawValue: word) else {
                throw place.error(.malformed(attribute: "order"))
            }
            order = known
        }
        return AvroSchema.Field(
            name, schema, defaultValue: json["default"], aliases: aliases,
            doc: try readText("doc", json, place), order: order)
    }

    private mutating func readEnumeration(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema.Enumeration {
        let name = try define(json, place)
        guard let list = json["symbols"] else { throw place.error(.missing(attribute: "symbols")) }
        guard let symbols = Self.strings(list) else {
            throw place.error(.malformed(attribute: "symbols"))
        }
        var seen: Set<String> = []
        for symbol in symbols {
            guard Self.isName(symbol) else { throw place.error(.badName(symbol)) }
            guard seen.insert(symbol).inserted else { throw place.error(.duplicateSymbol(symbol)) }
        }
        let defaultSymbol = try readText("default", json, place)
        if let defaultSymbol, !seen.contains(defaultSymbol) {
            throw place.error(.unknownSymbol(defaultSymbol))
        }
        var enumeration = AvroSchema.Enumeration(
            name.fullName, doc: try readText("doc", json, place), symbols: symbols,
            defaultSymbol: defaultSymbol)
        enumeration.aliases = try readAliases(json, place).map {
            AvroName(Self.qualify($0, name.namespace))
        }
        return enumeration
    }

    private mutating func readFixed(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> AvroSchema.Fixed {
        let name = try define(json, place)
        guard let size = json["size"] else { throw place.error(.missing(attribute: "size")) }
        guard let byteCount = size.wholeNumber, byteCount >= 0 else {
            throw place.error(.malformed(attribute: "size"))
        }
        var fixed = AvroSchema.Fixed(
            name.fullName, byteCount: byteCount,
            logicalType: AvroLogicalType(json, on: "fixed", byteCount: byteCount))
        fixed.aliases = try readAliases(json, place).map {
            AvroName(Self.qualify($0, name.namespace))
        }
        return fixed
    }

    /// Reads a named type's name and takes it.
    private mutating func define(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> AvroName {
        guard let name = try readText("name", json, place) else {
            throw place.error(.missing(attribute: "name"))
        }
        let namespace = try readText("namespace", json, place) ?? place.namespace
        let full = AvroName(Self.qualify(name, namespace))
        guard Self.isFullName(full.fullName), Self.primitives[full.name] == nil else {
            throw place.error(.badName(full.fullName))
        }
        guard defined.count < Self.typeCountMax else { throw place.error(.tooManyTypes) }
        guard defined.insert(full).inserted else { throw place.error(.redefined(full.fullName)) }
        return full
    }

    private func readText(
        _ attribute: String, _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> String? {
        switch json[attribute] {
        case nil: return nil
        case .string(let text): return text
        default: throw place.error(.malformed(attribute: attribute))
        }
    }

    private func readAliases(
        _ json: AvroJSON, _ place: Place
    ) throws(AvroSchemaError) -> [String] {
        guard let list = json["aliases"] else { return [] }
        guard let aliases = Self.strings(list) else {
            throw place.error(.malformed(attribute: "aliases"))
        }
        for alias in aliases where !Self.isFullName(alias) { throw place.error(.badName(alias)) }
        return aliases
    }

    private static func strings(_ json: AvroJSON) -> [String]? {
        guard case .array(let items) = json else { return nil }
        var strings: [String] = []
        for item in items {
            guard case .string(let string) = item else { return nil }
            strings.append(string)
        }
        return strings
    }

    private static func qualify(_ name: String, _ namespace: String) -> String {
        namespace.isEmpty || name.contains(".") ? name : namespace + "." + name
    }

    private static func isFullName(_ name: String) -> Bool {
        name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy(isName)
    }

    private static func isName(_ name: some StringProtocol) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F
        }
        guard let first = name.utf8.first, isLetter(first) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (0x30...0x39).contains($0) }
    }
}

extension AvroJSON {
    /// The number, if this is a whole one that fits.
    var wholeNumber: Int? {
        guard case .number(let digits) = self else { return nil }
        return Int(digits)
    }
}

extension AvroLogicalType {
    /// The logical type that `json` gives to a type called `kind`, if it is known and fits it.
    init?(_ json: AvroJSON, on kind: String, byteCount: Int? = nil) {
        guard case .string(let word) = json["logicalType"] else { return nil }
        switch (word, kind) {
        case ("decimal", "bytes"), ("decimal", "fixed"):
            let precision = json["precision"]?.wholeNumber ?? 0
            let scale = json["scale"].map { $0.wholeNumber ?? -1 } ?? 0
            guard precision > 0, scale >= 0, scale <= precision else { return nil }
            if let byteCount, precision > Self.decimalDigits(inBytes: byteCount) { return nil }
            self = .decimal(precision: precision, scale: scale)
        case ("uuid", "string"): self = .uuid
        case ("date", "int"): self = .date
        case ("time-millis", "int"): self = .timeMillis
        case ("time-micros", "long"): self = .timeMicros
        case ("timestamp-millis", "long"): self = .timestampMillis
        case ("timestamp-micros", "long"): self = .timestampMicros
        case ("local-timestamp-millis", "long"): self = .localTimestampMillis
        case ("local-timestamp-micros", "long"): self = .localTimestampMicros
        case ("duration", "fixed") where byteCount == 12: self = .duration
        default: return nil
        }
    }

    /// How many decimal digits always fit a two's complement integer: ⌊log₁₀(2^(8n−1) − 1)⌋.
    private static func decimalDigits(inBytes count: Int) -> Int {
        // log₁₀ 2 as a fraction that is exact enough for any size below a megabyte; never high.
        count <= 0 ? 0 : count > 1 << 20 ? Int.max : (8 * count - 1) * 301_029_995 / 1_000_000_000
    }
}
