import DaybookLog

/// What a step does about rows that were retracted.
enum RetractionHandling: Sendable {
    /// Rows in these ranges are passed over: all retractions up to the state that is being built,
    /// so that its pieces may be copied in any order.
    case known(RetractedRows)
    /// Rows are taken back when their retraction comes, with the log to find them in. Blocks come
    /// in order.
    case asTheyCome(any LogSource)

    /// The ranges that are passed over.
    var known: RetractedRows {
        if case .known(let rows) = self { rows } else { RetractedRows() }
    }
}
