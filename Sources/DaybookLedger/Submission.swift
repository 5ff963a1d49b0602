import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A judged batch on its way into the ledger, and who sends it.
public struct Submission: Sendable {
    /// The rows, judged by themselves: the ledger still has keys and references to look up.
    public let batch: JudgedBatch
    /// `http`, `csv:<file name>`, `avro:<file name>`, …
    public let source: String
    /// The name of the API key, or `local:<user>`.
    public let principal: String
    /// The client's key by which a retry is known, scoped by principal; nil if none was sent.
    public let idempotencyKey: String?
    /// SHA-256 over table, options, content type and body: 32 bytes.
    public let requestDigest: [UInt8]
    /// All rows or none.
    public let isAtomic: Bool
    /// Version of the catalog that judged the batch.
    public let dictionary: String
    /// Line of the first row in its file, from 1.
    public let firstLine: Int64?
    /// Rows that are sent in the place of rejected ones, in the order of rows.
    public let corrects: [RowCorrection]

    /// A batch to submit. With an idempotency key, the request's digest must be there. What it
    /// corrects are rejections of its own table, each once, for rows in ascending order.
    public init(
        batch: JudgedBatch, source: String, principal: String, idempotencyKey: String?,
        requestDigest: [UInt8], isAtomic: Bool = false, dictionary: String,
        firstLine: Int64? = nil, corrects: [RowCorrection] = []
    ) {
        precondition(
            corrects.allSatisfy {
                batch.rows.indices.contains($0.row) && $0.rejection.table == batch.table.name
            } && zip(corrects, corrects.dropFirst()).allSatisfy { $0.row < $1.row }
                && Set(corrects.map(\.rejection)).count == corrects.count,
            "a row corrects one rejection of its table, which no other row corrects")
        precondition(
            idempotencyKey == nil || requestDigest.count == Digest.byteCount,
            "a batch with a key has the digest by which a retry is known")
        self.batch = batch
        self.source = source
        self.principal = principal
        self.idempotencyKey = idempotencyKey
        self.requestDigest = requestDigest
        self.isAtomic = isAtomic
        self.dictionary = dictionary
        self.firstLine = firstLine
        self.corrects = corrects
    }

    /// About how much memory the batch holds, for the queue's bound.
    public var byteCount: Int { batch.original.count + batch.encoded.count + 1024 }
}

/// What became of a batch. Made from the same facts for a first answer and for a replay of it.
public struct Receipt: Sendable, Equatable {
    /// One rejected row.
    public struct RejectedRow: Sendable, Equatable {
        /// Index of the row in the batch, from 0.
        public let index: Int
        /// The row's position in the ledger, which a correction names.
        public let position: Position
        /// Where the row starts in its file, from 1; nil where there are no lines.
        public let line: Int64?
        /// The original bytes and the reasons, as the log keeps them.
        public let rejection: Rejection

        /// A rejected row of a batch.
        public init(index: Int, position: Position, line: Int64?, rejection: Rejection) {
            self.index = index
            self.position = position
            self.line = line
            self.rejection = rejection
        }
    }

    /// The batch's id, a UUIDv7.
    public let batchID: String
    /// The table that the batch is for.
    public let table: String
    /// Who sent it: the name of the API key, or `local:<user>`.
    public let principal: String
    /// The form of the original bytes: `json`, `ndjson`, `csv`, `avro`.
    public let format: String
    /// The first row's position.
    public let position: Position
    /// The batch's time in the log: later than that of every batch before it.
    public let receivedAt: Microseconds
    /// How many rows the batch has, accepted and rejected.
    public let rowCount: Int
    /// The rejected rows in the order of the batch.
    public let rejected: [RejectedRow]
    /// RFC 6962 leaf digest of the batch's record.
    public let leaf: Digest
    /// Whether this answers a retry of a batch that was there before.
    public var isReplay: Bool

    /// The receipt of a durable batch.
    public init(
        batchID: String, table: String, principal: String, format: String, position: Position,
        receivedAt: Microseconds, rowCount: Int, rejected: [RejectedRow], leaf: Digest,
        isReplay: Bool
    ) {
        precondition(rejected.count <= rowCount, "rows = accepted + rejected")
        self.batchID = batchID
        self.table = table
        self.principal = principal
        self.format = format
        self.position = position
        self.receivedAt = receivedAt
        self.rowCount = rowCount
        self.rejected = rejected
        self.leaf = leaf
        self.isReplay = isReplay
    }

    /// Rows that are now rows of the table: all but the rejected.
    public var acceptedCount: Int { rowCount - rejected.count }
    /// The first position after the batch.
    public var endPosition: Position { position + Position(rowCount) }
}

/// Why the ledger did not take a batch. Rejected rows are no error.
public enum LedgerError: Error, Equatable, Sendable {
    /// The queue holds as many bytes as it may; try again in so many seconds.
    case queueFull(retryAfterSeconds: Int)
    /// The same key from the same principal came with another table, options, type or body.
    case idempotencyConflict(batchID: String)
    /// The group was undone: nothing of it is in the log; it may be sent again.
    case diskFull
    /// The batch may or may not be in the log: send it again with the same idempotency key.
    case outcomeUnknown
    /// A rejection that is to be corrected or waived is no longer open.
    case rejectionClosed(Position, RejectionState)
    /// So much was appended since a retraction was planned that the writer does not look through
    /// it: the plan is to be extended.
    case retractionBehind
    /// A row that is to be retracted is so already.
    case rowRetracted(Position)
    /// Rows that came since the retraction was planned refer to what is to go.
    case rowsReferred(count: Int, first: [ReferringRow])
    /// The wall clock jumped; appends wait until it is right again or confirmed.
    case clockHeld(jumpSeconds: Int64)
    /// The log is not what others made of it: why. Appends are refused, retries are still answered.
    case contradicted(String)
    /// The batch was judged by another dictionary than the ledger now has.
    case dictionaryChanged
    /// The log under the ledger failed or is damaged.
    case log(LogError)
    /// The snapshot of keys cannot be used or written; it can be deleted and is then made anew.
    case state(String)
    /// The ledger is closing.
    case closed
}
