/// A type as the dictionary writes it: `integer`, `decimal(12,2)`.
extension ColumnType: CustomStringConvertible {
    /// The text from which the type is read again.
    public var description: String {
        switch self {
        case .integer: "integer"
        case .number: "number"
        case .decimal(let precision, let scale): "decimal(\(precision),\(scale))"
        case .boolean: "boolean"
        case .string: "string"
        case .date: "date"
        case .timestamp: "timestamp"
        case .uuid: "uuid"
        }
    }

    static let names = [
        "integer", "number", "decimal(p,s)", "boolean", "string", "date", "timestamp", "uuid",
    ]

    /// What Avro's and Postgres's decimals can both hold, and 128 bits too.
    static let precisionMax = 38

    struct TextError: Error {
        let problem: String
        let remedy: String
    }

    init(dictionaryText text: String) throws(TextError) {
        switch text {
        case "integer": self = .integer
        case "number": self = .number
        case "boolean": self = .boolean
        case "string": self = .string
        case "date": self = .date
        case "timestamp": self = .timestamp
        case "uuid": self = .uuid
        case _ where text.hasPrefix("decimal"): self = try Self.decimal(text)
        default:
            let meant = Self.otherNames[text.lowercased()].map { "did you mean `\($0)`?" }
            throw TextError(
                problem: "`\(text)` is no type",
                remedy: meant
                    ?? Naming.suggestion(for: text, among: Self.names, kind: "the types"))
        }
    }

    private static func decimal(_ text: String) throws(TextError) -> ColumnType {
        let inner = text.dropFirst("decimal".count)
        let parts = inner.dropFirst().dropLast().split(
            separator: ",", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0.filter { $0 != " " }) }
        guard inner.first == "(", inner.last == ")", parts.count == 2, numbers.count == 2 else {
            throw TextError(
                problem: "`\(text)` does not say its digits",
                remedy: "write `decimal(p,s)`: p digits in all, s of them after the point")
        }
        guard (1...precisionMax).contains(numbers[0]), (0...numbers[0]).contains(numbers[1]) else {
            throw TextError(
                problem: "`\(text)` has digits that cannot be",
                remedy: "p is from 1 to \(precisionMax), s from 0 to p")
        }
        return .decimal(precision: numbers[0], scale: numbers[1])
    }

    /// What other systems call these types.
    private static let otherNames: [String: String] = [
        "int": "integer", "int64": "integer", "bigint": "integer", "long": "integer",
        "float": "number", "double": "number", "real": "number",
        "numeric": "decimal(p,s)", "bool": "boolean", "text": "string", "varchar": "string",
        "str": "string", "datetime": "timestamp", "timestamptz": "timestamp", "time": "timestamp",
        "guid": "uuid",
    ]

    /// How a value looks, for a person who wrote something else.
    var example: String {
        switch self {
        case .integer: "a whole number of at most 64 bits, such as 12"
        case .number: "a finite number such as 1.5"
        case .decimal(let precision, let scale):
            "a number of at most \(precision - scale) digits before the point and \(scale) after"
        case .boolean: "true or false"
        case .string: "text without zero bytes"
        case .date: "a day such as 2021-11-07"
        case .timestamp: "a time with its offset such as 2021-11-07T02:48:42Z"
        case .uuid: "32 hexadecimal digits such as 6f1b0f7e-2c58-4f6c-9a53-0c1f5a3f6d11"
        }
    }

    /// Whether one of its values can be less than another; else they are only equal or not.
    var isOrdered: Bool { self != .boolean && self != .uuid }

    /// Whether sums and means can be taken.
    var isNumeric: Bool {
        switch self {
        case .integer, .number, .decimal: true
        case .boolean, .string, .date, .timestamp, .uuid: false
        }
    }

    /// Whether its values can stand on the two sides of a comparison with values of `other`.
    func isComparable(with other: ColumnType) -> Bool {
        if case .decimal(_, let left) = self, case .decimal(_, let right) = other {
            return left == right
        }
        return self == other
    }
}
