/// A rejection as the audit in Postgres has it.
public struct ProjectedRejection: Sendable, Equatable {
    /// Its own position.
    public var position: Position
    /// The batch it came in.
    public var batchID: String
    /// The table that the row was for.
    public var table: String
    /// Where it came from: `http`, `csv:<file name>`, …
    public var source: String
    /// The line in its file, from 1; nil where there are no lines.
    public var line: Int64?
    /// When its batch was received.
    public var receivedAt: Microseconds
    /// Who sent it.
    public var principal: String
    /// The form of the bytes: `json`, `ndjson`, `csv`, `avro`.
    public var format: String
    /// What became of it.
    public var state: RejectionState
    /// Every reason in order of precedence, as JSON: `[{"code", "column", "message"}, …]`.
    public var reasons: String
    /// The original bytes without a line's end, cut where they are very long.
    public var raw: [UInt8]
    /// How many bytes there were before `raw` was cut.
    public var rawLength: Int64
    /// SHA-256 of the original bytes where these are not kept; then `raw` is empty.
    public var digest: [UInt8]?
    /// The first rejection of the same row, if this is a retry.
    public var retryOf: Position?
    /// What closed it; nil while it is open.
    public var closing: Closing?

    /// What closed a rejection.
    public struct Closing: Sendable, Equatable {
        /// `corrected` or `waived`.
        public var state: RejectionState
        /// The accepted row, or the waiver.
        public var position: Position
        /// The batch of that event.
        public var batchID: String
        /// When that batch was received.
        public var receivedAt: Microseconds
        /// Who sent the row, or waived it.
        public var principal: String
        /// Why it was waived.
        public var note: String?

        /// A rejection's end.
        public init(
            state: RejectionState, position: Position, batchID: String, receivedAt: Microseconds,
            principal: String, note: String?
        ) {
            self.state = state
            self.position = position
            self.batchID = batchID
            self.receivedAt = receivedAt
            self.principal = principal
            self.note = note
        }
    }

    /// A rejection of these facts.
    public init(
        position: Position, batchID: String, table: String, source: String, line: Int64?,
        receivedAt: Microseconds, principal: String, format: String, state: RejectionState,
        reasons: String, raw: [UInt8], rawLength: Int64, digest: [UInt8]? = nil,
        retryOf: Position? = nil, closing: Closing? = nil
    ) {
        self.position = position
        self.batchID = batchID
        self.table = table
        self.source = source
        self.line = line
        self.receivedAt = receivedAt
        self.principal = principal
        self.format = format
        self.state = state
        self.reasons = reasons
        self.raw = raw
        self.rawLength = rawLength
        self.digest = digest
        self.retryOf = retryOf
        self.closing = closing
    }
}

/// Some rejections in the order of their positions.
public struct RejectionPage: Sendable {
    /// At most as many as were asked for.
    public let rejections: [ProjectedRejection]
    /// What the next page comes after; nil if this is the last one.
    public let next: Position?

    /// A page.
    public init(rejections: [ProjectedRejection], next: Position?) {
        self.rejections = rejections
        self.next = next
    }
}

/// What became of one rejected row after its first rejection.
public struct RejectionLife: Sendable, Equatable {
    /// Its state now; nil if Postgres does not have the rejection yet.
    public let state: RejectionState?
    /// Positions of the rejected retries of the row, in order, at most `retryCountMax`.
    public let retries: [Position]
    /// What closed it; nil while it is open.
    public let closing: ProjectedRejection.Closing?

    /// No more retries than so many are named.
    public static let retryCountMax = 1_000

    /// A rejected row's later life.
    public init(
        state: RejectionState?, retries: [Position], closing: ProjectedRejection.Closing?
    ) {
        self.state = state
        self.retries = retries
        self.closing = closing
    }
}
