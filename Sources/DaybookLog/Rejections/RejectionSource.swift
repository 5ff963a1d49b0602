/// Why a question about rejections has no answer.
public enum RejectionSourceError: Error, Sendable, Equatable {
    /// Postgres cannot be reached, or went away: try again.
    case unavailable(String)
    /// As many questions are being answered and waiting as may be: try again.
    case busy
    /// It took longer than it may.
    case timedOut(seconds: Int)
    /// Postgres refused the query.
    case failed(String)
}

/// Finds rejections in the audit. Who asks knows no more of Postgres than this.
public protocol RejectionSource: Sendable {
    /// The first rejections behind position `after` that pass `filter`, at most `limit`, which is
    /// 1 or more; nil is from the start.
    func page(
        _ filter: RejectionFilter, after: Position?, limit: Int
    ) async throws(RejectionSourceError) -> RejectionPage

    /// Counts of all that pass `filter`. Reads all of them.
    func summary(
        _ filter: RejectionFilter
    ) async throws(RejectionSourceError) -> RejectionSummary

    /// What became of the rejection at `position`, whose row was first rejected at `root`.
    func life(
        of position: Position, root: Position
    ) async throws(RejectionSourceError) -> RejectionLife
}
