import DaybookCatalog
import DaybookLog

extension Catalog {
    /// The schema of a log that this dictionary's rows are written to.
    ///
    /// - Throws: `SchemaFault` if a table's rows have none.
    public func logSchema() throws(SchemaFault) -> LogSchema {
        try LogSchema(
            recordSchemas: tables.map(\.avroSchema),
            keepsDigests: tables.contains { $0.rejectedRaw == .digest })
    }
}
