import DaybookLog
import Synchronization

/// Counts how long something took, from any thread.
final class Durations: Sendable {
    private let counted = Mutex(Histogram.seconds)

    /// Counts what began at `start` and ends now.
    func add(since start: ContinuousClock.Instant) {
        let duration = ContinuousClock.now - start
        counted.withLock { $0.add(duration) }
    }

    /// What was counted so far.
    var histogram: Histogram { counted.withLock(\.self) }
}
