import DaybookLog

/// Says when fingerprints in memory grow old, when a snapshot is due and when the old ones go.
struct KeyGenerations {
    enum Step: Equatable {
        case none
        /// Begin a generation, and ask for a snapshot up to this position.
        case rotate(Position)
        /// The snapshot asked for is late; ask again, up to this position.
        case request(Position)
        /// The snapshot has all of the older generation.
        case drop
    }

    private let interval: Int64
    /// Where the young generation began.
    private var start: Position
    /// Whether there is an older generation: all below `start`.
    private var hasOld = false
    private var lastRequest: Position

    init(position: Position, interval: Int64) {
        precondition(interval > 0, "a snapshot covers something new")
        self.interval = interval
        start = position
        lastRequest = position
    }

    /// What to do now, with the log durable up to `position` and a snapshot up to
    /// `snapshotPosition`.
    mutating func step(position: Position, snapshotPosition: Position) -> Step {
        precondition(position >= start && snapshotPosition <= position, "a log only grows")
        if hasOld, snapshotPosition >= start {
            hasOld = false
            return .drop
        }
        guard position - lastRequest >= interval else { return .none }
        lastRequest = position
        if hasOld { return .request(position) }
        start = position
        hasOld = true
        return .rotate(position)
    }
}
