import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A row that was judged to be rejected.
public struct JudgedRejection: Sendable, Equatable {
    /// Where the row starts in its file, from 1; nil where there are no lines.
    public let line: Int64?
    /// The codes of its reasons; one may be there more than once.
    public let codes: [String]

    /// A rejected row by what a summary needs of it.
    public init(line: Int64?, codes: [String]) {
        self.line = line
        self.codes = codes
    }
}

/// What a trial found about one batch.
public enum Weighing: Sendable, Equatable {
    /// The batch is in the log already, from this position on; its verdicts stand there.
    case inLog(Position)
    /// What the ledger would answer now, of a batch of so many rows. Nothing was kept.
    case judged(rowCount: Int, rejected: [JudgedRejection])
}

/// Batches that are judged one after the other as if each were kept, and none is.
///
/// A trial keeps the keys that its batches would take, so that a later row of the same file is a
/// duplicate of an earlier one, as it will be when the file is imported.
// @unchecked: only the ledger's writer thread touches what is inside.
public final class Trial: @unchecked Sendable {
    var keys: KeyOverlay

    /// A trial in which nothing was judged yet.
    public init() { keys = KeyOverlay() }

    init(fingerprintCountMax: Int) {
        keys = KeyOverlay(fingerprintCountMax: fingerprintCountMax)
    }
}

/// A batch that is to be judged and not kept.
struct TrialRequest: Sendable {
    let submission: Submission
    let trial: Trial
    let completion: @Sendable (Result<Weighing, LedgerError>) -> Void
}

/// Takes a fingerprint's word for a key: 128 bits under a secret key do not meet by chance, and
/// reading the log would hold up the writer.
struct TrustingReader: KeyReader {
    var trustsFingerprints: Bool { true }
    mutating func key(of constraint: KeyConstraint, at position: Position) -> [UInt8]? { nil }
}

extension Sequencer {
    /// Judges a batch as it would be decided now, and keeps nothing of it but, in the trial, its
    /// keys.
    ///
    /// - Throws: why the ledger would not take the batch.
    func weigh(_ submission: Submission, in trial: Trial) throws(LedgerError) -> Weighing {
        guard submission.dictionary == catalog.version else { throw .dictionaryChanged }
        if let request = RequestFacts(submission), case .taken(let decision) = try find(request) {
            switch decision {
            case .replays(let position): return .inLog(position)
            case .refused(let error): throw error
            case .follows(let index), .written(let index):
                let receipt = pending[index].receipt(isReplay: true)
                return .judged(
                    rowCount: receipt.rowCount,
                    rejected: receipt.rejected.map {
                        JudgedRejection(line: $0.line, codes: $0.rejection.reasons.map(\.code))
                    })
            }
        }
        let batch = submission.batch
        var judgement = RowJudgement(
            batch, table: tables[batch.table.index], position: position, reader: TrustingReader())
        trial.keys.over(keys) { judgement.run(&$0) }
        let verdicts = BatchVerdicts(
            batch, faults: judgement.faults, isAtomic: submission.isAtomic)
        var lines = LineWalk(
            firstLine: submission.firstLine,
            skips: submission.firstLine == nil ? [] : batch.lineSkips)
        return .judged(
            rowCount: batch.rows.count,
            rejected: verdicts.rejections.map { row, rejection in
                JudgedRejection(
                    line: lines.line(ofRow: row), codes: rejection.reasons.map(\.code))
            })
    }
}

extension RequestFacts {
    init?(_ submission: Submission) {
        guard let key = submission.idempotencyKey else { return nil }
        batchID = ""
        scope = IdempotencyScope.of(source: submission.source, principal: submission.principal)
        idempotencyKey = key
        requestDigest = submission.requestDigest
    }
}
