/// What a `ResolvingDecoder` does, as a list of steps that point to each other by index.
struct ResolutionPlan: Sendable {
    /// What is done with one value of the writer's.
    enum Step: Sendable {
        case null, boolean, int, long, float, double, bytes, string
        case fixed(byteCount: Int)
        case longFromInt, floatFromInt, doubleFromInt, floatFromLong, doubleFromLong
        case doubleFromFloat, stringFromBytes, bytesFromString
        /// The reader's symbol for each of the writer's; nil where it has none.
        case enumeration([String?], path: String, name: String)
        /// `isEmpty` where the writer's items take no bytes.
        case array(item: Int, isEmpty: Bool)
        case map(value: Int)
        /// What to do for each of the writer's fields, and the reader's values with defaults.
        case record([FieldAction], template: [AvroValue])
        /// The step for each of the writer's branches.
        case writerUnion([Int])
        /// The writer's value becomes the value of a branch of the reader's.
        case readerUnion(branch: Int, Int)
        /// A branch that the reader cannot take: an error if it is met.
        case impossible(path: String, AvroSchemaError.Mismatch)
    }

    /// What is done with one field of the writer's.
    enum FieldAction: Sendable {
        case read(Int, slot: Int)
        case skip(Int)
    }

    var steps: [Step]
    var skips: SkipProgram
    var root: Int
}

/// Works out how data of a writer's schema become values of a reader's.
///
/// Where several branches of the reader's union would do, the one of the writer's very type is
/// taken, and else the first (a union so reads its own data back unchanged).
struct ResolutionPlanner {
    private struct NamePair: Hashable {
        var writer: AvroName
        var reader: AvroName
    }

    private let writer: AvroSchema
    private let reader: AvroSchema
    private let writerDefinitions: [AvroName: AvroSchema]
    private let readerDefinitions: [AvroName: AvroSchema]
    private var steps: [ResolutionPlan.Step] = []
    private var skips: SkipProgram
    /// Records on their way or done: a recursive type ends here.
    private var records: [NamePair: Int] = [:]
    /// How deep `resolve` may call itself, so that entangled schemas cannot exhaust the stack.
    private static let depthMax = 1_000
    private var depth = 0
    /// The pair of names at the root that counts as equal.
    private var equalNames: NamePair?

    init(writer: AvroSchema, reader: AvroSchema, limits: AvroLimits) {
        self.writer = writer
        self.reader = reader
        writerDefinitions = writer.definitions
        readerDefinitions = reader.definitions
        skips = SkipProgram(definitions: writerDefinitions, depthMax: limits.depth)
    }

    mutating func plan(ignoringRootNames: Bool) throws(AvroSchemaError) -> ResolutionPlan {
        if ignoringRootNames, case .record(let one) = writer, case .record(let other) = reader {
            equalNames = NamePair(writer: one.name, reader: other.name)
        }
        let root = try resolve(writer, reader, reader.typeName?.name ?? "")
        return ResolutionPlan(steps: steps, skips: skips, root: root)
    }

    private mutating func add(_ step: ResolutionPlan.Step) -> Int {
        steps.append(step)
        return steps.count - 1
    }

    private static func look(
        up schema: AvroSchema, _ definitions: [AvroName: AvroSchema]
    ) -> AvroSchema {
        guard case .reference(let name) = schema else { return schema }
        guard let definition = definitions[name] else {
            preconditionFailure("a schema's references are defined in it")
        }
        return definition
    }

    private mutating func resolve(
        _ writer: AvroSchema, _ reader: AvroSchema, _ path: String
    ) throws(AvroSchemaError) -> Int {
        guard depth < Self.depthMax else { throw .unresolvable(path: path, .tooDeep) }
        depth += 1
        defer { depth -= 1 }
        let writer = Self.look(up: writer, writerDefinitions)
        let reader = Self.look(up: reader, readerDefinitions)
        if case .union(let branches) = writer {
            return try resolveWriterUnion(branches, reader, path)
        }
        if case .union(let branches) = reader {
            return try resolveReaderUnion(writer, branches, path)
        }
        switch (writer, reader) {
        case (.array(let one), .array(let other)):
            let item = try resolve(one, other, path + "/items")
            let skipped = skips.compile(one)
            return add(.array(item: item, isEmpty: skips.isEmpty(skipped)))
        case (.map(let one), .map(let other)):
            return add(.map(value: try resolve(one, other, path + "/values")))
        case (.record(let one), .record(let other)):
            return try resolveRecord(one, other, path)
        case (.enumeration(let one), .enumeration(let other)):
            try checkNames(one.name, other.name, other.aliases, path)
            let symbols = one.symbols.map { symbol in
                other.symbols.contains(symbol) ? symbol : other.defaultSymbol
            }
            return add(.enumeration(symbols, path: path, name: other.name.fullName))
        case (.fixed(let one), .fixed(let other)):
            try checkNames(one.name, other.name, other.aliases, path)
            guard one.byteCount == other.byteCount else {
                throw .unresolvable(
                    path: path, .size(writer: one.byteCount, reader: other.byteCount))
            }
            try checkDecimals(writer, reader, path)
            return add(.fixed(byteCount: one.byteCount))
        default:
            guard let step = Self.primitiveStep(writer, reader) else {
                throw .unresolvable(path: path, .kind(writer: writer.kind, reader: reader.kind))
            }
            try checkDecimals(writer, reader, path)
            return add(step)
        }
    }

    private static func primitiveStep(
        _ writer: AvroSchema, _ reader: AvroSchema
    ) -> ResolutionPlan.Step? {
        switch (writer, reader) {
        case (.null, .null): .null
        case (.boolean, .boolean): .boolean
        case (.int, .int): .int
        case (.int, .long): .longFromInt
        case (.int, .float): .floatFromInt
        case (.int, .double): .doubleFromInt
        case (.long, .long): .long
        case (.long, .float): .floatFromLong
        case (.long, .double): .doubleFromLong
        case (.float, .float): .float
        case (.float, .double): .doubleFromFloat
        case (.double, .double): .double
        case (.bytes, .bytes): .bytes
        case (.bytes, .string): .stringFromBytes
        case (.string, .string): .string
        case (.string, .bytes): .bytesFromString
        default: nil
        }
    }

    /// Names match in full, without their namespaces, or through an alias of the reader's.
    private func checkNames(
        _ writer: AvroName, _ reader: AvroName, _ aliases: [AvroName], _ path: String
    ) throws(AvroSchemaError) {
        if writer.name == reader.name || aliases.contains(writer) { return }
        if equalNames == NamePair(writer: writer, reader: reader) { return }
        throw .unresolvable(path: path, .name(writer: writer.fullName, reader: reader.fullName))
    }

    /// A decimal with another scale would be another number.
    private func checkDecimals(
        _ writer: AvroSchema, _ reader: AvroSchema, _ path: String
    ) throws(AvroSchemaError) {
        guard case .decimal(let precision, let scale) = writer.logicalType,
            case .decimal(let readerPrecision, let readerScale) = reader.logicalType,
            scale != readerScale || precision > readerPrecision
        else { return }
        throw .unresolvable(
            path: path,
            .kind(
                writer: "decimal(\(precision),\(scale))",
                reader: "decimal(\(readerPrecision),\(readerScale))"))
    }

    private mutating func resolveRecord(
        _ writer: AvroSchema.Record, _ reader: AvroSchema.Record, _ path: String
    ) throws(AvroSchemaError) -> Int {
        try checkNames(writer.name, reader.name, reader.aliases, path)
        let pair = NamePair(writer: writer.name, reader: reader.name)
        if let known = records[pair] { return known }
        let step = add(.record([], template: []))
        records[pair] = step

        let sources = Self.sources(of: reader, in: writer)
        var template = Array(repeating: AvroValue.null, count: reader.fields.count)
        var slots: [Int: Int] = [:]
        for (slot, field) in reader.fields.enumerated() {
            if let source = sources[slot] {
                slots[source] = slot
                continue
            }
            let value = field.defaultValue.flatMap {
                AvroValue(json: $0, schema: field.schema, definitions: readerDefinitions)
            }
            guard let value else {
                throw .unresolvable(path: path + "/" + field.name, .missingField(field.name))
            }
            template[slot] = value
        }
        var actions: [ResolutionPlan.FieldAction] = []
        for (index, field) in writer.fields.enumerated() {
            if let slot = slots[index] {
                let target = reader.fields[slot]
                let part = try resolve(field.schema, target.schema, path + "/" + target.name)
                actions.append(.read(part, slot: slot))
            } else {
                actions.append(.skip(skips.compile(field.schema)))
            }
        }
        steps[step] = .record(actions, template: template)
        return step
    }

    /// For each of the reader's fields, which of the writer's it is: by name, or else by alias.
    private static func sources(
        of reader: AvroSchema.Record, in writer: AvroSchema.Record
    ) -> [Int?] {
        var taken: Set<Int> = []
        var sources = reader.fields.map { writer.index(of: $0.name) }
        taken.formUnion(sources.compactMap { $0 })
        for (slot, field) in reader.fields.enumerated() where sources[slot] == nil {
            let source = field.aliases.lazy.compactMap { writer.index(of: $0) }
                .first { !taken.contains($0) }
            sources[slot] = source
            if let source { taken.insert(source) }
        }
        return sources
    }

    private mutating func resolveWriterUnion(
        _ branches: [AvroSchema], _ reader: AvroSchema, _ path: String
    ) throws(AvroSchemaError) -> Int {
        var parts: [Int] = []
        var failures: [AvroSchemaError] = []
        for branch in branches {
            switch attempt(branch, reader, path) {
            case .success(let step): parts.append(step)
            case .failure(let error):
                failures.append(error)
                guard case .unresolvable(let path, let mismatch) = error else { throw error }
                parts.append(add(.impossible(path: path, mismatch)))
            }
        }
        if let first = failures.first, failures.count == branches.count { throw first }
        return add(.writerUnion(parts))
    }

    private mutating func resolveReaderUnion(
        _ writer: AvroSchema, _ branches: [AvroSchema], _ path: String
    ) throws(AvroSchemaError) -> Int {
        let candidates = branches.map { Self.look(up: $0, readerDefinitions) }
        let isSame = candidates.map { $0.kind == writer.kind && $0.typeName == writer.typeName }
        let places = candidates.indices
        let order = places.filter { isSame[$0] } + places.filter { !isSame[$0] }
        var reason: AvroSchemaError?
        for branch in order {
            switch attempt(writer, candidates[branch], "\(path)/\(branch)") {
            case .success(let step): return add(.readerUnion(branch: branch, step))
            case .failure(let error): if isSame[branch] { reason = error }
            }
        }
        let name = writer.typeName?.fullName ?? writer.kind
        throw reason ?? .unresolvable(path: path, .noBranch(writer: name))
    }

    /// Resolves, or leaves no trace.
    private mutating func attempt(
        _ writer: AvroSchema, _ reader: AvroSchema, _ path: String
    ) -> Result<Int, AvroSchemaError> {
        let stepCount = steps.count
        let before = records
        do {
            return .success(try resolve(writer, reader, path))
        } catch {
            steps.removeSubrange(stepCount...)
            records = before
            return .failure(error)
        }
    }
}
