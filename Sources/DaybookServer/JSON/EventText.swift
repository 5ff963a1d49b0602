import Avro
import DaybookIntake
import DaybookLog

/// Writes the events of durable blocks as NDJSON: an object a row, with its batch's facts.
struct EventText: Sendable {
    private var schema: LogSchema?
    private var rows: RowText?

    /// A writer that has seen no block yet.
    init() {}

    /// How far a block was written.
    struct Progress {
        /// Every event of the block before it was written, or did not pass.
        var position: Position
        /// How many lines were written.
        var lineCount = 0
    }

    /// What ends the writing before the block's end.
    struct Limits {
        var lineCount = Int.max
        /// No further line is begun when the text has so many bytes.
        var byteCount = Int.max
    }

    /// Appends a line for every event of `block` that passes `filter`, up to the limits.
    ///
    /// - Throws: `EventTextError` if the block's bytes are not what its schema says.
    mutating func write(
        _ block: DurableBlock, filter: EventFilter, limits: Limits, to json: inout JSONWriter
    ) throws(EventTextError) -> Progress {
        let rows = try rows(of: block.schema)
        var progress = Progress(position: block.firstPosition)
        // The writer is moved into the closure's scope and back: it has one owner.
        var text = JSONWriter(capacity: 0)
        swap(&text, &json)
        defer { swap(&text, &json) }
        do {
            try block.forEachBatch { reader in
                guard progress.position == reader.facts.position else { return }
                try EventText.write(
                    &reader, rows: rows, filter: filter, limits: limits, &progress, to: &text)
            }
        } catch {
            throw EventTextError(what: "the block at \(block.firstPosition): \(error)")
        }
        return progress
    }

    private mutating func rows(of schema: LogSchema) throws(EventTextError) -> RowText {
        if let rows, self.schema == schema { return rows }
        let rows = try RowText(schema)
        self.schema = schema
        self.rows = rows
        return rows
    }

    /// Writes a batch up to the limits; `progress` ends at the first event that is left.
    private static func write(
        _ reader: inout BatchReader, rows: RowText, filter: EventFilter, limits: Limits,
        _ progress: inout Progress, to json: inout JSONWriter
    ) throws(AvroDecodingError) {
        let facts = reader.facts
        guard filter.passes(facts, rowCount: reader.rowCount) else {
            progress.position += Position(reader.rowCount)
            return
        }
        while progress.lineCount < limits.lineCount, json.count < limits.byteCount,
            let branch = try reader.nextBranch()
        {
            defer { progress.position += 1 }
            let verdict = EventVerdict(branch, of: reader.schema)
            guard filter.positions.contains(progress.position),
                verdict == filter.verdict ?? verdict
            else {
                try reader.skipRow(branch)
                continue
            }
            let index = Int(progress.position - facts.position)
            json.openObject()
            json.write(facts, index: index)
            json.field("verdict", verdict.rawValue)
            switch verdict {
            case .rejected:
                let rejection = try reader.readRejection()
                json.write(reasons: rejection.reasons)
                json.write(row: rejection, named: "raw", isJSON: false)
            case .control: json.write(try reader.readControl())
            case .accepted:
                json.key("row")
                try rows.write(branch, from: &reader.cursor, to: &json)
            }
            progress.lineCount += 1
            json.closeObject()
            json.newline()
        }
    }
}

extension EventVerdict {
    /// The verdict that a branch of the union of rows stands for.
    fileprivate init(_ branch: Int, of schema: LogSchema) {
        self =
            branch == schema.rejectionBranch
            ? .rejected : branch == schema.controlBranch ? .control : .accepted
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
