/// Why a table and the log could not be compared, or not be made the same.
public enum DriftError: Error, Sendable, Equatable {
    /// The database is not at a place of this log's history.
    case contradiction(String)
    /// The table is not there, lacks a column, was built by another dictionary, or holds what its
    /// type does not allow; or the log's events cannot be read as the table's rows.
    case unreadable(String)
    /// Bytes that are no row of a COPY.
    case malformedRow
    /// A repair was not possible, or left the table other than the log and was taken back.
    case notRepaired(String)
}

extension DriftError: CustomStringConvertible {
    /// The reason as a sentence; it holds no row data.
    public var description: String {
        switch self {
        case .contradiction(let what), .unreadable(let what), .notRepaired(let what): what
        case .malformedRow: "Postgres sent bytes that are no row of a COPY"
        }
    }
}
