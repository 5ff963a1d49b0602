import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Judges all rows of a log again by another dictionary, in the order of the log: values by the
/// rules of the door, keys and references against the keys that the rows before would have taken.
/// Nothing is changed but a scratch folder, and memory is bounded.
///
/// A batch counts as atomic if the log says so: if a row was rejected because of another.
public struct PastJudgement {
    private let catalog: Catalog
    private let log: any LogSource
    private let judges: [Judge]
    private let rules: [TableRules]
    private let keys: PastKeys
    private let reader: PastKeyReader
    /// By branch of the schema met last; nil for tables that the dictionary does not have.
    private var rows: [PastRows?] = []
    private var schema: LogSchema?
    private var verdicts: [PastVerdicts]
    private var retracted = RetractedRows()
    private let readByteLimit = 4 << 20

    /// A judgement of `log` by `catalog`; `scratchFolder` is made, and is the caller's to remove.
    ///
    /// - Throws: `LedgerError.state` if the folder cannot be used.
    public init(
        by catalog: Catalog, over log: any LogSource, scratchFolder: String
    ) throws(LedgerError) {
        try self.init(by: catalog, over: log, scratchFolder: scratchFolder, keyCountMax: 1 << 20)
    }

    init(
        by catalog: Catalog, over log: any LogSource, scratchFolder: String, keyCountMax: Int
    ) throws(LedgerError) {
        self.catalog = catalog
        self.log = log
        // Keys are compared with each other only, so any secret does.
        let secret = FingerprintKey(bytes: Array(repeating: 0x5B, count: 16))
        judges = catalog.tables.map {
            Judge(
                table: $0, constraints: catalog.constraints, fingerprintKey: secret, limits: .local)
        }
        let schema: LogSchema
        do {
            schema = try catalog.logSchema()
        } catch {
            throw .state("the dictionary's tables make no schema of the log: \(error.what)")
        }
        rules = zip(catalog.tables, schema.tables).map {
            TableRules($0, shape: $1, constraints: catalog.constraints)
        }
        keys = try PastKeys(
            catalog.constraints, folder: scratchFolder, keyCountMax: keyCountMax)
        reader = PastKeyReader(log: log, catalog: catalog, judges: judges)
        verdicts = catalog.tables.map { PastVerdicts(table: $0.name) }
    }

    /// Judges all rows; the verdicts by table, in the dictionary's order.
    ///
    /// - Parameter progress: told how far the log is read, in positions.
    /// - Throws: `LedgerError.log` if the log cannot be read, `.state` if the folder cannot be
    ///   used.
    public mutating func run(
        progress: (Position) -> Void
    ) throws(LedgerError) -> [PastVerdicts] {
        do { retracted = try RetractedRows(of: log, below: log.durable.position) } catch {
            throw .log(error)
        }
        var position: Position = 0
        while position < log.durable.position {
            let blocks: [DurableBlock]
            do {
                blocks = try log.blocks(from: position, byteLimit: readByteLimit)
            } catch {
                throw .log(error)
            }
            for block in blocks {
                try judge(block)
                position = block.endPosition
                try keys.spillIfLarge()
            }
            progress(position)
        }
        keys.close()
        return verdicts
    }

    private mutating func judge(_ block: DurableBlock) throws(LedgerError) {
        if schema != block.schema {
            schema = block.schema
            rows = block.schema.records.map { record in
                catalog.table(named: record.name.name).flatMap {
                    try? PastRows(record, judge: judges[$0.index])
                }
            }
        }
        do {
            try block.content.withUnsafeBytes(in: block.records) { bytes in
                var cursor = ByteCursor(bytes)
                for _ in 0..<block.batchCount {
                    var batch = try BatchReader(at: cursor, schema: block.schema)
                    try judge(&batch)
                    _ = try batch.finish()
                    cursor = batch.cursor
                }
            }
        } catch let error as LedgerError {
            throw error
        } catch {
            throw .log(.unreadableRecord(at: block.firstPosition, error))
        }
    }

    // MARK: A batch

    /// One row as it was judged then.
    private enum PastRow {
        case accepted(UnsafeRawBufferPointer)
        case rejected(Rejection)
        /// Accepted then, and no row any more.
        case retracted

        var reason: Rejection.Reason? {
            if case .rejected(let rejection) = self { rejection.reasons.first } else { nil }
        }
    }

    /// What becomes of a row now: nothing, or why it is rejected.
    private struct Verdict {
        let reason: Rejection.Reason?
        /// The row's bytes of now, of one that is accepted.
        let encoded: [UInt8]
    }

    private mutating func judge(_ batch: inout BatchReader) throws {
        let facts = batch.facts
        guard let branch = batch.schema.branch(of: facts.table), let past = rows[branch],
            let table = catalog.table(named: facts.table)
        else { return }
        var then: [PastRow] = []
        while let branch = try batch.nextBranch() {
            if branch < batch.schema.tables.count {
                let row = try batch.readRow(branch)
                let isRetracted = retracted.contains(facts.position + Position(then.count))
                then.append(isRetracted ? .retracted : .accepted(row))
            } else {
                then.append(.rejected(try batch.readRejection()))
            }
        }
        let mark = keys.state.mark
        var now: [Verdict] = []
        now.reserveCapacity(then.count)
        while now.count < then.count {
            try judgeRun(&now, then, past, facts)
        }
        let isAtomic = then.contains { $0.reason?.code == RejectionCode.atomicBatch.name }
        if isAtomic, now.contains(where: { $0.reason != nil }) {
            keys.state.undo(to: mark)
            now = now.map { verdict in
                let other = Rejection.Reason(
                    code: RejectionCode.atomicBatch.name, column: nil,
                    message: "another row of its atomic batch is rejected")
                return Verdict(reason: verdict.reason ?? other, encoded: [])
            }
        }
        keys.commit()
        for index in then.indices {
            let position = facts.position + Position(index)
            count(then[index], now[index], table, position, batch.schema, branch)
        }
    }

    /// Judges the accepted rows that follow each other, or one that was rejected.
    private mutating func judgeRun(
        _ now: inout [Verdict], _ then: [PastRow], _ past: PastRows, _ facts: BatchFacts
    ) throws {
        let judged: JudgedBatch
        switch then[now.count] {
        case .accepted:
            var run: [UnsafeRawBufferPointer] = []
            for row in then[now.count...] {
                guard case .accepted(let bytes) = row else { break }
                run.append(bytes)
            }
            judged = try past.judge(accepted: run)
        case .retracted:
            now.append(Verdict(reason: nil, encoded: []))
            return
        case .rejected(let rejection):
            guard let again = PastJudgement.judge(rejection, past, facts) else {
                now.append(Verdict(reason: rejection.reasons.first, encoded: []))
                return
            }
            judged = again
        }
        var judgement = RowJudgement(
            judged, table: rules[judged.table.index],
            position: facts.position + Position(now.count), reader: reader)
        judgement.run(&keys.state)
        if let failure = reader.failure { throw failure }
        let found = BatchVerdicts(judged, faults: judgement.faults, isAtomic: false)
        var rejections = found.rejections[...]
        for row in judged.rows.indices {
            if let first = rejections.first, first.row == row {
                now.append(Verdict(reason: first.rejection.reasons.first, encoded: []))
                rejections = rejections.dropFirst()
            } else if case .accepted = then[now.count] {
                now.append(Verdict(reason: nil, encoded: []))
            } else {
                now.append(Verdict(reason: nil, encoded: judged.encodedRow(row)))
            }
        }
    }

    /// Judges a rejected row again; nil if nothing in a dictionary could change its verdict.
    static func judge(
        _ rejection: Rejection, _ past: PastRows, _ facts: BatchFacts
    ) -> JudgedBatch? {
        let code = rejection.reasons.first?.code
        let isNoRow = [RejectionCode.malformedBatch, .malformedRow, .internal]
            .contains { $0.name == code }
        guard !isNoRow, rejection.rawLength == nil, let format = BatchFormat(rawValue: facts.format)
        else { return nil }
        return past.judge(rejected: rejection.raw, format: format)
    }

    private mutating func count(
        _ then: PastRow, _ now: Verdict, _ table: Table, _ position: Position,
        _ schema: LogSchema, _ branch: Int
    ) {
        switch then {
        case .retracted: break
        case .accepted(let bytes):
            verdicts[table.index].acceptedCount += 1
            guard let reason = now.reason else { return }
            verdicts[table.index].rejectedNow.add(
                reason.code,
                example: .init(
                    position: position,
                    key: KeyText.values(
                        of: table.keyNames, schema.records[branch], schema.tables[branch], bytes),
                    reason: reason))
        case .rejected(let rejection):
            verdicts[table.index].rejectedCount += 1
            guard now.reason == nil, let reason = rejection.reasons.first else { return }
            let rules = rules[table.index]
            verdicts[table.index].acceptedNow.add(
                reason.code,
                example: .init(
                    position: position,
                    key: now.encoded.withUnsafeBytes {
                        KeyText.values(of: table, shape: rules.shape, $0)
                    }, reason: reason))
        }
    }
}

extension Table {
    /// The names of the key's columns.
    fileprivate var keyNames: [String] { key.map { columns[$0].name } }
}

extension JudgedBatch {
    /// The Avro bytes of a candidate, without the branch.
    func encodedRow(_ row: Int) -> [UInt8] {
        let start = Int(rows[row].encodedStart)
        return encoded.array(in: start..<(start + Int(rows[row].encodedCount)))
    }
}
