import DaybookCatalog
import DaybookLog

/// What a projection is made of, so that a change of the dictionary is told from none.
///
/// Two projections with the same shape have the same tables and are made from events in the same
/// way. Rules that only judge rows, such as patterns and references, are no part of it.
enum ProjectionShape {
    /// Raised when the audit's tables change.
    private static let auditVersion = "audit 1"

    /// The names of all projections of a catalog: tables, aggregates and the audit.
    static func names(of catalog: Catalog) -> [String] {
        catalog.tables.map(\.name) + catalog.aggregates.map(\.name) + [auditProjectionName]
    }

    /// The digest that stands beside a projection's checkpoint; nil if the catalog has no such
    /// projection.
    static func digest(of name: String, in catalog: Catalog) -> String? {
        guard var text = text(of: name, in: catalog) else { return nil }
        return text.withUTF8 { Digest(of: UnsafeRawBufferPointer($0)).description }
    }

    private static func text(of name: String, in catalog: Catalog) -> String? {
        if name == auditProjectionName { return auditVersion }
        if let table = catalog.table(named: name) { return text(of: table) }
        guard let aggregate = catalog.aggregate(named: name),
            let table = catalog.table(named: aggregate.table)
        else { return nil }
        let ddl = aggregate.ddl(of: table, schema: "")
        let groups = aggregate.groups.map { "\($0.name) \($0.column) \($0.function as Any)" }
        let measures = aggregate.measures.map {
            "\($0.name) \($0.function) \($0.column ?? "")"
        }
        let lines = [ddl.createTable] + ddl.keyStatements + groups + measures
        let condition = aggregate.condition.map {
            "\($0.column) \($0.comparison.rawValue) \($0.value)"
        }
        return (lines + [condition ?? "", aggregate.timeZone]).joined(separator: "\n")
    }

    private static func text(of table: Table) -> String {
        let ddl = table.ddl(schema: "")
        let defaults = table.columns.compactMap { column in
            column.defaultValue.map { "\(column.name) \($0)" }
        }
        return ([ddl.createTable] + ddl.keyStatements + defaults).joined(separator: "\n")
    }
}
