import DaybookCatalog
import Postgres

/// Rows that refer to rows which are not there.
public struct DanglingReference: Sendable, Equatable {
    /// The table that refers.
    public let table: String
    /// The columns that do.
    public let columns: [String]
    /// The table that they refer to.
    public let target: String
    /// How many rows dangle.
    public let rowCount: Int64
    /// The keys of some of them, as text.
    public let keys: [String]

    /// One line for a person.
    public var text: String {
        let more = rowCount > Int64(keys.count) ? ", …" : ""
        return "\(rowCount) rows of \(table) would refer to rows of \(target) that are not there, "
            + "by \(columns.joined(separator: ", ")): \(keys.joined(separator: "; "))\(more)"
    }
}

/// Looks, before restored tables become the live ones, whether references between them and the
/// tables that stay would be true.
struct ReferenceCheck {
    let connection: PostgresConnection
    let catalog: Catalog
    /// The schema of the live tables.
    let schema: String
    /// Tables that are restored, and the schema in which they stand now.
    let restored: Set<String>
    let restoredSchema: String
    /// Whether tables that stay count: not for a look at the past.
    let includesLive: Bool

    private static let keyCountMax = 5

    func run() throws -> [DanglingReference] {
        var found: [DanglingReference] = []
        for table in catalog.tables {
            for slot in table.slots {
                guard case .reference(rejectMissing: true) = slot.role else { continue }
                let constraint = catalog.constraints[slot.constraint]
                let sides = [table.name, constraint.table].filter(restored.contains)
                if sides.isEmpty || (!includesLive && sides.count < 2) { continue }
                if let dangling = try check(table, slot, constraint) { found.append(dangling) }
            }
        }
        return found
    }

    private func relation(_ table: String) -> String {
        SQL.identifier(restored.contains(table) ? restoredSchema : schema, table)
    }

    private func check(
        _ table: Table, _ slot: SlotPlan, _ constraint: KeyConstraint
    ) throws -> DanglingReference? {
        let (from, to) = (relation(table.name), relation(constraint.table))
        let there = try connection.query(
            "SELECT to_regclass($1) IS NOT NULL AND to_regclass($2) IS NOT NULL",
            [.text(from), .text(to)])
        guard there[0].bool(0) == true else { return nil }
        let columns = slot.columns.map { table.columns[$0].name }
        let pairs = zip(columns, constraint.columns).map { own, other in
            "b.\(SQL.identifier(other)) = a.\(SQL.identifier(own))"
        }
        let given = columns.map { "a.\(SQL.identifier($0)) IS NOT NULL" }
        let key =
            table.key.isEmpty
            ? [Table.positionColumn] : table.key.map { table.columns[$0].name }
        let keyText = key.map { "a.\(SQL.identifier($0))::text" }.joined(separator: ", ")
        let condition =
            "\(given.joined(separator: " AND ")) AND NOT EXISTS"
            + " (SELECT FROM \(to) AS b WHERE \(pairs.joined(separator: " AND ")))"
        let rows = try connection.query(
            """
            SELECT concat_ws(',', \(keyText)), count(*) OVER ()
              FROM \(from) AS a WHERE \(condition) ORDER BY 1 LIMIT \(ReferenceCheck.keyCountMax)
            """)
        guard let count = rows.first?.text(1).flatMap({ Int64($0) }) else { return nil }
        return DanglingReference(
            table: table.name, columns: columns, target: constraint.table, rowCount: count,
            keys: rows.compactMap { $0.text(0) })
    }
}
