/// The statements that make a table in Postgres, apart, so that a rebuild can fill the table
/// before its keys are built.
///
/// There are no foreign keys: the ledger decided every reference at the door, `onMissing: accept`
/// admits rows without one, and projectors and rebuilds fill the tables in any order.
public struct TableDDL: Sendable, Hashable {
    /// `CREATE TABLE`, without keys.
    public let createTable: String
    /// The primary key, then the further unique sets. A table whose key is `[]` has
    /// `ledger_position` for primary key: one event is one row.
    public let keyStatements: [String]
    /// `COMMENT ON` for every doc there is.
    public let commentStatements: [String]
}

/// Text as Postgres reads it, whatever characters it has.
public enum SQLText {
    /// A quoted name.
    public static func identifier(_ name: String) -> String {
        "\"" + doubling("\"", in: name) + "\""
    }

    /// A quoted string; `standard_conforming_strings` is on, as it is by default.
    public static func literal(_ text: String) -> String {
        "'" + doubling("'", in: text) + "'"
    }

    private static func doubling(_ quote: Character, in text: String) -> String {
        text.split(separator: quote, omittingEmptySubsequences: false)
            .joined(separator: "\(quote)\(quote)")
    }
}

extension ColumnType {
    /// The type's name in Postgres.
    public var sqlType: String {
        switch self {
        case .integer: "bigint"
        case .number: "double precision"
        case .decimal(let precision, let scale): "numeric(\(precision),\(scale))"
        case .boolean: "boolean"
        case .string: "text"
        case .date: "date"
        case .timestamp: "timestamp with time zone"
        case .uuid: "uuid"
        }
    }
}

extension Table {
    /// The last column of every table in Postgres: the position of the event that made the row.
    public static let positionColumn = "ledger_position"

    /// The statements that make this table in `schema`, as `name` if it is to be built beside the
    /// old one. Indexes get the names that Postgres chooses, so that both can stand side by side.
    public func ddl(schema: String, name: String? = nil) -> TableDDL {
        let target = SQLText.identifier(schema) + "." + SQLText.identifier(name ?? self.name)
        let position = SQLText.identifier(Self.positionColumn)
        var lines = columns.map {
            "    \(SQLText.identifier($0.name)) \($0.type.sqlType)"
                + ($0.isOptional ? "" : " NOT NULL")
        }
        lines.append("    \(position) bigint NOT NULL")
        func list(_ set: [Int]) -> String {
            set.map { SQLText.identifier(columns[$0].name) }.joined(separator: ", ")
        }
        let primary = key.isEmpty ? position : list(key)
        var comments: [String] = []
        if !doc.isEmpty { comments.append("COMMENT ON TABLE \(target) IS \(SQLText.literal(doc))") }
        for column in columns where !column.doc.isEmpty {
            comments.append(
                "COMMENT ON COLUMN \(target).\(SQLText.identifier(column.name)) "
                    + "IS \(SQLText.literal(column.doc))")
        }
        return TableDDL(
            createTable: "CREATE TABLE \(target) (\n\(lines.joined(separator: ",\n"))\n)",
            keyStatements: ["ALTER TABLE \(target) ADD PRIMARY KEY (\(primary))"]
                + unique.map { "ALTER TABLE \(target) ADD UNIQUE (\(list($0)))" },
            commentStatements: comments)
    }
}
