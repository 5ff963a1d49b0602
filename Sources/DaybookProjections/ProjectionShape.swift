import DaybookCatalog
import DaybookLog

/// What a projection is made of, so that a change of the dictionary is told from none.
///
/// Two projections with the same shape have the same tables and are made from events in the same
/// way. Rules that only judge rows, such as patterns and references, are no part of it.
enum ProjectionShape {
    /// Raised when the audit's tables change.
    private static let auditVersion = "audit 2"

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
        name == auditProjectionName ? auditVersion : catalog.shape(of: name)
    }
}
