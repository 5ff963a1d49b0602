import DaybookLog

/// Watches the wall clock against the boot-time clock: a jump forward holds appends.
///
/// Times in the log never go back, so one batch at a wrong time far ahead would ruin every later
/// point-in-time restore. A step back does no such harm: times then go on by microseconds.
struct ClockGuard {
    private var offset: Microseconds
    private let limit: Microseconds

    /// What the clocks say together.
    struct Reading: Equatable {
        let wall: Microseconds
        let boot: Microseconds
    }

    /// Takes the clocks' first reading for right.
    init(_ reading: Reading, limitSeconds: Int64) {
        precondition(limitSeconds > 0, "some drift is always allowed")
        offset = reading.wall - reading.boot
        limit = limitSeconds * 1_000_000
    }

    /// By how much the wall clock jumped forward, if by more than it may.
    func jumpSeconds(_ reading: Reading) -> Int64? {
        let jump = reading.wall - reading.boot - offset
        return jump > limit ? jump / 1_000_000 : nil
    }

    /// Takes this reading for right.
    mutating func confirm(_ reading: Reading) { offset = reading.wall - reading.boot }
}
