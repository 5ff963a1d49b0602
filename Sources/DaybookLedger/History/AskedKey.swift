import Avro
import DaybookCatalog

/// A key of a table that somebody asks about, as the dictionary in force reads it.
public struct AskedKey: Sendable {
    /// The table that has the key.
    public let table: Table
    /// The key's values as the ledger writes them, in the key's order: a time in UTC, say.
    public let values: [String]
    /// The columns of the key, in its order.
    public var columns: [Column] { table.key.map { table.columns[$0] } }
    /// The values as rows of the table have them, one after the other.
    let encoded: [UInt8]
    /// Place of the key's rule in `Catalog.constraints`.
    let constraint: Int

    /// Reads the text of a value for each of the key's columns, in the dictionary's order. Neither
    /// patterns nor bounds are asked: there may be rows from before them.
    ///
    /// - Throws: `KeyFault` that says what would be right.
    public init(
        _ texts: [String], of tableName: String, in catalog: Catalog
    ) throws(KeyFault) {
        guard let table = catalog.table(named: tableName) else {
            throw .unknownTable(tableName, known: catalog.tables.map(\.name))
        }
        let columns = table.key.map { table.columns[$0] }
        guard !columns.isEmpty, let rule = table.slots.first else { throw .noKey(tableName) }
        guard texts.count == columns.count else {
            throw .wrongCount(
                table: tableName, columns: columns.map(\.name), given: texts.count)
        }
        var sink = ByteSink(capacity: 64)
        var values: [String] = []
        for (text, column) in zip(texts, columns) {
            let value: ScalarValue
            do throws(ScalarFault) {
                value = try ScalarValue(text: text, type: column.type)
            } catch {
                throw .badValue(column: column.name, type: column.type, text: text)
            }
            sink.append(value: value)
            values.append(value.text(type: column.type))
        }
        self.table = table
        self.values = values
        encoded = Array(sink.unsafeBytes)
        constraint = rule.constraint
    }
}

/// Why something cannot be a key of a table.
public enum KeyFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// The dictionary has other tables.
    case unknownTable(String, known: [String])
    /// The table is append-only: nothing tells its rows apart.
    case noKey(String)
    /// The key has another number of columns than values were given.
    case wrongCount(table: String, columns: [String], given: Int)
    /// A text is no value of its column's type.
    case badValue(column: String, type: ColumnType, text: String)

    /// What is wrong, and what would be right. Quotes at most 48 characters of what was given.
    public var description: String {
        switch self {
        case .unknownTable(let name, let known):
            return "the dictionary has no table \(KeyFault.quote(name)); there are "
                + known.joined(separator: ", ")
        case .noKey(let table):
            return "rows of \(table) have no key by which one could be named; its events are in "
                + "the log: daybook log cat --table \(table)"
        case .wrongCount(let table, let columns, let given):
            let values = columns.count == 1 ? "1 value" : "\(columns.count) values"
            return "a key of \(table) has \(values) (\(columns.joined(separator: ", "))), and "
                + "\(given) \(given == 1 ? "was" : "were") given"
        case .badValue(let column, let type, let text):
            return "\(KeyFault.quote(text)) is no value of \(column), which is \(type)"
        }
    }

    private static func quote(_ text: String) -> String {
        text.count > 48 ? "\"\(text.prefix(48))…\"" : "\"\(text)\""
    }
}
