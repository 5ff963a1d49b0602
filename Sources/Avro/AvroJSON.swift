/// A JSON value as it stands in a schema: members keep their order and numbers their text.
///
/// Source: RFC 8259. Kept small on purpose: it reads schemas and defaults, never rows.
public indirect enum AvroJSON: Hashable, Sendable {
    /// One member of an object.
    public struct Member: Hashable, Sendable {
        /// The name before the colon, unescaped.
        public var name: String
        /// The value behind it.
        public var value: AvroJSON

        /// A member called `name`.
        public init(_ name: String, _ value: AvroJSON) {
            self.name = name
            self.value = value
        }
    }

    /// `null`.
    case null
    /// `true` or `false`.
    case boolean(Bool)
    /// A number as it was written, so that no digit is lost.
    case number(String)
    /// A string, unescaped.
    case string(String)
    /// An array.
    case array([AvroJSON])
    /// An object; names are unique.
    case object([Member])

    /// The member called `name`, if this is an object that has one.
    public subscript(name: String) -> AvroJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// A whole number.
    public static func integer(_ value: some BinaryInteger) -> AvroJSON {
        .number(String(value))
    }

    /// The value as JSON text without spaces.
    public var text: String {
        var text = ""
        write(to: &text)
        return text
    }

    func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .boolean(let value): text += value ? "true" : "false"
        case .number(let digits): text += digits
        case .string(let string): Self.write(string, to: &text)
        case .array(let items):
            text += "["
            for (index, item) in items.enumerated() {
                if index > 0 { text += "," }
                item.write(to: &text)
            }
            text += "]"
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                if index > 0 { text += "," }
                Self.write(member.name, to: &text)
                text += ":"
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\0"..<" ":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
