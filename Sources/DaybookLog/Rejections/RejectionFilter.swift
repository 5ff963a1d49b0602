/// Which rejections are wanted; what is nil is not asked for.
public struct RejectionFilter: Sendable, Equatable {
    /// Of one of these tables.
    public var tables: [String]?
    /// With this code among its reasons.
    public var code: String?
    /// With a reason that names this column; of `code`, if that is given too.
    public var column: String?
    /// In this state.
    public var state: RejectionState?
    /// From here: `http`, `csv:<file name>`, …
    public var source: String?
    /// Sent by this key or user.
    public var principal: String?
    /// In the batch with this id, a UUID.
    public var batch: String?
    /// Received then or later.
    public var since: Microseconds?
    /// Received before then.
    public var until: Microseconds?

    /// All rejections.
    public init() {}
}
