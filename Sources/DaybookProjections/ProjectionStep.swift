import Avro
import DaybookCatalog
import DaybookLog
import Postgres

/// One transaction of the projector: the rows of some blocks into their tables, the batches and
/// rejections into the audit tables, and every checkpoint moved to the last block's end.
///
/// The first table that has rows is streamed: Postgres loads while later rows are still transcoded.
/// Rows of other tables and the audit wait in memory until their turn, within the step's size.
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
    private var buffers: [TableRun: TableBuffer] = [:]
    private var batches = ByteSink(capacity: 4096)
    private var rejections = ByteSink(capacity: 4096)

    /// The rows of one table that share a list of columns: one COPY.
    struct TableRun: Hashable {
        let table: String
        let schemaIndex: Int
    }

    /// COPY rows of a run that wait.
    final class TableBuffer {
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
        audit = participants.first { $0.name == auditProjectionName }?.from
        tables = Dictionary(
            uniqueKeysWithValues: participants.filter { $0.name != auditProjectionName }.map {
                ($0.name, $0.from)
            })
    }

    /// Applies the blocks inside the open transaction.
    func apply(_ blocks: [DurableBlock]) throws {
        if let first = try firstRun(of: blocks) {
            let stream = buffer(of: first)
            try copy(first.table, columns: transcoders[first].columns) { writer in
                try transcode(blocks) {
                    guard stream.sink.count >= ProjectionStep.pieceByteCount else { return }
                    try writer.write(stream.sink.unsafeBytes)
                    stream.sink.removeAll()
                }
                try writer.write(stream.sink.unsafeBytes)
            }
            buffers[first] = nil
        } else {
            try transcode(blocks) {}
        }
        for (run, buffer) in buffers.sorted(by: { $0.key.table < $1.key.table }) {
            try copy(run.table, columns: transcoders[run].columns) { writer in
                try writer.write(buffer.sink.unsafeBytes)
            }
        }
        try copyAudit("batches", AuditTranscoder.batchColumns, batches.unsafeBytes)
        try copyAudit("rejections", AuditTranscoder.rejectionColumns, rejections.unsafeBytes)
    }

    private func transcode(_ blocks: [DurableBlock], afterBatch: () throws -> Void) throws {
        for block in blocks {
            try block.forEachBatch { reader in
                try transcode(&reader)
                try afterBatch()
            }
        }
    }

    /// The first table's run among the blocks that takes part.
    private func firstRun(of blocks: [DurableBlock]) throws -> TableRun? {
        var found: TableRun?
        for block in blocks where found == nil {
            try block.forEachBatch { reader in
                let facts = reader.facts
                if found == nil, let from = tables[facts.table], facts.position >= from {
                    found = try transcoders.run(facts.table, schema: reader.schema)
                }
            }
        }
        return found
    }

    private func transcode(_ reader: inout BatchReader) throws {
        let facts = reader.facts
        let end = facts.position + Position(reader.rowCount)
        let takesRows = tables[facts.table].map { $0 < end } ?? false
        let takesAudit = audit.map { $0 < end } ?? false
        guard takesRows || takesAudit else { return }
        var position = facts.position
        var rejectedCount = 0
        let run = takesRows ? try transcoders.run(facts.table, schema: reader.schema) : nil
        let transcoder = run.map { transcoders[$0] }
        let buffer = run.map { self.buffer(of: $0) }
        while let branch = try reader.nextBranch() {
            if branch < reader.schema.tables.count {
                if let transcoder, let buffer {
                    try transcoder.append(&reader.cursor, position: position, to: &buffer.sink)
                } else {
                    try reader.skipRow(branch)
                }
            } else if branch == reader.schema.rejectionBranch, takesAudit {
                rejectedCount += 1
                try AuditTranscoder.appendRejection(
                    try reader.readRejection(), of: facts,
                    row: Int(position - facts.position), to: &rejections)
            } else {
                try reader.skipRow(branch)
            }
            position += 1
        }
        precondition(position == end, "every row of a batch was passed")
        if takesAudit {
            try AuditTranscoder.appendBatch(
                facts, rowCount: reader.rowCount, rejectedCount: rejectedCount, to: &batches)
        }
    }

    private func buffer(of run: TableRun) -> TableBuffer {
        if let buffer = buffers[run] { return buffer }
        let buffer = TableBuffer()
        buffers[run] = buffer
        return buffer
    }

    /// Runs one COPY into a table, and says which projection failed if it does.
    private func copy(
        _ table: String, columns: [String], _ body: (inout CopyWriter) throws -> Void
    ) throws {
        let names = columns.map(SQL.identifier).joined(separator: ", ")
        let target = SQL.identifier(schema, table)
        do {
            _ = try connection.copyIn(
                "COPY \(target) (\(names)) FROM STDIN (FORMAT binary)"
            ) { writer in
                try writer.write(BinaryCopy.header)
                try body(&writer)
                try writer.write(BinaryCopy.trailer)
            }
        } catch PostgresError.server(let error) where !PostgresError.server(error).isTransient {
            throw ProjectionFault.cannotApply(projection: table, reason: error.description)
        }
    }

    private func copyAudit(
        _ table: String, _ columns: [String], _ rows: UnsafeRawBufferPointer
    ) throws {
        if rows.isEmpty { return }
        do {
            _ = try connection.copyIn(
                "COPY daybook.\(table) (\(columns.joined(separator: ", "))) FROM STDIN"
                    + " (FORMAT binary)"
            ) { writer in
                try writer.write(BinaryCopy.header)
                try writer.write(rows)
                try writer.write(BinaryCopy.trailer)
            }
        } catch PostgresError.server(let error) where !PostgresError.server(error).isTransient {
            throw ProjectionFault.cannotApply(
                projection: auditProjectionName, reason: error.description)
        }
    }
}

/// The transcoders for every schema that the log has had, compiled when first met.
final class TranscoderSet {
    private let catalog: Catalog
    private var schemas: [LogSchema] = []
    private var transcoders: [ProjectionStep.TableRun: RowTranscoder] = [:]

    init(catalog: Catalog) {
        self.catalog = catalog
    }

    /// The run of a table's rows under a schema.
    ///
    /// - Throws: `ProjectionFault.cannotApply` if the rows cannot be read as the table's.
    func run(_ table: String, schema: LogSchema) throws -> ProjectionStep.TableRun {
        let index: Int
        if let known = schemas.lastIndex(of: schema) {
            index = known
        } else {
            index = schemas.count
            schemas.append(schema)
        }
        let run = ProjectionStep.TableRun(table: table, schemaIndex: index)
        if transcoders[run] == nil {
            guard let target = catalog.table(named: table), let branch = schema.branch(of: table)
            else {
                throw ProjectionFault.cannotApply(
                    projection: table, reason: "the dictionary does not have the table")
            }
            transcoders[run] = try RowTranscoder(shape: schema.tables[branch], table: target)
        }
        return run
    }

    subscript(run: ProjectionStep.TableRun) -> RowTranscoder {
        guard let transcoder = transcoders[run] else {
            preconditionFailure("a run is made before it is used")
        }
        return transcoder
    }
}
