/// A parameter of a query. `nil` in its place is NULL.
public enum PostgresValue: Sendable, Equatable {
    /// In text form; the server infers the type from where it stands. Holds no NUL.
    case text(String)
    /// In the type's binary form. With `typeOID` 0 the server infers the type.
    case binary([UInt8], typeOID: UInt32)

    /// A `bigint`.
    public static func int64(_ value: Int64) -> PostgresValue {
        .binary(withUnsafeBytes(of: value.bigEndian) { [UInt8]($0) }, typeOID: TypeOID.int8)
    }

    /// A `bytea`.
    public static func bytes(_ value: [UInt8]) -> PostgresValue {
        .binary(value, typeOID: TypeOID.bytea)
    }

    /// A `boolean`.
    public static func bool(_ value: Bool) -> PostgresValue {
        .binary([value ? 1 : 0], typeOID: TypeOID.bool)
    }
}

extension PostgresValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    /// `"…"` is text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// A number is a `bigint`.
    public init(integerLiteral value: Int64) { self = .int64(value) }
}

/// Object ids of built-in types (`src/include/catalog/pg_type.dat`); they never change.
public enum TypeOID {
    /// `boolean`
    public static let bool: UInt32 = 16
    /// `bytea`
    public static let bytea: UInt32 = 17
    /// `bigint`
    public static let int8: UInt32 = 20
    /// `smallint`
    public static let int2: UInt32 = 21
    /// `integer`
    public static let int4: UInt32 = 23
    /// `text`
    public static let text: UInt32 = 25
    /// `double precision`
    public static let float8: UInt32 = 701
    /// `date`
    public static let date: UInt32 = 1082
    /// `timestamptz`
    public static let timestamptz: UInt32 = 1184
    /// `numeric`
    public static let numeric: UInt32 = 1700
    /// `uuid`
    public static let uuid: UInt32 = 2950
    /// `jsonb`
    public static let jsonb: UInt32 = 3802
}

/// The form in which the server sends a result's values.
public enum PostgresFormat: Int32, Sendable {
    case text = 0
    case binary = 1
}

/// Names and literals for SQL text that parameters cannot reach (DDL, COPY, SET).
public enum SQL {
    /// `name` as a quoted identifier: `a"b` is `"a""b"`.
    public static func identifier(_ name: String) -> String {
        precondition(!name.isEmpty, "an identifier has at least one character")
        return quoted(name, "\"")
    }

    /// `schema.name`, both quoted.
    public static func identifier(_ schema: String, _ name: String) -> String {
        identifier(schema) + "." + identifier(name)
    }

    /// `text` as a string literal, under `standard_conforming_strings` as our sessions have it.
    public static func literal(_ text: String) -> String {
        quoted(text, "'")
    }

    private static func quoted(_ text: String, _ quote: Character) -> String {
        precondition(!text.utf8.contains(0), "SQL text holds no NUL")
        var result = String(quote)
        for character in text.unicodeScalars {
            result.unicodeScalars.append(character)
            if Character(character) == quote { result.append(quote) }
        }
        result.append(quote)
        return result
    }
}
