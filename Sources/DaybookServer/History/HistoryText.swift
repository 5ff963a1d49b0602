import Avro
import DaybookCatalog
import DaybookLedger
import DaybookLog

/// Who reads a history: what quotes rejected bytes, and the values of rows that were taken back,
/// are for the scope `audit` and for who sent them.
public struct HistoryReader: Sendable {
    /// Sees all.
    public static let auditor = HistoryReader(principal: nil, isAuditor: true)

    private let principal: String?
    private let isAuditor: Bool

    init(_ caller: Caller) {
        self.init(principal: caller.principal, isAuditor: caller.scopes.contains(.audit))
    }

    private init(principal: String?, isAuditor: Bool) {
        self.principal = principal
        self.isAuditor = isAuditor
    }

    fileprivate func seesAll(of batch: BatchFacts) -> Bool {
        isAuditor || batch.principal == principal
    }
}

extension JSONWriter {
    /// The history of a key as an object, for `reader`; `ledger` is the ledger's id, by which its
    /// backups are known.
    ///
    /// - Throws: `EventTextError` if a row's bytes are not what its schema says.
    public mutating func write(
        _ history: KeyHistory, backups: HistoryBackups, ledger: String, for reader: HistoryReader
    ) throws(EventTextError) {
        openObject()
        field("table", history.key.table.name)
        key("key")
        write(history.key)
        field("state", history.presence.rawValue)
        key("events")
        openArray()
        for event in history.events {
            try write(
                event, held: backups.holding(event, of: history, ledger: ledger), for: reader)
        }
        closeArray()
        key("next")
        if let next = history.next { integer(next) } else { null() }
        if case .unknown(let reason) = backups { field("backups_unknown", reason) }
        closeObject()
    }

    /// One value by itself, several as an array.
    private mutating func write(_ asked: AskedKey) {
        if asked.values.count != 1 { openArray() }
        for (text, column) in zip(asked.values, asked.columns) {
            switch column.type {
            case .integer, .number, .boolean: raw(text)
            default: string(text)
            }
        }
        if asked.values.count != 1 { closeArray() }
    }

    private mutating func write(
        _ event: KeyEvent, held: [(name: String, facts: BackupListing.Facts)]?,
        for reader: HistoryReader
    ) throws(EventTextError) {
        let batch = event.batch
        let seesAll = reader.seesAll(of: batch)
        openObject()
        field("position", event.position)
        field("batch_id", batch.id)
        field("index", event.index)
        field("table", batch.table)
        field("source", batch.source)
        write(line: event.line)
        key("received_at")
        time(batch.receivedAt)
        field("principal", batch.principal)
        field("format", batch.format)
        field("idempotency_key", batch.idempotencyKey)
        // Whoever can guess a body can show by its digest that it was this.
        let digest = batch.requestDigest.isEmpty || !seesAll ? nil : batch.requestDigest
        field("request_digest", digest?.hexadecimal)
        field("dictionary", batch.dictionary)
        field("leaf", event.leaf.description)
        key("row")
        if event.retraction == nil || seesAll { try write(rowOf: event) } else { null() }
        key("corrected")
        if let corrected = event.corrected {
            write(corrected, hasQuotes: reader.seesAll(of: corrected.batch))
        } else {
            null()
        }
        key("retraction")
        if let retraction = event.retraction { write(retraction) } else { null() }
        key("backups")
        if let held { write(held) } else { null() }
        closeObject()
    }

    /// The row of an event as an object, as it was written.
    ///
    /// - Throws: `EventTextError` if its bytes are not what its schema says.
    public mutating func write(rowOf event: KeyEvent) throws(EventTextError) {
        let rows = try RowText(event.schema)
        // The writer is moved into the closure's scope and back: it has one owner.
        var text = JSONWriter(capacity: 0)
        swap(&text, &self)
        defer { swap(&text, &self) }
        do {
            try event.row.withUnsafeBytes { bytes in
                var cursor = ByteCursor(bytes)
                try rows.write(event.branch, from: &cursor, to: &text)
            }
        } catch {
            throw EventTextError(what: "the row at \(event.position): \(error)")
        }
    }

    private mutating func write(line: Int64?) {
        key("line")
        if let line { integer(line) } else { null() }
    }

    private mutating func write(_ corrected: StoredRejection, hasQuotes: Bool) {
        openObject()
        field("position", corrected.position)
        field("batch_id", corrected.batch.id)
        field("source", corrected.batch.source)
        write(line: corrected.line)
        key("received_at")
        time(corrected.batch.receivedAt)
        field("principal", corrected.batch.principal)
        write(reasons: corrected.rejection.reasons, hasQuotes: hasQuotes)
        closeObject()
    }

    private mutating func write(_ retraction: KeyEvent.Retraction) {
        openObject()
        field("position", retraction.position)
        field("batch_id", retraction.batchID)
        key("received_at")
        time(retraction.receivedAt)
        field("by", retraction.by)
        field("note", retraction.note)
        closeObject()
    }

    private mutating func write(_ held: [(name: String, facts: BackupListing.Facts)]) {
        openArray()
        for (name, facts) in held {
            openObject()
            field("backup", name)
            field("position", facts.position)
            field("time", facts.time)
            field("with_log", facts.hasLog)
            field("proven", facts.isProven)
            closeObject()
        }
        closeArray()
    }
}
