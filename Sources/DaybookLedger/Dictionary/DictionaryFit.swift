import Avro
import DaybookCatalog
import DaybookLog

/// Whether a dictionary can be put in force over a log that has rows already: all of them must be
/// readable as rows of its tables, and its keys must tell them apart.
///
/// Nothing is changed by asking. Rules of values are not asked about: they are for rows to come.
public struct DictionaryFit: Sendable {
    /// The dictionary that the log's last rows were judged by; nil if the log has none yet.
    public let inForce: Catalog?
    /// Columns that rows in the log cannot be read as.
    public let unreadable: [UnreadableColumn]
    /// Keys of the dictionary that more than one row has.
    public let shared: [SharedKeys]

    /// Whether it can be put in force.
    public var isGood: Bool { unreadable.isEmpty && shared.isEmpty }

    /// What is in the way, a line each.
    public var reasons: [String] { unreadable.map(\.description) + shared.map(\.description) }

    /// Looks at a log. Only if a key is new or computed otherwise than before are its rows read.
    ///
    /// - Parameters:
    ///   - writtenRecords: the records under which the log has accepted rows, named as the tables.
    ///   - segmentStarts: where segments begin, in order: there new dictionaries stand.
    ///   - progress: told how far the rows are read, in positions.
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public init(
        of catalog: Catalog, over log: any LogSource, writtenRecords: [AvroSchema.Record],
        segmentStarts: [Position], progress: (Position) -> Void = { _ in }
    ) throws(LedgerError) {
        let inForce = try Self.dictionary(of: log, segmentStarts: segmentStarts)
        self.inForce = inForce
        if inForce?.version == catalog.version {
            unreadable = []
            shared = []
            return
        }
        let faults = catalog.unreadable(writtenRecords)
        let written = Set(writtenRecords.map(\.name.name))
        let constraints = catalog.constraints.filter { constraint in
            written.contains(constraint.table)
                && !faults.contains { $0.table == constraint.table }
                && !Self.isKept(constraint, of: catalog, by: inForce)
        }
        unreadable = faults
        shared = try SharedKeySearch(catalog: catalog, log: log).run(
            constraints, progress: progress)
    }

    /// Whether the dictionary in force saw to the same constraint over the same values.
    private static func isKept(
        _ constraint: KeyConstraint, of catalog: Catalog, by inForce: Catalog?
    ) -> Bool {
        guard let inForce else { return false }
        let name = SnapshotBuilder.name(constraint, catalog)
        return inForce.constraints.contains { SnapshotBuilder.name($0, inForce) == name }
    }

    /// The dictionary of the last `catalog` event; nil if there is none that this program reads.
    static func dictionary(
        of log: any LogSource, segmentStarts: [Position]
    ) throws(LedgerError) -> Catalog? {
        for start in segmentStarts.reversed() where start < log.durable.position {
            if let text = try dictionaryText(of: log, at: start) {
                return try? CatalogLoader.load(text: text)
            }
        }
        return nil
    }

    static func dictionaryText(
        of log: any LogSource, at start: Position
    ) throws(LedgerError) -> String? {
        var text: String?
        do {
            for block in try log.blocks(from: start, byteLimit: 1).prefix(1) {
                try block.forEachBatch { reader in
                    guard reader.facts.table.isEmpty,
                        try reader.nextBranch() == reader.schema.controlBranch
                    else { return }
                    let control = try reader.readControl()
                    guard control.kind == "catalog" else { return }
                    text = String(decoding: control.text, as: UTF8.self)
                }
            }
        } catch let error as LogError {
            throw .log(error)
        } catch {
            throw .log(.unreadableRecord(at: start, error))
        }
        return text
    }
}

extension LogError {
    /// A record whose checksums hold and that is not as its schema says.
    static func unreadableRecord(at position: Position, _ error: any Error) -> LogError {
        .corrupt(
            Corruption(
                file: "the block of position \(position)", offset: 0, position: position,
                what: "a record does not read as its schema says: \(error)"))
    }
}
