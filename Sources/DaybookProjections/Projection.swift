import DaybookLog

/// How far a projection has come, and whether it goes on.
public struct ProjectionStatus: Sendable, Equatable {
    /// What the projector does with it.
    public enum State: String, Sendable {
        /// Applies events as they become durable.
        case running
        /// Stands still because an operator said so.
        case paused
        /// Is being made anew beside its tables, which stay as they are until it is done: its
        /// definition changed, or it is new and the log is long.
        case building
        /// Met an event that it cannot apply. It stands before it until the cause is mended and it
        /// is resumed or rebuilt, or the server started again; other projections go on.
        case failed
        /// The log and the database contradict each other, or the log cannot be read on: nothing is
        /// applied until the server is started again.
        case halted
    }

    /// The table's or aggregate's name, or `audit`.
    public let name: String
    /// Every event below it is applied.
    public var position: Position
    /// Whether it goes on.
    public var state: State
    /// Why it does not run, and what to do.
    public var reason: String?

    /// A status; a projection that was not looked at yet is at position 0.
    public init(name: String, position: Position, state: State = .running, reason: String? = nil) {
        precondition(position >= 0, "positions start at 0")
        self.name = name
        self.position = position
        self.state = state
        self.reason = reason
    }

    /// Why a projection failed, and what to do about it.
    static func failure(of name: String, _ reason: String) -> String {
        "\(reason); mend the cause, then `daybook projections resume \(name)`, or `daybook rebuild"
            + " \(name)` if its table is what is wrong"
    }
}

/// The projector's view of Postgres.
public enum PostgresState: Sendable, Equatable {
    /// Not tried yet.
    case starting
    case connected
    /// Not reachable, or it refuses: why. It is tried again until it serves.
    case unreachable(String)
}

/// What a projection is called that is no table: the batches and the rejections.
public let auditProjectionName = "audit"

/// Why events were not applied.
enum ProjectionFault: Error {
    /// This projection cannot apply an event; the others can.
    case cannotApply(projection: String, reason: String)
    /// The checkpoints in Postgres contradict the log.
    case contradiction(String)
    /// The log has not what a checkpoint in Postgres says that it had: it lost acknowledged events,
    /// or it is of another past. Nothing is to be appended to it.
    case logContradicted(String)
    /// A checkpoint is not where it was read. A transaction whose COMMIT was thought lost may have
    /// ended only now: nothing was applied, and the checkpoints are to be read again.
    case checkpointMoved

    /// Why log and database contradict each other, if they do.
    var contradiction: String? {
        switch self {
        case .contradiction(let reason), .logContradicted(let reason): reason
        case .cannotApply, .checkpointMoved: nil
        }
    }
}
