import Synchronization

/// Counts the connections that are open, and those that were ended.
final class OpenConnections: Sendable {
    let limit: Int
    private let open = Atomic(0)
    private let refused = Atomic(0)
    private let timedOut = Atomic(0)

    init(limit: Int) {
        precondition(limit > 0, "a server takes a connection at least")
        self.limit = limit
    }

    /// How many are open now.
    var count: Int { open.load(ordering: .relaxed) }
    /// How many were refused because there were too many, since the server began.
    var refusedCount: Int { refused.load(ordering: .relaxed) }
    /// How many were ended because they took too long, since the server began.
    var timedOutCount: Int { timedOut.load(ordering: .relaxed) }

    /// Counts a new one; whether it may stay. `leave` follows in either case.
    func enter() -> Bool {
        let count = open.wrappingAdd(1, ordering: .relaxed).newValue
        guard count > limit else { return true }
        refused.wrappingAdd(1, ordering: .relaxed)
        return false
    }

    /// Counts one that is closed.
    func leave() { open.wrappingSubtract(1, ordering: .relaxed) }

    /// Counts one that took too long.
    func countTimeout() { timedOut.wrappingAdd(1, ordering: .relaxed) }
}
