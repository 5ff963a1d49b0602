import Avro
import DaybookIntake
import DaybookLedger
import DaybookLog
import Synchronization

/// A ledger for tests of routes alone: it believes intake, keeps nothing, and fails when told to.
/// What a ledger decides is tested with the real one.
final class ScriptedLedger: LedgerService {
    private struct State {
        var position: Position = 1
        var failure: LedgerError?
        var submissions: [Submission] = []
    }

    private let state = Mutex(State())

    /// What the next submissions are answered with; nil accepts them.
    var failure: LedgerError? {
        get { state.withLock { $0.failure } }
        set { state.withLock { $0.failure = newValue } }
    }

    /// Every batch that came.
    var submissions: [Submission] { state.withLock { $0.submissions } }

    func submit(
        _ submission: Submission,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        let result = state.withLock { state -> Result<Receipt, LedgerError> in
            if let failure = state.failure { return .failure(failure) }
            state.submissions.append(submission)
            let receipt = receipt(of: submission, at: state.position)
            state.position = receipt.endPosition
            return .success(receipt)
        }
        completion(result)
    }

    private func receipt(of submission: Submission, at position: Position) -> Receipt {
        let batch = submission.batch
        let rejected = batch.rows.enumerated().compactMap { index, row -> Receipt.RejectedRow? in
            if row.isCandidate { return nil }
            let start = Int(row.originalStart)
            let reasons = batch.reasons[Int(row.reasonsStart)...].prefix(Int(row.reasonsCount))
            return Receipt.RejectedRow(
                index: index, position: position + Position(index), line: nil,
                rejection: Rejection(
                    raw: batch.original.array(in: start..<(start + Int(row.originalCount))),
                    rawLength: nil,
                    reasons: reasons.map {
                        .init(code: $0.code.name, column: $0.column, message: $0.message)
                    }))
        }
        return Receipt(
            batchID: "0190a000-0000-7000-8000-000000000000", table: batch.table.name,
            format: batch.format.rawValue, position: position, receivedAt: 0,
            rowCount: batch.rows.count, rejected: rejected, leaf: emptyDigest, isReplay: false)
    }

    private var emptyDigest: Digest { Digest(of: UnsafeRawBufferPointer(start: nil, count: 0)) }

    func record(
        _ controls: [Control], idempotencyKey: String?, requestDigest: [UInt8],
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        completion(.failure(.closed))
    }

    func batch(at position: Position) throws(LedgerError) -> Receipt? { nil }
    func batch(id: String) throws(LedgerError) -> Receipt? { nil }
    func batch(principal: String, idempotencyKey: String) throws(LedgerError) -> Receipt? { nil }
    func control(idempotencyKey: String) throws(LedgerError) -> Control? { nil }
    func confirmClock() {}

    var status: LedgerStatus {
        let position = state.withLock { $0.position }
        return LedgerStatus(
            head: TreeHead(
                ledger: LedgerID(high: 1, low: 2), size: 1, position: position, root: emptyDigest),
            catalogVersion: "test", queuedBatchCount: 0, queuedByteCount: 0, hold: nil,
            snapshotPosition: 0, snapshotFault: nil, groupCount: 0, batchCount: 0, replayCount: 0)
    }
}
