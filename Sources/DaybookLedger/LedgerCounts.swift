import DaybookCatalog
import DaybookIntake
import DaybookLog

/// What a ledger has written since it was opened. Retries that were answered from the log are no
/// part of it, and of the ledger's own events only their number in groups.
public struct LedgerCounts: Sendable, Equatable {
    /// The rows of one table. Rows sent = accepted + rejected.
    public struct TableRows: Sendable, Equatable {
        /// The table's name.
        public let table: String
        /// Rows that were accepted.
        public internal(set) var accepted: UInt64 = 0
        /// Rows that were rejected.
        public internal(set) var rejected: UInt64 = 0
        /// Rejected rows by reason, in the order of `RejectionCode.allCases`. A row with several
        /// reasons counts under each.
        public internal(set) var rejectedByCode: [UInt64]
    }

    /// Every table of the dictionary, in its order.
    public private(set) var tables: [TableRows]
    /// How many batches the groups had.
    public private(set) var groupBatches = Histogram(
        bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    /// How many events the groups had.
    public private(set) var groupEvents = Histogram(
        bounds: [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144])

    /// Places of the codes in `rejectedByCode`.
    private static let places = Dictionary(
        uniqueKeysWithValues: RejectionCode.allCases.enumerated().map { ($1.name, $0) })

    init(_ catalog: Catalog) {
        precondition(RejectionCode.allCases.count <= UInt64.bitWidth, "a code has a bit")
        let none = Array(repeating: UInt64(0), count: RejectionCode.allCases.count)
        tables = catalog.tables.map { TableRows(table: $0.name, rejectedByCode: none) }
    }

    /// Counts a group that is durable.
    mutating func add(_ group: [Sequencer.Pending]) {
        var eventCount = 0
        for batch in group {
            eventCount += batch.rowCount
            guard let table = place(of: batch) else { continue }
            tables[table].rejected += UInt64(batch.rejections.count)
            tables[table].accepted += UInt64(batch.rowCount - batch.rejections.count)
            for (_, rejection) in batch.rejections { add(rejection.reasons, table) }
        }
        groupBatches.add(Double(group.count))
        groupEvents.add(Double(eventCount))
    }

    private mutating func add(_ reasons: [Rejection.Reason], _ table: Int) {
        var seen: UInt64 = 0
        for reason in reasons {
            guard let code = LedgerCounts.places[reason.code], seen & 1 << code == 0 else {
                continue
            }
            seen |= 1 << code
            tables[table].rejectedByCode[code] += 1
        }
    }

    /// The batch's table; nil for the ledger's own events.
    private func place(of batch: Sequencer.Pending) -> Int? {
        if let judged = batch.batch { return judged.table.index }
        return tables.firstIndex { $0.table == batch.facts.table }
    }
}
