import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// What a stored or pending batch says of the request that it came from.
struct RequestFacts: Equatable {
    let batchID: String
    let scope: String
    let idempotencyKey: String
    let requestDigest: [UInt8]

    init?(_ facts: BatchFacts) {
        guard let key = facts.idempotencyKey else { return nil }
        batchID = facts.id
        scope = IdempotencyScope.of(source: facts.source, principal: facts.principal)
        idempotencyKey = key
        requestDigest = facts.requestDigest
    }
}

/// In which scope an idempotency key is one.
enum IdempotencyScope {
    /// The keys of a request are its principal's own. Those of imports (whose source names a file)
    /// and of the ledger itself are derived from content, and known to all: whoever imports a file
    /// again learns that it is there.
    static func of(source: String, principal: String) -> String {
        source == "system" || source.utf8.contains(UInt8(ascii: ":")) ? "" : "p:" + principal
    }

    /// The name of the fingerprints' domain; no constraint has it, for there is no slash.
    static let domain = "idempotency"

    static func fingerprint(
        scope: String, key: String, under secret: FingerprintKey
    ) -> Fingerprint {
        var sink = ByteSink(capacity: scope.utf8.count + key.utf8.count + 10)
        sink.append(string: scope)
        sink.append(string: key)
        return Fingerprint(secret.fingerprint(of: sink.unsafeBytes, domain: domain))
    }
}

/// The durable log as the sequencer looks at it.
protocol StoredBatches: AnyObject {
    /// What the batch at `position` says of its request; nil if it came without a key.
    func request(at position: Position) throws(LedgerError) -> RequestFacts?
    /// The key of the accepted row at `position`; nil if there is none.
    func key(of constraint: KeyConstraint, at position: Position) throws(LedgerError) -> [UInt8]?
    /// The log itself, for who reads more than a batch.
    var log: any LogSource { get }
}

/// Decides batches one after the other and writes them into a group. It knows of no thread and no
/// disk: the log is asked through a protocol, the clock's readings are given.
///
/// A group is decided batch by batch, then either `commit` (it is durable) or `undo` (it is absent,
/// and so are its keys, positions and times).
struct Sequencer {
    /// A batch of the group that is being decided.
    struct Pending {
        let facts: BatchFacts
        let rowCount: Int
        /// Nil for the ledger's own events, and for a batch that became a `malformed_batch`.
        let batch: JudgedBatch?
        let rejections: [(row: Int, rejection: Rejection)]
        let leaf: Digest
        let request: RequestFacts?

        func receipt(isReplay: Bool) -> Receipt {
            Receipt(
                facts: facts, rowCount: rowCount, rejections: rejections, leaf: leaf,
                isReplay: isReplay)
        }
    }

    enum Decision: Equatable {
        /// Written into the group as its batch of this index.
        case written(Int)
        /// A retry of the group's batch of this index: it has that batch's fate.
        case follows(Int)
        /// A retry of the durable batch at this position.
        case replays(Position)
        case refused(LedgerError)
    }

    let catalog: Catalog
    let fingerprintKey: FingerprintKey
    let tables: [TableRules]
    let stored: any StoredBatches
    private(set) var keys: KeyState
    var clock: ClockGuard
    /// Why the log is not what others made of it; nothing is appended to such a one.
    var contradiction: String?
    /// The next batch's position.
    private(set) var position: Position
    /// The last batch's time.
    private(set) var lastReceivedAt: Microseconds
    /// The group so far.
    private(set) var pending: [Pending] = []
    /// So many events behind the log's end a retraction's plan may be.
    var retractionLagMax: Int64 = .max
    private(set) var durable: (position: Position, receivedAt: Microseconds)
    /// What the group, which is then one event, retracts.
    private var retracting: [Range<Position>] = []

    init(
        catalog: Catalog, schema: LogSchema, fingerprintKey: FingerprintKey, keys: KeyState,
        stored: any StoredBatches, clock: ClockGuard, position: Position,
        lastReceivedAt: Microseconds
    ) {
        precondition(
            schema.tables.map(\.name) == catalog.tables.map(\.name),
            "the log's union of rows is the dictionary's tables in order")
        self.catalog = catalog
        self.fingerprintKey = fingerprintKey
        self.stored = stored
        self.keys = keys
        self.clock = clock
        self.position = position
        self.lastReceivedAt = lastReceivedAt
        tables = zip(catalog.tables, schema.tables).map {
            TableRules($0, shape: $1, constraints: catalog.constraints)
        }
        durable = (position, lastReceivedAt)
    }

    /// The group is on disk.
    mutating func commit() {
        keys.commit()
        pending.removeAll(keepingCapacity: true)
        durable = (position, lastReceivedAt)
        if !retracting.isEmpty {
            let extraction = KeyExtraction(catalog: catalog, fingerprintKey: fingerprintKey)
            Sequencer.free(rowsIn: retracting, of: &keys, extraction, stored.log)
            retracting = []
        }
    }

    /// The group is absent.
    mutating func undo() {
        keys.undoAll()
        retracting = []
        pending.removeAll(keepingCapacity: true)
        (position, lastReceivedAt) = durable
    }

    /// Changes the generations of fingerprints; between groups only.
    mutating func changeKeys(_ change: (inout KeyState) -> Void) {
        precondition(pending.isEmpty, "keys grow old between groups")
        change(&keys)
    }

    /// Decides one request and writes it into `builder` if the ledger takes it.
    ///
    /// - Parameter random: random bits for the batch's id.
    mutating func decide(
        _ content: AppendRequest.Content, at reading: ClockGuard.Reading, random: UInt64,
        into builder: inout BlockBuilder
    ) -> Decision {
        var facts = newFacts(of: content, at: reading, random: random)
        var freePlace: Fingerprint?
        do throws(LedgerError) {
            if let request = RequestFacts(facts) {
                switch try find(request) {
                case .free(let place): freePlace = place
                case .taken(let decision): return decision
                }
            }
            if let contradiction { throw .contradicted(contradiction) }
            if let jump = clock.jumpSeconds(reading) {
                throw .clockHeld(jumpSeconds: jump)
            }
            let index = pending.count
            switch content {
            case .controls(let controls, _, _): write(controls, facts, &builder)
            case .waiver(let waiver, let rejections):
                try requireOpen(rejections)
                write([waiver.control(of: rejections.map(\.position))], facts, &builder)
                for rejection in rejections { close(rejection, in: keys.places.waived) }
            case .retraction(let plan):
                precondition(pending.isEmpty, "a retraction stands alone")
                try requireRetractable(plan)
                write([plan.retraction.control(of: plan.spans)], facts, &builder)
                retracting = plan.spans
            case .submission(let submission):
                guard submission.dictionary == catalog.version else { throw .dictionaryChanged }
                try requireOpen(submission.corrects.map(\.rejection))
                facts.corrects = submission.corrects.map {
                    Correction(row: $0.row, position: $0.rejection.position)
                }
                facts.lineSkips = submission.firstLine == nil ? [] : submission.batch.lineSkips
                try write(submission, facts, &builder)
            }
            if let freePlace {
                keys.insert(freePlace, position: facts.position, in: keys.idempotency)
            }
            precondition(
                builder.entries.count == pending.count, "a decided batch is in the group, once")
            return .written(index)
        } catch {
            return .refused(error)
        }
    }

    private func newFacts(
        of content: AppendRequest.Content, at reading: ClockGuard.Reading, random: UInt64
    ) -> BatchFacts {
        let receivedAt = max(reading.wall, lastReceivedAt + 1)
        let id = BatchID(receivedAt: receivedAt, random: random).text
        func own(_ key: String?, _ digest: [UInt8]) -> BatchFacts {
            BatchFacts(
                position: position, receivedAt: receivedAt, clock: reading.wall, id: id,
                source: "system", principal: "system", idempotencyKey: key, requestDigest: digest,
                dictionary: catalog.version, table: "", format: "control")
        }
        switch content {
        case .controls(_, let key, let digest): return own(key, digest)
        case .waiver, .retraction: return own(nil, [])
        case .submission(let submission):
            return BatchFacts(
                position: position, receivedAt: receivedAt, clock: reading.wall, id: id,
                source: submission.source, principal: submission.principal,
                idempotencyKey: submission.idempotencyKey,
                requestDigest: submission.requestDigest, dictionary: submission.dictionary,
                table: submission.batch.table.name, format: submission.batch.format.rawValue,
                firstLine: submission.firstLine)
        }
    }

    // MARK: Idempotency

    enum Found {
        case free(Fingerprint)
        case taken(Decision)
    }

    func find(_ request: RequestFacts) throws(LedgerError) -> Found {
        var place = IdempotencyScope.fingerprint(
            scope: request.scope, key: request.idempotencyKey, under: fingerprintKey)
        while let holder = keys.position(of: place, in: keys.idempotency) {
            let index = pending.firstIndex { $0.facts.position == holder }
            let other =
                if let index { pending[index].request } else {
                    try stored.request(at: holder)
                }
            if let other, other.scope == request.scope,
                other.idempotencyKey == request.idempotencyKey
            {
                if other.requestDigest != request.requestDigest, index == nil {
                    return .taken(.refused(.idempotencyConflict(batchID: other.batchID)))
                }
                return .taken(index.map { .follows($0) } ?? .replays(holder))
            }
            place = place.next
        }
        return .free(place)
    }

    /// The position of the durable batch with an idempotency key.
    func durablePosition(scope: String, key: String) throws(LedgerError) -> Position? {
        var place = IdempotencyScope.fingerprint(scope: scope, key: key, under: fingerprintKey)
        while let holder = keys.position(of: place, in: keys.idempotency),
            holder < durable.position
        {
            let other = try stored.request(at: holder)
            if other?.scope == scope, other?.idempotencyKey == key { return holder }
            place = place.next
        }
        return nil
    }

    // MARK: Rejections

    /// - Throws: `LedgerError.rejectionClosed` for the first that is not open.
    private func requireOpen(_ rejections: [RejectionRoot]) throws(LedgerError) {
        for rejection in rejections {
            precondition(
                rejection.position < durable.position, "a rejection is read from the log")
            let place = UInt64(bitPattern: rejection.position)
            if keys.contains(place, of: keys.places.corrected) {
                throw .rejectionClosed(rejection.position, .corrected)
            }
            if keys.contains(place, of: keys.places.waived) {
                throw .rejectionClosed(rejection.position, .waived)
            }
        }
    }

    /// Closes what the accepted rows of a batch correct.
    private mutating func closeCorrected(_ submission: Submission, _ verdicts: BatchVerdicts) {
        if submission.corrects.isEmpty { return }
        let rejected = Set(verdicts.rejections.map(\.row))
        for correction in submission.corrects where !rejected.contains(correction.row) {
            close(correction.rejection, in: keys.places.corrected)
        }
    }

    private mutating func close(_ rejection: RejectionRoot, in set: Int) {
        let wasOpen = keys.insert(UInt64(bitPattern: rejection.position), of: set)
        precondition(wasOpen, "a rejection is closed once")
    }

    // MARK: Writing

    private mutating func write(
        _ controls: [Control], _ facts: BatchFacts, _ builder: inout BlockBuilder
    ) {
        precondition(!controls.isEmpty, "a batch has at least one row")
        let branch = builder.schema.controlBranch
        let leaf = builder.append(facts, rowCount: controls.count, rejectedCount: 0) { sink in
            for control in controls { sink.append(control: control, branch: branch) }
        }
        guard let leaf else { preconditionFailure("the ledger's own events fit a record") }
        add(facts, rowCount: controls.count, batch: nil, rejections: [], leaf: leaf)
    }

    private mutating func write(
        _ submission: Submission, _ facts: BatchFacts, _ builder: inout BlockBuilder
    ) throws(LedgerError) {
        let batch = submission.batch
        let mark = keys.mark
        let faults = try judge(batch)
        let verdicts = BatchVerdicts(batch, faults: faults, isAtomic: submission.isAtomic)
        if submission.isAtomic, !verdicts.rejections.isEmpty { keys.undo(to: mark) }
        let schema = builder.schema
        let leaf = builder.append(
            facts, rowCount: batch.rows.count, rejectedCount: verdicts.rejections.count
        ) { sink in
            verdicts.write(to: &sink, schema: schema)
        }
        if let leaf {
            closeCorrected(submission, verdicts)
            add(
                facts, rowCount: batch.rows.count, batch: batch,
                rejections: verdicts.rejections, leaf: leaf)
        } else {
            keys.undo(to: mark)
            writeOutgrown(batch, facts, &builder)
        }
    }

    /// The rows that would be rejected if the batch came now, in order; no key is taken.
    mutating func check(
        _ batch: JudgedBatch, dictionary: String
    ) throws(LedgerError) -> [Receipt.RejectedRow] {
        guard dictionary == catalog.version else { throw .dictionaryChanged }
        let mark = keys.mark
        let faults = try judge(batch)
        keys.undo(to: mark)
        return BatchVerdicts(batch, faults: faults, isAtomic: false).rejections.map {
            Receipt.RejectedRow(
                index: $0.row, position: position + Position($0.row), line: nil,
                rejection: $0.rejection)
        }
    }

    /// Decides the batch's rows and takes the keys of those that stand. (Apart from `write`, so
    /// that nothing else refers to `pending` when it grows.)
    private mutating func judge(_ batch: JudgedBatch) throws(LedgerError) -> [RowFault] {
        let mark = keys.mark
        var judgement = RowJudgement(
            batch, table: tables[batch.table.index], position: position,
            reader: GroupReader(
                stored: stored, pending: pending, batch: batch, position: position,
                tables: tables))
        judgement.run(&keys)
        if let failure = judgement.reader.failure {
            keys.undo(to: mark)
            throw failure
        }
        return judgement.faults
    }

    /// A record that would outgrow its limit becomes one rejection of the whole batch.
    private mutating func writeOutgrown(
        _ batch: JudgedBatch, _ facts: BatchFacts, _ builder: inout BlockBuilder
    ) {
        // A digest is of all bytes, though the log would keep the first of them only.
        let (raw, length) = batch.rawStart(
            byteCountMax: batch.table.rejectedRaw == .digest
                ? .max : IntakeLimits.malformedByteCount)
        let limit = LogLimits.recordByteCount >> 20
        let rejection = Rejection(
            raw, byteCount: length, of: batch.table,
            reasons: [
                Rejection.Reason(
                    code: RejectionCode.malformedBatch.name, column: nil,
                    message: "the batch's record would have more than \(limit) MiB; send less")
            ])
        var facts = facts
        facts.lineSkips = []
        facts.corrects = []
        let schema = builder.schema
        let leaf = builder.append(facts, rowCount: 1, rejectedCount: 1) { sink in
            sink.append(
                rejection: rejection, branch: schema.rejectionBranch,
                keepsDigests: schema.keepsDigests)
        }
        guard let leaf else { preconditionFailure("a single cut rejection fits a record") }
        add(facts, rowCount: 1, batch: nil, rejections: [(0, rejection)], leaf: leaf)
    }

    private mutating func add(
        _ facts: BatchFacts, rowCount: Int, batch: JudgedBatch?,
        rejections: [(row: Int, rejection: Rejection)], leaf: Digest
    ) {
        precondition(facts.position == position, "positions have no gap")
        precondition(facts.receivedAt > lastReceivedAt, "time is strictly increasing")
        precondition(rejections.count <= rowCount, "rows = accepted + rejected")
        pending.append(
            Pending(
                facts: facts, rowCount: rowCount, batch: batch, rejections: rejections, leaf: leaf,
                request: RequestFacts(facts)))
        position += Position(rowCount)
        lastReceivedAt = facts.receivedAt
    }
}

extension JudgedBatch {
    /// The rows that start later than one line after the row before them.
    var lineSkips: [LineSkip] {
        var skips: [LineSkip] = []
        for index in rows.indices where rows[index].lineSkip != 0 {
            skips.append(LineSkip(row: index, lines: Int64(rows[index].lineSkip)))
        }
        return skips
    }
}
