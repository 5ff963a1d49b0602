/// Why a schema cannot be used.
public enum AvroSchemaError: Error, Equatable, Sendable {
    /// The text is no JSON. Line and column count from 1, the column in bytes.
    case malformedJSON(line: Int, column: Int, reason: String)
    /// The JSON is no Avro schema. The path names records, fields, `items`, `values` and, by
    /// number from 0, branches of unions: `Batch/rows/items/2/amount`.
    case invalid(path: String, Problem)
    /// Data of the writer's schema can never be read as the reader's.
    case unresolvable(path: String, Mismatch)

    /// A rule of the specification that a schema breaks.
    public enum Problem: Equatable, Sendable {
        /// A schema must be a string, an array or an object.
        case notASchema
        /// An attribute that must be there is not.
        case missing(attribute: String)
        /// An attribute's value has the wrong form.
        case malformed(attribute: String)
        /// A name, alias or namespace that breaks the rule `[A-Za-z_][A-Za-z0-9_]*`, or that is
        /// a primitive type's.
        case badName(String)
        /// A named type is defined twice.
        case redefined(String)
        /// A type that nobody defined before this place.
        case unknownType(String)
        /// A record has two fields, or a field and an alias, of the same name.
        case duplicateField(String)
        /// An enum has a symbol twice.
        case duplicateSymbol(String)
        /// An enum's default is none of its symbols.
        case unknownSymbol(String)
        /// A union directly inside a union.
        case nestedUnion
        /// A union has two branches of one unnamed type, or one name twice.
        case duplicateBranch(String)
        /// A default that is no value of its field's schema; the JSON of it.
        case badDefault(String)
        /// More named types than a schema may define: 5,000.
        case tooManyTypes
    }

    /// What keeps a writer's schema from being read as a reader's.
    public enum Mismatch: Equatable, Sendable {
        /// The kinds differ and there is no promotion between them.
        case kind(writer: String, reader: String)
        /// Named types with different names, and no alias that joins them.
        case name(writer: String, reader: String)
        /// Two fixed of different size, in bytes.
        case size(writer: Int, reader: Int)
        /// The reader wants a field that the writer has not, and gives no default.
        case missingField(String)
        /// No branch of the reader's union takes the writer's type.
        case noBranch(writer: String)
        /// The two schemas are entangled more deeply than a planner follows.
        case tooDeep
    }
}

extension AvroSchemaError: CustomStringConvertible {
    /// One sentence that says where and what.
    public var description: String {
        switch self {
        case .malformedJSON(let line, let column, let reason):
            "schema, line \(line), column \(column): \(reason)"
        case .invalid(let path, let problem): "schema, at \(path): \(problem.description)"
        case .unresolvable(let path, let mismatch): "at \(path): \(mismatch.description)"
        }
    }
}

extension AvroSchemaError.Problem: CustomStringConvertible {
    /// The rule, in words.
    public var description: String {
        switch self {
        case .notASchema: "a schema is a string, an array or an object"
        case .missing(let attribute): "\"\(attribute)\" is missing"
        case .malformed(let attribute): "\"\(attribute)\" has the wrong form"
        case .badName(let name): "\"\(name)\" is not allowed as a name"
        case .redefined(let name): "\(name) is defined twice"
        case .unknownType(let name): "nothing called \(name) is defined before this place"
        case .duplicateField(let name): "two fields are called \(name)"
        case .duplicateSymbol(let symbol): "the symbol \(symbol) stands twice"
        case .unknownSymbol(let symbol): "\(symbol) is none of the symbols"
        case .nestedUnion: "a union cannot hold a union"
        case .duplicateBranch(let name): "two branches of the union are \(name)"
        case .badDefault(let json): "the default \(json) is no value of the field's type"
        case .tooManyTypes: "more than \(SchemaReader.typeCountMax) types are defined"
        }
    }
}

extension AvroSchemaError.Mismatch: CustomStringConvertible {
    /// The difference, in words.
    public var description: String {
        switch self {
        case .kind(let writer, let reader): "\(writer) cannot be read as \(reader)"
        case .name(let writer, let reader): "\(writer) cannot be read as \(reader): other name"
        case .size(let writer, let reader):
            "a fixed of \(writer) bytes cannot be read as one of \(reader)"
        case .missingField(let name): "\(name) was not written and has no default"
        case .noBranch(let writer): "no branch of the union takes \(writer)"
        case .tooDeep: "the types nest too deep"
        }
    }
}
