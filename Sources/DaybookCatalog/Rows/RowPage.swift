/// Rows of a table that follow each other in the order of its key.
public struct RowPage: Sendable {
    /// Their values as text: the dictionary's columns in its order, then `ledger_position`.
    public let rows: ReportTable
    /// Whether another row comes behind the last one.
    public let hasMore: Bool

    /// A page of rows.
    public init(rows: ReportTable, hasMore: Bool) {
        self.rows = rows
        self.hasMore = hasMore
    }
}

/// Why rows cannot be read.
public enum RowSourceError: Error, Sendable, Equatable {
    /// Postgres cannot be reached, or went away: try again.
    case unavailable(String)
    /// As many reads run and wait as may: try again.
    case busy
    /// The read took longer than it may.
    case timedOut(seconds: Int)
    /// Postgres has no such table yet, or one of an earlier dictionary: try again.
    case notMade
    /// Postgres refused the query: why.
    case failed(String)
}

/// Reads rows of the dictionary's tables. Who asks knows no more of Postgres than this.
///
/// A key is the text of its values, in the key's order, as `ScalarValue.text(type:)` gives it; that
/// of an append-only table is the row's `ledger_position`.
public protocol RowSource: Sendable {
    /// The first rows of `table` behind the key `after`, or from the beginning, in the order of
    /// the key: at most `limit`, and fewer if they are large.
    func page(
        of table: Table, after: [String]?, limit: Int
    ) async throws(RowSourceError) -> RowPage

    /// The row of that key: a page of one, or of none.
    func row(of table: Table, key: [String]) async throws(RowSourceError) -> RowPage
}
