import DaybookIntake
import DaybookLog

/// The ledger as its callers see it: the server and the importer take any of these, so that they
/// can be tested without a log.
public protocol LedgerService: AnyObject, Sendable {
    /// Puts a batch into the queue, in the order of the calls, and returns. `completion` is called
    /// once, on the writer's thread or the caller's; it must be brief.
    func submit(
        _ submission: Submission,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void)

    /// Judges a batch as it would be decided now, after those that were judged in `trial` before,
    /// and keeps nothing of it. In the order of the calls, and of `submit`; `completion` as there.
    func weigh(
        _ submission: Submission, in trial: Trial,
        completion: @escaping @Sendable (Result<Weighing, LedgerError>) -> Void)

    /// Writes the ledger's own events as one batch with source `system`.
    func record(
        _ controls: [Control], idempotencyKey: String?, requestDigest: [UInt8],
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void)

    /// Lets rejections go that are open, all or none, as one of the ledger's own events; between 1
    /// and `Waiver.countMax` different ones. Refused with `LedgerError.rejectionClosed`.
    func waive(
        _ rejections: [RejectionRoot], _ waiver: Waiver,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void)

    /// Looks through the log for the rows that a request means, and for others that refer to them.
    /// Nothing is written. Blocks on the disk.
    func plan(_ request: RetractionRequest) throws(RetractionError) -> RetractionPlan

    /// The plan, looked through up to the log's end of now; `.referred` if rows have come that
    /// refer to what is to go. Blocks on the disk.
    func extend(_ plan: RetractionPlan) throws(RetractionError) -> RetractionPlan

    /// Takes back what was planned, as one of the ledger's own events, and frees the rows' keys.
    /// Refused with `.rowRetracted`, `.rowsReferred`, or `.retractionBehind`, after which the plan
    /// is to be extended.
    func retract(
        _ plan: RetractionPlan,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void)

    /// What was retracted of the accepted rows in these ranges; nil if nothing was. Looks through
    /// the log, off the caller's thread, where anything was ever retracted.
    func retraction(
        of spans: [Range<Position>]
    ) async throws(LedgerError) -> ImportRetraction?

    /// The rows that would be rejected if the batch, judged under the dictionary of this version,
    /// came now, in order; their positions are those that they would have. Nothing is written.
    /// Waits for the writer.
    func check(
        _ batch: JudgedBatch, dictionary: String
    ) async throws(LedgerError) -> [Receipt.RejectedRow]

    /// The rejected row at `position`; nil if there is none. May block on the disk.
    func rejection(at position: Position) throws(LedgerError) -> StoredRejection?

    /// The batch that holds `position`; nil beyond the end. May block on the disk.
    func batch(at position: Position) throws(LedgerError) -> Receipt?

    /// The batch with this id; nil if there is none, or if it is no UUIDv7. May block on
    /// the disk.
    func batch(id: String) throws(LedgerError) -> Receipt?

    /// The batch that came with this idempotency key: from `principal`, if `source` is that of a
    /// request; from anyone, if it names an imported file. Waits for the writer.
    func batch(
        source: String, principal: String, idempotencyKey: String
    ) async throws(LedgerError) -> Receipt?

    /// The first of the ledger's own events that were recorded with this key. Waits for the writer.
    func control(idempotencyKey: String) async throws(LedgerError) -> Control?

    /// How the ledger is doing now.
    var status: LedgerStatus { get }

    /// Takes the wall clock for right, though it jumped; appends go on.
    func confirmClock()
}

extension LedgerService {
    /// Appends a batch and waits until it is on disk.
    ///
    /// - Throws: why the ledger did not take it; rejected rows are no error.
    public func append(_ submission: Submission) async throws(LedgerError) -> Receipt {
        try await withCheckedContinuation { continuation in
            submit(submission) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Lets rejections go and waits until that is on disk.
    public func waive(
        _ rejections: [RejectionRoot], _ waiver: Waiver
    ) async throws(LedgerError) -> Receipt {
        try await withCheckedContinuation { continuation in
            waive(rejections, waiver) { continuation.resume(returning: $0) }
        }.get()
    }

    /// Writes the ledger's own events and waits until they are on disk.
    public func record(
        _ controls: [Control], idempotencyKey: String? = nil, requestDigest: [UInt8] = []
    ) async throws(LedgerError) -> Receipt {
        try await withCheckedContinuation { continuation in
            record(controls, idempotencyKey: idempotencyKey, requestDigest: requestDigest) {
                continuation.resume(returning: $0)
            }
        }.get()
    }
}
