/// A JSON value as a tree, for texts that are made once and are easiest to write down as they look.
enum JSONValue: Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case string(String)
    case array([JSONValue])
    /// Members in their order.
    case object([(name: String, value: JSONValue)])

    /// The same tree, with `replacement` in place of `text` wherever it stands in a string.
    func replacing(_ text: String, with replacement: String) -> JSONValue {
        switch self {
        case .null, .boolean, .integer: self
        case .string(let string): .string(string.replacing(text, with: replacement))
        case .array(let values): .array(values.map { $0.replacing(text, with: replacement) })
        case .object(let members):
            .object(members.map { ($0.name, $0.value.replacing(text, with: replacement)) })
        }
    }

    /// An object with further members behind its own.
    func adding(_ members: [(name: String, value: JSONValue)]) -> JSONValue {
        guard case .object(let own) = self else {
            preconditionFailure("only an object has members")
        }
        return .object(own + members)
    }

    /// The same object with a text that explains it, if there is one.
    func described(_ text: String) -> JSONValue {
        text.isEmpty ? self : adding([("description", .string(text))])
    }
}

extension JSONValue: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral,
    ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
    ExpressibleByBooleanLiteral, ExpressibleByNilLiteral
{
    init(dictionaryLiteral members: (String, JSONValue)...) {
        self = .object(members.map { ($0.0, $0.1) })
    }

    init(arrayLiteral values: JSONValue...) { self = .array(values) }
    init(stringLiteral text: String) { self = .string(text) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }
    init(nilLiteral: ()) { self = .null }
}

extension JSONWriter {
    /// A tree, as it is.
    mutating func write(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .boolean(let value): boolean(value)
        case .integer(let value): integer(value)
        case .string(let text): string(text)
        case .array(let values):
            openArray()
            for value in values { write(value) }
            closeArray()
        case .object(let members):
            openObject()
            for member in members {
                key(member.name)
                write(member.value)
            }
            closeObject()
        }
    }
}
