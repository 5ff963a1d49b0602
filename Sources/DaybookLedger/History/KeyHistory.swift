import DaybookCatalog
import DaybookLog

/// All that the log knows of a key of a table: the rows that were accepted under it, in order.
/// There are several only because of retractions, or of keys that older dictionaries had.
public struct KeyHistory: Sendable {
    /// So many events are given at once.
    public static let eventCountMax = 100
    /// No further event is given when the rows so far have so many bytes.
    static let rowByteCountMax = 8 << 20

    /// The key that was asked for.
    public let key: AskedKey
    /// What became of it until now, also by events that are not given here.
    public let presence: KeyPresence
    /// Its accepted rows in order of position.
    public let events: [KeyEvent]
    /// The position behind which to ask for more; nil if there are no more.
    public let next: Position?
    /// The log was looked through up to here.
    public let position: Position
    /// The positions of the rows that nothing took back.
    let standing: [Position]

    /// Looks through the log. Segments without rows of the table are passed over; of the others
    /// every row is, as bytes. Blocks on the disk.
    ///
    /// - Parameters:
    ///   - catalog: the dictionary in force, which was asked for the key.
    ///   - after: only events behind this position are given.
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public init(
        of key: AskedKey, by catalog: Catalog, in log: any LogSource, after: Position? = nil
    ) throws(LedgerError) {
        let scan = KeyScan(
            key: key, catalog: catalog, after: after ?? -1,
            rowByteCountMax: KeyHistory.rowByteCountMax)
        try self.init(of: key, by: scan, in: log)
    }

    init(of key: AskedKey, by scan: KeyScan, in log: any LogSource) throws(LedgerError) {
        let end = log.durable.position
        var search = scan
        do {
            for range in log.ranges(holding: key.table.name) {
                try search.read(range.clamped(to: 0..<end), of: log)
            }
        } catch let error as LogError {
            throw .log(error)
        } catch {
            throw .log(.unreadableRecord(at: search.position, error))
        }
        self.key = key
        position = end
        standing = search.standing
        next = search.hasMore ? search.events.last?.position : nil
        presence =
            search.standing.isEmpty ? search.count > 0 ? .retracted : .absent : .present
        let lookup = LogLookup(engine: log, byteLimit: 0)
        var events = search.events
        for index in events.indices {
            guard let rejection = events[index].correctedPosition else { continue }
            events[index].corrected =
                try lookup.withBatch(at: rejection) {
                    try StoredRejection(reading: &$0, at: rejection)
                } ?? nil
        }
        self.events = events
    }
}
