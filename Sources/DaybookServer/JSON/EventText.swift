import Avro
import DaybookIntake
import DaybookLog

/// Which events are wanted.
public struct EventFilter: Sendable {
    /// Half open.
    public var positions: Range<Position>
    /// Only events of this table.
    public var table: String?
    /// Only rejected rows.
    public var isRejectedOnly: Bool

    /// The events in `positions`, of one table or of all, all of them or the rejected ones.
    public init(positions: Range<Position>, table: String? = nil, isRejectedOnly: Bool = false) {
        self.positions = positions
        self.table = table
        self.isRejectedOnly = isRejectedOnly
    }
}

/// Writes the events of durable blocks as NDJSON: an object a row, with its batch's facts.
public struct EventText {
    private var schema: LogSchema?
    private var rows: RowText?

    /// A writer that has seen no block yet.
    public init() {}

    /// Appends a line for every event of `block` that passes `filter`.
    ///
    /// - Throws: `EventTextError` if the block's bytes are not what its schema says.
    public mutating func write(
        _ block: DurableBlock, filter: EventFilter, to json: inout JSONWriter
    ) throws(EventTextError) {
        let rows = try rows(of: block.schema)
        // The writer is moved into the closure's scope and back: it has one owner.
        var text = JSONWriter(capacity: block.content.count)
        swap(&text, &json)
        defer { swap(&text, &json) }
        do {
            try block.forEachBatch { reader in
                try EventText.write(&reader, rows: rows, filter: filter, to: &text)
            }
        } catch {
            throw EventTextError(what: "the block at \(block.firstPosition): \(error)")
        }
    }

    private mutating func rows(of schema: LogSchema) throws(EventTextError) -> RowText {
        if let rows, self.schema == schema { return rows }
        let rows = try RowText(schema)
        self.schema = schema
        self.rows = rows
        return rows
    }

    private static func write(
        _ reader: inout BatchReader, rows: RowText, filter: EventFilter, to json: inout JSONWriter
    ) throws(AvroDecodingError) {
        let facts = reader.facts
        let end = facts.position + Position(reader.rowCount)
        guard filter.positions.overlaps(facts.position..<end),
            filter.table == nil || filter.table == facts.table
        else { return }
        var index = 0
        while let branch = try reader.nextBranch() {
            defer { index += 1 }
            let isRejected = branch == reader.schema.rejectionBranch
            guard filter.positions.contains(facts.position + Position(index)),
                isRejected || !filter.isRejectedOnly
            else {
                try reader.skipRow(branch)
                continue
            }
            json.openObject()
            json.write(facts, index: index)
            if isRejected {
                json.field("verdict", "rejected")
                let rejection = try reader.readRejection()
                json.write(reasons: rejection.reasons)
                json.write(row: rejection, named: "raw", isJSON: false)
            } else if branch == reader.schema.controlBranch {
                json.field("verdict", "control")
                json.write(try reader.readControl())
            } else {
                json.field("verdict", "accepted")
                json.key("row")
                try rows.write(branch, from: &reader.cursor, to: &json)
            }
            json.closeObject()
            json.newline()
        }
    }
}

extension JSONWriter {
    /// The facts of a batch that belong to its row `index`.
    fileprivate mutating func write(_ facts: BatchFacts, index: Int) {
        field("position", facts.position + Position(index))
        field("batch_id", facts.id)
        field("index", index)
        if !facts.table.isEmpty { field("table", facts.table) }
        field("source", facts.source)
        if let line = facts.line(ofRow: index) { field("line", line) }
        key("received_at")
        time(facts.receivedAt)
        field("principal", facts.principal)
        if let idempotencyKey = facts.idempotencyKey { field("idempotency_key", idempotencyKey) }
        field("dictionary", facts.dictionary)
    }

    fileprivate mutating func write(_ control: Control) {
        field("kind", control.kind)
        if !control.refersTo.isEmpty {
            key("refers_to")
            openArray()
            for range in control.refersTo {
                openArray()
                integer(range.lowerBound)
                integer(range.upperBound)
                closeArray()
            }
            closeArray()
        }
        control.text.withUnsafeBytes { bytes in
            key("text")
            if JSONSyntax.isValue(bytes) {
                raw(bytes)
            } else {
                string(String(decoding: bytes, as: UTF8.self))
            }
        }
    }
}
