import Avro
import DaybookLog
import Postgres

/// The rows of one transaction of the projector: those of some blocks into their tables, the
/// batches and rejections into the audit tables.
///
/// One table is streamed, that of a block's first batch: Postgres loads while later rows are still
/// transcoded. Rows of other tables and the audit wait in memory until their turn. A byte of the
/// log becomes at most twelve of a COPY (a zero `bigint`), so the blocks' size bounds the step's.
final class ProjectionStep {
    /// A projection that takes part, and where it stands.
    struct Participant {
        let name: String
        let from: Position
    }

    private let connection: PostgresConnection
    private let schema: String
    private let transcoders: TranscoderSet
    /// Tables that take part, by name: rows below the position are there already.
    private let tables: [String: Position]
    /// Where the audit stands, if it takes part.
    private let audit: Position?
    private var buffers: [TableRun: Buffer] = [:]
    private var batches = ByteSink(capacity: 4096)
    private var rejections = ByteSink(capacity: 4096)

    /// COPY rows of a run that wait.
    private final class Buffer {
        var sink = ByteSink(capacity: 1 << 16)
    }

    /// How many bytes a piece of a COPY has.
    private static let pieceByteCount = 1 << 17

    init(
        _ connection: PostgresConnection, schema: String, transcoders: TranscoderSet,
        participants: [Participant]
    ) {
        self.connection = connection
        self.schema = schema
        self.transcoders = transcoders
        var positions = Dictionary(uniqueKeysWithValues: participants.map { ($0.name, $0.from) })
        audit = positions.removeValue(forKey: auditProjectionName)
        tables = positions
    }

    /// Applies the blocks inside the open transaction.
    ///
    /// - Throws: `ProjectionFault.cannotApply` for the projection that cannot go on.
    func apply(_ blocks: ArraySlice<DurableBlock>) throws {
        if let run = try streamedRun(of: blocks) {
            let buffer = buffer(of: run)
            try copy(run) { writer in
                try transcode(blocks) {
                    guard buffer.sink.count >= ProjectionStep.pieceByteCount else { return }
                    try writer.write(buffer.sink.unsafeBytes)
                    buffer.sink.removeAll()
                }
                try writer.write(buffer.sink.unsafeBytes)
            }
            buffers[run] = nil
        } else {
            try transcode(blocks) {}
        }
        for (run, buffer) in buffers {
            try copy(run) { try $0.write(buffer.sink.unsafeBytes) }
        }
        try copyAudit("batches", AuditTranscoder.batchColumns, batches.unsafeBytes)
        try copyAudit("rejections", AuditTranscoder.rejectionColumns, rejections.unsafeBytes)
    }

    /// The run of the first batch of a block, from the first block where that takes part.
    private func streamedRun(of blocks: ArraySlice<DurableBlock>) throws -> TableRun? {
        for block in blocks {
            let table = try block.content.withUnsafeBytes(in: block.records) {
                try BatchReader(at: ByteCursor($0), schema: block.schema).facts.table
            }
            if let from = tables[table], from <= block.firstPosition {
                return try transcoders.run(table, schema: block.schema)
            }
        }
        return nil
    }

    private func transcode(
        _ blocks: ArraySlice<DurableBlock>, afterBatch: () throws -> Void
    ) throws {
        for block in blocks {
            try block.forEachBatch { reader in
                try transcode(&reader)
                try afterBatch()
            }
        }
    }

    private func transcode(_ reader: inout BatchReader) throws {
        let facts = reader.facts
        let takesRows = tables[facts.table].map { $0 <= facts.position } ?? false
        let takesAudit = audit.map { $0 <= facts.position } ?? false
        var rejectedCount = 0
        if takesRows {
            let run = try transcoders.run(facts.table, schema: reader.schema)
            let buffer = buffer(of: run)
            rejectedCount = try pass(
                &reader, run.branch, transcoders[run], into: &buffer.sink, takesAudit: takesAudit)
        } else if takesAudit {
            var nothing = ByteSink(capacity: 0)
            rejectedCount = try pass(&reader, nil, nil, into: &nothing, takesAudit: true)
        }
        if takesAudit {
            try AuditTranscoder.appendBatch(
                facts, rowCount: reader.rowCount, rejectedCount: rejectedCount, to: &batches)
        }
    }

    /// Goes through a batch's rows: appends the accepted ones to `sink` if there is a transcoder
    /// for them, the rejected ones to the audit; returns how many were rejected.
    private func pass(
        _ reader: inout BatchReader, _ ownBranch: Int?, _ transcoder: RowTranscoder?,
        into sink: inout ByteSink, takesAudit: Bool
    ) throws -> Int {
        let facts = reader.facts
        let rejectionBranch = reader.schema.rejectionBranch
        var position = facts.position
        var rejectedCount = 0
        while let branch = try reader.nextBranch() {
            if branch == ownBranch, let transcoder {
                do {
                    try transcoder.append(&reader.cursor, position: position, to: &sink)
                } catch {
                    throw ProjectionFault.cannotApply(
                        projection: facts.table,
                        reason: "the event at position \(position) is not as its schema says:"
                            + " \(error)")
                }
            } else if branch == rejectionBranch, takesAudit {
                let rejection = try reader.readRejection()
                try AuditTranscoder.appendRejection(
                    rejection, of: facts, row: Int(position - facts.position), to: &rejections)
                rejectedCount += 1
            } else {
                try reader.skipRow(branch)
            }
            position += 1
        }
        precondition(
            position == facts.position + Position(reader.rowCount), "every row of a batch is passed"
        )
        return rejectedCount
    }

    private func buffer(of run: TableRun) -> Buffer {
        if let buffer = buffers[run] { return buffer }
        let buffer = Buffer()
        buffers[run] = buffer
        return buffer
    }

    private func copy(_ run: TableRun, _ body: (inout CopyWriter) throws -> Void) throws {
        try copy(
            run.table, into: SQL.identifier(schema, run.table),
            columns: transcoders[run].columns.map(SQL.identifier), body)
    }

    private func copyAudit(
        _ table: String, _ columns: [String], _ rows: UnsafeRawBufferPointer
    ) throws {
        if rows.isEmpty { return }
        try copy(auditProjectionName, into: "daybook.\(table)", columns: columns) {
            try $0.write(rows)
        }
    }

    /// Runs one COPY, and says which projection failed if Postgres refuses it for good.
    private func copy(
        _ projection: String, into table: String, columns: [String],
        _ body: (inout CopyWriter) throws -> Void
    ) throws {
        let names = columns.joined(separator: ", ")
        do {
            _ = try connection.copyIn("COPY \(table) (\(names)) FROM STDIN (FORMAT binary)") {
                try $0.write(BinaryCopy.header)
                try body(&$0)
                try $0.write(BinaryCopy.trailer)
            }
        } catch let error as PostgresError {
            guard case .server(let refusal) = error, !error.isTransient else { throw error }
            throw ProjectionFault.cannotApply(projection: projection, reason: refusal.description)
        }
    }
}
