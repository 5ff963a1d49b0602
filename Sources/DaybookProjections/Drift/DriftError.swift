/// Why a table and the log could not be compared.
public enum DriftError: Error, Sendable, Equatable {
    /// The database is not at a place of this log's history.
    case contradiction(String)
    /// The table is not there, lacks a column, or holds what its type does not allow; or the log's
    /// events cannot be read as the table's rows.
    case unreadable(String)
    /// Bytes that are no row of a COPY.
    case malformedRow
    /// A repair left the table other than the log, and was taken back.
    case notRepaired(String)
}
