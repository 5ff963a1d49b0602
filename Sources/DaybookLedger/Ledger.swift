import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Dispatch

/// The ledger over a log: takes judged batches in order, decides keys and references, and answers
/// when they are on disk.
///
/// One writer thread decides and writes; one thread makes snapshots of the keys; reads may come
/// from any thread. The engine stays the caller's: close the ledger first, then the engine.
public final class Ledger: LedgerService {
    /// The dictionary in force.
    public let catalog: Catalog
    /// Under which intake takes fingerprints of keys (`Judge`).
    public let fingerprintKey: FingerprintKey
    private let engine: any LogEngine
    private let options: LedgerOptions
    private let lookup: LogLookup
    private let queue: Monitor<SubmissionQueue<WriterRequest>>
    private let progress: Monitor<Writer.Progress>
    private let snapshots: SnapshotThread
    private let store: KeyStore
    private let writer: Writer
    private let threads: (writer: WorkerThread, snapshots: WorkerThread)
    private let isClosed = Monitor(false)

    /// Opens the ledger, takes up the keys from their snapshot and the log's tail, and starts the
    /// writer. A log without events gets its first: `genesis` and `catalog`. A log that was written
    /// under another dictionary gets a new segment and a new `catalog` event.
    ///
    /// - Parameter stateFolder: where the snapshot of the keys is kept; it may be deleted.
    /// - Throws: `LedgerError.log` if the log cannot be read or written, `.state` if the folder
    ///   cannot be used.
    public static func open(
        engine: any LogEngine, catalog: Catalog, stateFolder: String, options: LedgerOptions
    ) throws(LedgerError) -> Ledger {
        try LedgerOpening(engine: engine, catalog: catalog, options: options)
            .open(stateFolder: stateFolder)
    }

    init(
        catalog: Catalog, engine: any LogEngine, options: LedgerOptions, lookup: LogLookup,
        snapshots: SnapshotThread, store: KeyStore, sequencer: Sequencer, view: KeyStoreView
    ) {
        self.catalog = catalog
        fingerprintKey = sequencer.fingerprintKey
        self.engine = engine
        self.options = options
        self.lookup = lookup
        self.snapshots = snapshots
        queue = Monitor(SubmissionQueue(byteLimit: options.queueByteLimit))
        progress = Monitor(
            Writer.Progress(
                hasRetractions: sequencer.hasRetractions, counts: LedgerCounts(catalog)))
        self.store = store
        writer = Writer(
            engine: engine, options: options, queue: queue, progress: progress, lookup: lookup,
            snapshots: StoredSnapshots(snapshots, view), sequencer: sequencer)
        // Snapshots may come later; batches wait for the writer.
        threads = (
            WorkerThread { [writer] in writer.run() },
            WorkerThread(niceness: 10) { snapshots.run() }
        )
    }

    /// Offers the batch to the writer; refused at once if the queue is full or the ledger closing.
    public func submit(
        _ submission: Submission,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        require(submission)
        offer(.append(AppendRequest(content: .submission(submission), completion: completion)))
    }

    private func require(_ submission: Submission) {
        precondition(
            submission.batch.table.index < catalog.tables.count
                && catalog.tables[submission.batch.table.index].name == submission.batch.table.name
                || submission.dictionary != catalog.version,
            "a batch is of a table of the dictionary that judged it")
    }

    /// Offers the batch to the writer to be judged and not kept.
    public func weigh(
        _ submission: Submission, in trial: Trial,
        completion: @escaping @Sendable (Result<Weighing, LedgerError>) -> Void
    ) {
        require(submission)
        offer(.weigh(TrialRequest(submission: submission, trial: trial, completion: completion)))
    }

    /// The same for the ledger's own events: they have the order and the bounds of batches.
    public func record(
        _ controls: [Control], idempotencyKey: String?, requestDigest: [UInt8],
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        let content = AppendRequest.Content.controls(
            controls, idempotencyKey: idempotencyKey, requestDigest: requestDigest)
        offer(.append(AppendRequest(content: content, completion: completion)))
    }

    /// Decided by the writer, like a batch.
    public func waive(
        _ rejections: [RejectionRoot], _ waiver: Waiver,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        precondition(
            !rejections.isEmpty && rejections.count <= Waiver.countMax
                && Set(rejections).count == rejections.count,
            "a waiver names each of its rejections once")
        offer(
            .append(
                AppendRequest(content: .waiver(waiver, of: rejections), completion: completion)))
    }

    /// Off the writer, which goes on meanwhile.
    public func plan(_ request: RetractionRequest) throws(RetractionError) -> RetractionPlan {
        try RetractionPlanner(catalog, fingerprintKey, engine).plan(request)
    }

    /// Off the writer, from where the plan ended.
    public func extend(_ plan: RetractionPlan) throws(RetractionError) -> RetractionPlan {
        try RetractionPlanner(catalog, fingerprintKey, engine).extend(plan)
    }

    /// Decided by the writer, in a group of its own.
    public func retract(
        _ plan: RetractionPlan,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        offer(.append(AppendRequest(content: .retraction(plan), completion: completion)))
    }

    /// The writer knows whether there are any; the log has what they are.
    public func retraction(
        of spans: [Range<Position>]
    ) async throws(LedgerError) -> ImportRetraction? {
        guard progress.update({ $0.hasRetractions }) else { return nil }
        let result = await withCheckedContinuation { continuation in
            DispatchQueue(label: "daybook.retraction").async { [engine] in
                continuation.resume(
                    returning: Result { () throws(LogError) in
                        try ImportRetraction(of: spans, in: engine)
                    })
            }
        }
        do { return try result.get() } catch { throw .log(error) }
    }

    /// Judged by the writer, which owns the keys, between two batches.
    public func check(
        _ batch: JudgedBatch, dictionary: String
    ) async throws(LedgerError) -> [Receipt.RejectedRow] {
        try await withCheckedContinuation { continuation in
            let check = RowCheck(batch: batch, dictionary: dictionary) {
                continuation.resume(returning: $0)
            }
            offer(.check(check))
        }.get()
    }

    /// Read from the log, where it is kept for good.
    public func rejection(at position: Position) throws(LedgerError) -> StoredRejection? {
        try lookup.withBatch(at: position) {
            try StoredRejection(reading: &$0, at: position)
        } ?? nil
    }

    private func offer(_ request: WriterRequest) {
        if let refusal = queue.update({ $0.offer(request, byteCount: request.byteCount) }) {
            request.refuse(refusal)
        }
    }

    /// The receipt made again from the batch's record, as a replay.
    public func batch(at position: Position) throws(LedgerError) -> Receipt? {
        try lookup.withBatch(at: position) { try Receipt(reading: &$0, isReplay: true) }
    }

    /// Found by the time in the id, then compared in full.
    public func batch(id: String) throws(LedgerError) -> Receipt? {
        try lookup.batch(id: id)
    }

    /// Looked up by the writer, which owns the keys, and then read from the log.
    public func batch(
        source: String, principal: String, idempotencyKey: String
    ) async throws(LedgerError) -> Receipt? {
        let scope = IdempotencyScope.of(source: source, principal: principal)
        guard let position = try await position(scope: scope, key: idempotencyKey) else {
            return nil
        }
        return try batch(at: position)
    }

    /// The first event of the batch with this key, if such a one was recorded.
    public func control(idempotencyKey: String) async throws(LedgerError) -> Control? {
        let scope = IdempotencyScope.of(source: "system", principal: "system")
        guard let position = try await position(scope: scope, key: idempotencyKey) else {
            return nil
        }
        return try lookup.withBatch(at: position) { reader -> Control? in
            guard try reader.nextBranch() == reader.schema.controlBranch else { return nil }
            return try reader.readControl()
        } ?? nil
    }

    private func position(scope: String, key: String) async throws(LedgerError) -> Position? {
        try await withCheckedContinuation { continuation in
            offer(
                .search(
                    KeySearch(scope: scope, key: key) { continuation.resume(returning: $0) }))
        }.get()
    }

    /// Seen by the writer before its next group.
    public func confirmClock() { progress.update { $0.isClockConfirmed = true } }

    /// Refuses every append from the next group on: what was made from the log proves that it lost
    /// acknowledged batches, or is of another past. Retries and reads go on. For good: only another
    /// start looks again.
    ///
    /// - Parameter reason: what contradicts what, for people.
    public func stopAppends(reason: String) { progress.update { $0.contradiction = reason } }

    /// Put together from moments close to each other, not from one.
    public var status: LedgerStatus {
        let (state, batches, bytes) = queue.update { ($0.state, $0.itemCount, $0.byteCount) }
        let progress = progress.update { $0 }
        return LedgerStatus(
            head: engine.durable, catalogVersion: catalog.version, queuedBatchCount: batches,
            queuedByteCount: bytes, queueByteLimit: options.queueByteLimit,
            hold: progress.contradiction.map { .contradicted($0) } ?? progress.hold
                ?? (state == .closing ? .closed : nil),
            snapshotPosition: snapshots.position, snapshotFault: snapshots.fault,
            snapshotAgeSeconds: snapshots.ageSeconds, snapshotFailureCount: snapshots.failureCount,
            groupCount: progress.groupCount, batchCount: progress.batchCount,
            replayCount: progress.replayCount, counts: progress.counts)
    }

    /// Takes no more, writes and answers what waits, and makes a last snapshot. Blocks. The engine
    /// stays open.
    public func close() {
        let wasClosed = isClosed.update { isClosed in
            defer { isClosed = true }
            return isClosed
        }
        if wasClosed { return }
        queue.update { $0.close() }
        threads.writer.join()
        snapshots.close(at: engine.durable.position)
        threads.snapshots.join()
        writer.close()
        store.close()
    }
}
