import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookSegments

/// Asks, before anything is touched, whether a dictionary can be put in force over a log.
enum DictionaryGate {
    /// Checks the dictionary against what is known to be durable of a log on disk.
    ///
    /// - Returns: the position up to which the log was looked at; 0 if there is none, or none that
    ///   can be read: then whoever opens it says so.
    /// - Throws: `CommandFailure` (`usage`) with everything that is in the way.
    static func check(_ catalog: Catalog, dataFolder: String) throws -> Position {
        guard let log = try? LogReader.open(folder: dataFolder) else { return 0 }
        try check(catalog, over: log)
        return log.durable.position
    }

    /// Checks the dictionary against a log.
    ///
    /// - Throws: `CommandFailure` (`usage`) with everything that is in the way.
    static func check(_ catalog: Catalog, over log: some SegmentedLog) throws {
        let fit = try DictionaryFit(
            of: catalog, over: log, writtenRecords: log.writtenRecords,
            segmentStarts: log.segmentStarts)
        if fit.isGood { return }
        throw CommandFailure(
            .usage,
            """
            the dictionary cannot be put in force over this ledger, and nothing was changed:
            \(fit.reasons.joined(separator: "\n"))
            See `daybook dictionary check DIR`.
            """)
    }
}
