import Avro
import DaybookLog
import Postgres

/// The rows of one transaction of the projector: those of some blocks into their tables, what they
/// add up to into the aggregates, the batches and rejections into the audit tables.
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

    /// The schemas that rows go to: the live ones, or that of tables which are built beside them.
    struct Destination {
        /// Where the dictionary's tables and the aggregates are.
        let schema: String
        /// Where `batches` and `rejections` are.
        var auditSchema = "daybook"
    }

    private let connection: PostgresConnection
    private let destination: Destination
    private let transcoders: TranscoderSet
    /// Batches from here on are not applied.
    private let end: Position
    /// What is done about rows that were retracted.
    private let retractions: RetractionHandling
    private let known: RetractedRows
    /// Whether rejections get their states; else somebody sets them when all pieces are there.
    private let setsStates: Bool
    /// Tables that take part, by name: rows below the position are there already.
    private let tables: [String: Position]
    /// Where the audit stands, if it takes part.
    private let audit: Position?
    /// Aggregates that take part, by the table they are made from.
    private var folds: [String: [Fold]] = [:]
    /// Groups that were folded and are to be written.
    private var groups: [(plan: AggregatePlan, parameters: [PostgresValue?])] = []
    private var buffers: [TableRun: Buffer] = [:]
    /// A row that is folded and goes nowhere else.
    private var scratch = ByteSink(capacity: 1024)
    private let auditRows = AuditRows()

    /// COPY rows of a run that wait.
    private final class Buffer {
        var sink = ByteSink(capacity: 1 << 16)
    }

    /// An aggregate that takes part, and where it stands.
    private struct Fold {
        let fold: AggregateFold
        let from: Position
    }

    /// What becomes of a batch's accepted rows: where they go, if anywhere, and what is folded.
    private struct RowSinks {
        let run: TableRun
        let transcoder: RowTranscoder
        let buffer: Buffer?
        let folds: [Fold]
    }

    /// How many bytes a piece of a COPY has.
    private static let pieceByteCount = 1 << 17

    /// A step of the batches below `end`, which lies between two of them, as does every
    /// participant's place.
    init(
        _ connection: PostgresConnection, into destination: Destination,
        transcoders: TranscoderSet, participants: [Participant], end: Position = .max,
        retractions: RetractionHandling, setsStates: Bool = true
    ) {
        self.retractions = retractions
        known = retractions.known
        self.connection = connection
        self.destination = destination
        self.transcoders = transcoders
        self.end = end
        self.setsStates = setsStates
        var tables: [String: Position] = [:]
        var audit: Position?
        for participant in participants {
            if participant.name == auditProjectionName {
                audit = participant.from
            } else if let plan = transcoders.aggregate(named: participant.name) {
                folds[plan.aggregate.table, default: []].append(
                    Fold(fold: AggregateFold(plan), from: participant.from))
            } else {
                tables[participant.name] = participant.from
            }
        }
        self.tables = tables
        self.audit = audit
    }

    /// Applies the blocks inside the open transaction.
    ///
    /// - Throws: `ProjectionFault.cannotApply` for the projection that cannot go on.
    func apply(_ blocks: ArraySlice<DurableBlock>) throws {
        guard case .asTheyCome(let log) = retractions else { return try applyRun(blocks) }
        // What comes after a retraction may have the keys of what it takes back.
        var start = blocks.startIndex
        for place in blocks.indices where blocks[place].firstPosition < end {
            guard let stored = try blocks[place].retraction() else { continue }
            try applyRun(blocks[start...place])
            try takeBack(stored, log)
            start = place + 1
        }
        try applyRun(blocks[start...])
    }

    /// Takes the rows of a retraction out of what takes part in it.
    private func takeBack(_ stored: StoredRetraction, _ log: any LogSource) throws {
        let work = TakeBack(
            connection: connection, destination: destination, transcoders: transcoders, log: log,
            stored: stored)
        for table in try work.touchedTables().sorted() {
            if let from = tables[table], from <= stored.position {
                try refusing(table) { try work.deleteRows(of: table) }
            }
            for fold in folds[table] ?? [] where fold.from <= stored.position {
                let plan = fold.fold.plan
                try refusing(plan.aggregate.name) { try work.remake(plan) }
            }
        }
        if let audit, audit <= stored.position {
            try refusing(auditProjectionName) { try work.reopenRejections() }
        }
    }

    /// Applies blocks between which nothing is taken back.
    private func applyRun(_ blocks: ArraySlice<DurableBlock>) throws {
        if blocks.isEmpty { return }
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
        buffers = [:]
        try writeGroups()
        try auditRows.write(copyAudit)
        if setsStates {
            try refusing(auditProjectionName) {
                try auditRows.updateStates(connection, in: destination.auditSchema)
            }
        }
    }

    /// The run of the first batch of a block, from the first block where that takes part.
    private func streamedRun(of blocks: ArraySlice<DurableBlock>) throws -> TableRun? {
        for block in blocks {
            if block.firstPosition >= end { return nil }
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
        if facts.position >= end { return }
        try refuseCut(facts.position..<facts.position + Position(reader.rowCount))
        let takesAudit = audit.map { $0 <= facts.position } ?? false
        let sinks = try rowSinks(of: facts, reader.schema)
        guard sinks != nil || takesAudit else { return }
        let rejectedCount = try pass(&reader, sinks, takesAudit: takesAudit)
        if takesAudit {
            try auditRows.add(
                batch: facts, rowCount: reader.rowCount, rejectedCount: rejectedCount)
        }
    }

    /// A batch is applied whole or not at all: nobody's place lies inside one.
    private func refuseCut(_ batch: Range<Position>) throws(ProjectionFault) {
        func isCut(by place: Position) -> Bool {
            batch.lowerBound < place && place < batch.upperBound
        }
        let isWhole =
            !isCut(by: end) && !tables.values.contains(where: isCut)
            && !(audit.map(isCut) ?? false)
            && !folds.values.contains { $0.contains { isCut(by: $0.from) } }
        guard isWhole else {
            throw .contradiction(
                "a checkpoint or an end lies in the batch \(batch.lowerBound)..<"
                    + "\(batch.upperBound), and not between two batches")
        }
    }

    /// Where a batch's accepted rows go; nil if nobody takes them.
    private func rowSinks(of facts: BatchFacts, _ schema: LogSchema) throws -> RowSinks? {
        let takesRows = tables[facts.table].map { $0 <= facts.position } ?? false
        let folds = folds[facts.table]?.filter { $0.from <= facts.position } ?? []
        guard takesRows || !folds.isEmpty else { return nil }
        let run = try transcoders.run(facts.table, schema: schema)
        return RowSinks(
            run: run, transcoder: transcoders[run], buffer: takesRows ? buffer(of: run) : nil,
            folds: folds)
    }

    /// Goes through a batch's rows: accepted ones to where they go, rejected ones to the audit;
    /// returns how many were rejected.
    private func pass(
        _ reader: inout BatchReader, _ sinks: RowSinks?, takesAudit: Bool
    ) throws -> Int {
        let facts = reader.facts
        let rejectionBranch = reader.schema.rejectionBranch
        var position = facts.position
        var rejectedCount = 0
        let hasGone = known.intersects(position..<position + Position(reader.rowCount))
        while let branch = try reader.nextBranch() {
            if hasGone, branch < reader.schema.tables.count, known.contains(position) {
                try reader.skipRow(branch)
                position += 1
                continue
            }
            if let sinks, branch == sinks.run.branch {
                do {
                    try take(&reader.cursor, position: position, sinks)
                } catch let error as AvroDecodingError {
                    throw ProjectionFault.cannotApply(
                        projection: facts.table,
                        reason: "the event at position \(position) is not as its schema says:"
                            + " \(error)")
                }
            } else if branch == rejectionBranch, takesAudit {
                let rejection = try reader.readRejection()
                try auditRows.add(rejection, of: facts, row: Int(position - facts.position))
                rejectedCount += 1
            } else if branch == reader.schema.controlBranch, takesAudit {
                try auditRows.add(try reader.readControl(), at: position, of: facts)
            } else {
                try reader.skipRow(branch)
            }
            if takesAudit, branch < reader.schema.tables.count {
                try auditRows.addAccepted(row: Int(position - facts.position), of: facts)
            }
            position += 1
        }
        precondition(
            position == facts.position + Position(reader.rowCount), "every row of a batch is passed"
        )
        return rejectedCount
    }

    /// Takes one accepted row into its table's COPY and the aggregates' groups.
    @inline(__always)
    private func take(
        _ cursor: inout ByteCursor, position: Position, _ sinks: RowSinks
    ) throws {
        guard let buffer = sinks.buffer else {
            scratch.removeAll()
            try sinks.transcoder.append(&cursor, position: position, to: &scratch)
            return fold(scratch.unsafeBytes, sinks)
        }
        let start = buffer.sink.count
        try sinks.transcoder.append(&cursor, position: position, to: &buffer.sink)
        if sinks.folds.isEmpty { return }
        fold(UnsafeRawBufferPointer(rebasing: buffer.sink.unsafeBytes[start...]), sinks)
    }

    @inline(__always)
    private func fold(_ row: UnsafeRawBufferPointer, _ sinks: RowSinks) {
        for fold in sinks.folds {
            fold.fold.add(row, columns: sinks.transcoder.columns)
            if fold.fold.isFull { takeGroups(of: fold.fold) }
        }
    }

    /// Sets a fold's groups aside, to be written when no COPY is under way.
    private func takeGroups(of fold: AggregateFold) {
        if !fold.isEmpty { groups.append((fold.plan, fold.takeParameters())) }
    }

    /// Brings the aggregates' groups up to date.
    private func writeGroups() throws {
        for fold in folds.values.joined() { takeGroups(of: fold.fold) }
        for (plan, parameters) in groups {
            let name = plan.aggregate.name
            try refusing(name) {
                _ = try connection.query(
                    plan.upsert(into: SQL.identifier(destination.schema, name)), parameters)
            }
        }
        groups = []
    }

    private func buffer(of run: TableRun) -> Buffer {
        if let buffer = buffers[run] { return buffer }
        let buffer = Buffer()
        buffers[run] = buffer
        return buffer
    }

    private func copy(_ run: TableRun, _ body: (inout CopyWriter) throws -> Void) throws {
        try copy(
            run.table, into: SQL.identifier(destination.schema, run.table),
            columns: transcoders[run].columns.map(SQL.identifier), body)
    }

    private func copyAudit(
        _ table: String, _ columns: [String], _ rows: UnsafeRawBufferPointer
    ) throws {
        if rows.isEmpty { return }
        try copy(
            auditProjectionName, into: SQL.identifier(destination.auditSchema, table),
            columns: columns
        ) { try $0.write(rows) }
    }

    /// Runs one COPY.
    private func copy(
        _ projection: String, into table: String, columns: [String],
        _ body: (inout CopyWriter) throws -> Void
    ) throws {
        let names = columns.joined(separator: ", ")
        try refusing(projection) {
            _ = try connection.copyIn("COPY \(table) (\(names)) FROM STDIN (FORMAT binary)") {
                try $0.write(BinaryCopy.header)
                try body(&$0)
                try $0.write(BinaryCopy.trailer)
            }
        }
    }

    /// Says which projection failed if Postgres refuses it for good.
    private func refusing(_ projection: String, _ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as PostgresError {
            guard case .server(let refusal) = error, !error.isTransient else { throw error }
            throw ProjectionFault.cannotApply(
                projection: projection, reason: refusal.description)
        }
    }
}
