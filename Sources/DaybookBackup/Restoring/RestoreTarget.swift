import DaybookCatalog
import DaybookLog

/// The state that a restore is to reach.
public enum RestoreTarget: Sendable, Equatable {
    /// All that is in the log.
    case head
    /// After all events below a position, which lies between two batches.
    case position(Position)
    /// After all batches received up to a time, in microseconds from 1970 UTC.
    case time(Microseconds)

    /// A target as it is typed: digits are a position, all else a time with its offset.
    ///
    /// - Throws: `BackupError.refused` with what would be right.
    public init(_ text: String) throws(BackupError) {
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            guard let position = Position(text) else {
                throw .refused("\(text) is no position")
            }
            self = .position(position)
            return
        }
        do {
            self = .time(try BackupTime.parse(text))
        } catch {
            throw .refused(
                "\"\(text)\" is neither a position nor a time with its offset, such as "
                    + "2026-11-25T14:03:00+01:00 or 2026-11-25T13:03:00Z")
        }
    }

    /// The state that this is in a log. A time after the last batch is the log's end, unless it has
    /// not come yet: what is received by then is not known.
    ///
    /// - Parameter now: The wall clock.
    /// - Throws: `BackupError.refused` if the log does not have it, `LogError`.
    public func resolve(in log: any LogSource, now: Microseconds) throws -> RestorePoint {
        switch self {
        case .head: return try point(at: log.durable.position, in: log)
        case .position(let position):
            let end = log.durable.position
            guard position <= end else {
                throw BackupError.refused(
                    "position \(position) is outside the log, which ends at \(end)")
            }
            return try point(at: position, in: log)
        case .time(let time):
            let first = try firstTime(of: log)
            guard time >= first else {
                throw BackupError.refused(
                    "\(BackupTime.text(time)) is outside the log, whose first batch is of "
                        + "\(BackupTime.text(first))")
            }
            let last = try lastTime(of: log)
            guard time <= max(now, last) else {
                throw BackupError.refused(
                    "\(BackupTime.text(time)) is outside the log: it has not come yet; the last "
                        + "batch is of \(BackupTime.text(last))")
            }
            return try point(at: log.position(asOf: time), in: log)
        }
    }

    private func point(at position: Position, in log: any LogSource) throws -> RestorePoint {
        switch try log.place(of: position) {
        case .boundary(let head, let receivedAt):
            return RestorePoint(
                head: head, receivedAt: position == 0 ? nil : receivedAt,
                logEnd: log.durable.position)
        case .insideBatch(let batch):
            throw BackupError.refused(
                "position \(position) lies inside a batch; the state before it is "
                    + "\(batch.lowerBound), the one after it \(batch.upperBound)")
        }
    }

    private func firstTime(of log: any LogSource) throws -> Microseconds {
        guard log.durable.position > 0, let first = try log.blocks(from: 0, byteLimit: 1).first
        else { throw BackupError.refused("the log has no batch") }
        return first.firstReceivedAt
    }

    private func lastTime(of log: any LogSource) throws -> Microseconds {
        guard case .boundary(_, let time) = try log.place(of: log.durable.position) else {
            preconditionFailure("a log ends between two batches")
        }
        return time
    }
}

/// A state of the ledger that a target stands for.
public struct RestorePoint: Sendable, Equatable {
    /// The state.
    public let head: TreeHead
    /// The time of the last batch before it; nil before the first.
    public let receivedAt: Microseconds?
    /// Where the log ends now.
    public let logEnd: Position

    /// The time as text.
    public var time: String? { receivedAt.map(BackupTime.text) }
}
