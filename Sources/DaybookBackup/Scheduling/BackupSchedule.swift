import DaybookLog

/// When something that is done again and again is due. No I/O, no clock.
public struct BackupSchedule: Sendable, Equatable {
    /// How long after the last time it is due again, in seconds.
    public let intervalSeconds: Int64

    /// A backup of a state that was backed up already is made nevertheless after so long.
    static let unchangedSeconds: Int64 = 86_400
    static let firstRetrySeconds: Int64 = 5
    static let lastRetrySeconds: Int64 = 3600

    /// Every so many seconds, at least 1.
    public init(everySeconds: Int64) {
        precondition(everySeconds >= 1, "a schedule has a second at least")
        intervalSeconds = everySeconds
    }

    /// When it is due.
    ///
    /// After a failure it is tried again soon, and then less and less often, but never less often
    /// than the schedule itself.
    ///
    /// - Parameters:
    ///   - last: When it was done, or found needless. Nil if never: then it is due at once, and so
    ///     it is if that time has not come yet, for then the clock was set back.
    ///   - failureCount: How often it failed since.
    ///   - failedAt: When it failed for the last time.
    public func due(
        after last: Microseconds?, now: Microseconds, failureCount: Int = 0,
        failedAt: Microseconds = 0
    ) -> Microseconds {
        guard failureCount == 0 else {
            let exponent = min(failureCount - 1, 20)
            let backoff = min(Self.firstRetrySeconds << exponent, Self.lastRetrySeconds)
            return min(failedAt, now) + min(backoff, intervalSeconds) * 1_000_000
        }
        guard let last, last <= now else { return .min }
        return last + intervalSeconds * 1_000_000
    }

    /// Whether a backup that is due would say nothing new: the last one is of the same position,
    /// and not older than a day.
    public static func isNeedless(
        at position: Position, now: Microseconds, last: (position: Position, at: Microseconds)?
    ) -> Bool {
        guard let last else { return false }
        // A clock that was set back makes no backup look young for ever.
        return last.position == position && now >= last.at
            && now - last.at <= unchangedSeconds * 1_000_000
    }
}
