import Avro
import Crypto
import DaybookIntake
import DaybookLog

/// Sends rejected rows again, mended or as they were.
public struct Resubmitter: Sendable {
    /// What the log says such rows came by.
    public static let source = "resubmission"

    private let ledger: any LedgerService
    /// A judge for every table.
    private let judges: [String: Judge]
    private let dictionary: String

    /// A resubmitter of rows that `judges`, by table, judge under the dictionary of this version.
    public init(ledger: any LedgerService, judges: [String: Judge], dictionary: String) {
        self.ledger = ledger
        self.judges = judges
        self.dictionary = dictionary
    }

    /// What judges rows of the rejection's table; nil if the dictionary has no such table any more.
    public func judge(of rejection: StoredRejection) -> Judge? { judges[rejection.root.table] }

    /// The rejected row as it was, judged by the rules of now; nil if nothing in a dictionary could
    /// change its verdict: it is no row, it was cut, or its table is no more.
    public func asItWas(_ rejection: StoredRejection) -> JudgedBatch? {
        guard let record = rejection.record, let judge = judge(of: rejection),
            let past = try? PastRows(record, judge: judge)
        else { return nil }
        return PastJudgement.judge(rejection.rejection, past, rejection.batch)
    }

    /// Whether the row as it was would be accepted now. Waits for the writer, which has the keys.
    public func isEligible(_ rejection: StoredRejection) async throws(LedgerError) -> Bool {
        guard let row = asItWas(rejection), row.rows[0].isCandidate else { return false }
        return try await check(row).isEmpty
    }

    /// The row, if it would be rejected now. Nothing is written.
    public func check(
        _ row: JudgedBatch
    ) async throws(LedgerError) -> [Receipt.RejectedRow] {
        try await ledger.check(row, dictionary: dictionary)
    }

    /// Appends `row`, one row, in the place of the rejection. Refused with
    /// `LedgerError.rejectionClosed`; a row that is rejected again is a retry of the same row.
    ///
    /// - Parameter body: the bytes that were sent, by which a retry of the request is known.
    public func submit(
        _ row: JudgedBatch, for rejection: StoredRejection, principal: String,
        idempotencyKey: String?, body: Bytes
    ) async throws(LedgerError) -> Receipt {
        precondition(row.rows.count == 1, "one row is sent for one")
        var hash = SHA256()
        let identity = "resubmission\n\(rejection.position)\n\(row.format.rawValue)\n"
        hash.update(data: Array(identity.utf8))
        body.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return try await ledger.append(
            Submission(
                batch: row, source: Resubmitter.source, principal: principal,
                idempotencyKey: idempotencyKey, requestDigest: Array(hash.finalize()),
                dictionary: dictionary,
                corrects: [RowCorrection(row: 0, rejection: rejection.root)]))
    }
}
