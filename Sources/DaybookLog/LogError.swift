/// What can go wrong with the log. Text for people is made at the edge.
public enum LogError: Error, Equatable, Sendable {
    /// The system refused a call: what was tried, on what, and its errno.
    case system(call: String, file: String, code: Int32)
    /// No space, or over the quota: the group is absent and the log goes on when there is space.
    case diskFull(file: String)
    /// A sync failed. What it covered may or may not be on disk; the process must end.
    case syncFailed(file: String, code: Int32)
    /// Bytes that were durable are not what they were: appends stop.
    case corrupt(Corruption)
    /// Another process holds the directory.
    case locked(by: String)
    /// Nothing is there, or something that is no log.
    case notALedger(String)
    /// A format that this program is too old to read.
    case unsupportedVersion(file: String, version: UInt16)
    /// A position or time outside the log.
    case outOfRange(Position)
    /// The engine was closed, or has failed before.
    case closed
}

/// Where the log is damaged, and how much is still good.
public struct Corruption: Error, Equatable, Sendable {
    /// The file, by its name in the log's folder.
    public let file: String
    /// Where in the file the first bad byte may be.
    public let offset: UInt64
    /// The first position that cannot be read.
    public let position: Position
    /// What contradicts what.
    public let what: String

    /// Damage at `offset` of `file`; everything below `position` is still good.
    public init(file: String, offset: UInt64, position: Position, what: String) {
        self.file = file
        self.offset = offset
        self.position = position
        self.what = what
    }
}
