import DaybookCatalog
import Postgres

/// The SQL that reads rows of a table by its key, and the values that it is run with.
///
/// Neither order nor comparison names a collation: both take the columns' own, which is that of the
/// key's index. So the index gives the order, and a page begins in it right behind the row before.
struct RowStatement {
    let sql: String
    let parameters: [PostgresValue]

    /// The row of a key, if it is there.
    init(of table: Table, schema: String, key: [String]) {
        sql = """
            SELECT \(RowStatement.columnList(table))
              FROM \(SQL.identifier(schema, table.name))
             WHERE \(RowStatement.key(table, "=", key))
            """
        parameters = key.map { .text($0) }
    }

    /// At most `limit` rows behind `after` and one more, in the order of the key. The last column
    /// says whether another row comes behind. Rows end before one that has `byteLimit` bytes of
    /// rows in front of it.
    ///
    /// What is passed over is not read: `octet_length` of a text that is stored aside comes from
    /// where it is referred to, and windows are computed over references.
    init(pageOf table: Table, schema: String, after: [String]?, limit: Int, byteLimit: Int) {
        let order = RowStatement.keyList(table)
        let condition = after.map { " WHERE \(RowStatement.key(table, ">", $0))" } ?? ""
        let columns = RowStatement.columnList(table)
        // No column of a dictionary has such names.
        sql = """
            SELECT \(columns), ".more" FROM (
              SELECT page.*, lead(true) OVER rows AS ".more",
                     sum(\(RowStatement.byteCount(table))) OVER rows AS ".before"
                FROM (SELECT \(columns)
                        FROM \(SQL.identifier(schema, table.name))\(condition)
                       ORDER BY \(order) LIMIT \(limit + 1)) AS page
              WINDOW rows AS (ORDER BY \(order)
                              ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS weighed
             WHERE coalesce(".before", 0) < \(byteLimit)
             ORDER BY \(order)
            """
        parameters = (after ?? []).map { .text($0) }
    }

    /// What a row's values that are not text and all names take in an answer, about.
    private static let fieldByteCount = 32

    private static func columnList(_ table: Table) -> String {
        (table.columns.map(\.name) + [Table.positionColumn]).map { SQL.identifier($0) }
            .joined(separator: ", ")
    }

    private static func keyList(_ table: Table) -> String {
        keyColumns(table).map { SQL.identifier($0.name) }.joined(separator: ", ")
    }

    private static func keyColumns(_ table: Table) -> [(name: String, type: String)] {
        guard !table.key.isEmpty else { return [(Table.positionColumn, "bigint")] }
        return table.key.map { (table.columns[$0].name, table.columns[$0].type.sqlType) }
    }

    /// The comparison of a row's key with the parameters.
    private static func key(_ table: Table, _ comparison: String, _ values: [String]) -> String {
        let columns = keyColumns(table)
        precondition(values.count == columns.count, "a key has a value for each of its columns")
        let parameters = columns.enumerated().map { "CAST($\($0 + 1) AS \($1.type))" }
        return "(\(keyList(table))) \(comparison) (\(parameters.joined(separator: ", ")))"
    }

    /// About how many bytes a row takes in an answer, as SQL.
    private static func byteCount(_ table: Table) -> String {
        let names = table.columns.map(\.name) + [Table.positionColumn]
        let fixed = names.reduce(0) { $0 + $1.utf8.count + fieldByteCount }
        let texts = table.columns.filter { $0.type == .string }.map {
            "coalesce(octet_length(\(SQL.identifier($0.name))), 0)::bigint"
        }
        return (["\(fixed)::bigint"] + texts).joined(separator: " + ")
    }
}
