import DaybookCatalog
import DaybookLog

/// The dictionaries that a log has had.
public enum PastCatalogs {
    /// The dictionary that the log's last rows were judged by.
    ///
    /// - Parameter segmentStarts: where segments begin, in order: there new dictionaries stand.
    /// - Returns: nil if the log has none yet, or none that this program reads.
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public static func inForce(
        of log: any LogSource, segmentStarts: [Position]
    ) throws(LedgerError) -> Catalog? {
        try DictionaryFit.dictionary(of: log, segmentStarts: segmentStarts)
    }

    /// The dictionary of a version, as the log keeps it.
    ///
    /// - Parameter segmentStarts: where segments begin, in order: there new dictionaries stand.
    /// - Returns: nil if the log has none of that version that this program reads.
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public static func catalog(
        version: String, of log: any LogSource, segmentStarts: [Position]
    ) throws(LedgerError) -> Catalog? {
        for start in segmentStarts.reversed() where start < log.durable.position {
            if let text = try DictionaryFit.dictionaryText(of: log, at: start),
                let catalog = try? CatalogLoader.load(text: text), catalog.version == version
            {
                return catalog
            }
        }
        return nil
    }
}
