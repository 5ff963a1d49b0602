import DaybookIntake
import DaybookLedger
import DaybookLog
import Synchronization

/// A real ledger that can be told to fail, and remembers what came.
final class ScriptedLedger: LedgerService {
    private struct State {
        var failure: LedgerError?
        var recordFailure: LedgerError?
        var submissions: [Submission] = []
    }

    private let ledger: Ledger
    private let state = Mutex(State())

    init(_ ledger: Ledger) { self.ledger = ledger }

    /// What submissions are answered with from now on; nil lets them pass.
    func fail(with failure: LedgerError?) { state.withLock { $0.failure = failure } }

    /// What the ledger's own events are answered with from now on; nil lets them pass.
    func failRecords(with failure: LedgerError?) { state.withLock { $0.recordFailure = failure } }

    /// Under which fingerprints of keys are taken.
    var fingerprintKey: FingerprintKey { ledger.fingerprintKey }

    /// Every batch that came.
    var submissions: [Submission] { state.withLock { $0.submissions } }

    func submit(
        _ submission: Submission,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        let failure = state.withLock { state in
            state.submissions.append(submission)
            return state.failure
        }
        if let failure {
            completion(.failure(failure))
        } else {
            ledger.submit(submission, completion: completion)
        }
    }

    func weigh(
        _ submission: Submission, in trial: Trial,
        completion: @escaping @Sendable (Result<Weighing, LedgerError>) -> Void
    ) { ledger.weigh(submission, in: trial, completion: completion) }

    func record(
        _ controls: [Control], idempotencyKey: String?, requestDigest: [UInt8],
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        if let failure = state.withLock(\.recordFailure) { return completion(.failure(failure)) }
        ledger.record(
            controls, idempotencyKey: idempotencyKey, requestDigest: requestDigest,
            completion: completion)
    }

    func waive(
        _ rejections: [RejectionRoot], _ waiver: Waiver,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        ledger.waive(rejections, waiver, completion: completion)
    }

    func plan(_ request: RetractionRequest) throws(RetractionError) -> RetractionPlan {
        try ledger.plan(request)
    }

    func extend(_ plan: RetractionPlan) throws(RetractionError) -> RetractionPlan {
        try ledger.extend(plan)
    }

    func retract(
        _ plan: RetractionPlan,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        ledger.retract(plan, completion: completion)
    }

    func retraction(
        of spans: [Range<Position>]
    ) async throws(LedgerError) -> ImportRetraction? {
        try await ledger.retraction(of: spans)
    }

    func check(
        _ batch: JudgedBatch, dictionary: String
    ) async throws(LedgerError) -> [Receipt.RejectedRow] {
        try await ledger.check(batch, dictionary: dictionary)
    }

    func rejection(at position: Position) throws(LedgerError) -> StoredRejection? {
        try ledger.rejection(at: position)
    }

    func batch(at position: Position) throws(LedgerError) -> Receipt? {
        try ledger.batch(at: position)
    }

    func batch(id: String) throws(LedgerError) -> Receipt? { try ledger.batch(id: id) }

    func batch(
        source: String, principal: String, idempotencyKey: String
    ) async throws(LedgerError) -> Receipt? {
        try await ledger.batch(
            source: source, principal: principal, idempotencyKey: idempotencyKey)
    }

    func control(idempotencyKey: String) async throws(LedgerError) -> Control? {
        try await ledger.control(idempotencyKey: idempotencyKey)
    }

    func confirmClock() { ledger.confirmClock() }

    var status: LedgerStatus { ledger.status }
}
