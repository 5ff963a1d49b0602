import Synchronization

/// Counts the bytes that requests and answers hold, against a limit for all together.
///
/// A body takes its bytes as they come, and is refused where there are none left. An answer takes
/// what it needs: it is as large as what was let in made it, and slow clients pay for it.
final class ByteBudget: Sendable {
    /// Bytes that one body holds; given back with the last reference.
    final class Share: Sendable {
        private let budget: ByteBudget
        private let held = Atomic(0)

        fileprivate init(_ budget: ByteBudget) { self.budget = budget }

        deinit { budget.give(held.load(ordering: .relaxed)) }

        /// Takes more; false if there is no more, and nothing is taken. The last eighth is for
        /// those that are small: a usual batch finds room while large ones wait.
        func take(_ byteCount: Int) -> Bool {
            let isSmall = held.load(ordering: .relaxed) + byteCount <= ByteBudget.smallByteCount
            let limit = isSmall ? budget.limit : budget.limit - budget.limit / 8
            guard budget.take(byteCount, within: limit) else { return false }
            held.wrappingAdd(byteCount, ordering: .relaxed)
            return true
        }
    }

    /// What has no more bytes than that is small.
    static let smallByteCount = 256 << 10

    /// The most bytes that may be held, by what can be refused.
    let limit: Int
    private let used = Atomic(0)

    init(limit: Int) {
        precondition(limit > 0, "a budget has something to give")
        self.limit = limit
    }

    /// How many bytes are held now.
    var usedByteCount: Int { used.load(ordering: .relaxed) }

    /// Whether so little is left, less than a quarter, that slow clients are no longer borne with.
    var isPressed: Bool { usedByteCount >= limit - limit / 4 }
    /// Whether so many times the limit is held that nothing new should begin.
    func isOverdrawn(times: Int) -> Bool { usedByteCount >= times * limit }

    /// A share that holds nothing yet.
    func share() -> Share { Share(self) }

    /// Takes bytes whether they are there or not, for an answer; give back as many.
    func takeAnyway(_ byteCount: Int) {
        precondition(byteCount >= 0, "bytes are counted")
        used.wrappingAdd(byteCount, ordering: .relaxed)
    }

    /// Gives back what was taken.
    func give(_ byteCount: Int) {
        let left = used.wrappingSubtract(byteCount, ordering: .relaxed).newValue
        precondition(left >= 0, "no more is given back than was taken")
    }

    private func take(_ byteCount: Int, within limit: Int) -> Bool {
        takeAnyway(byteCount)
        guard usedByteCount > limit else { return true }
        give(byteCount)
        return false
    }
}

/// What a server has for bodies and for answers: the one is not spent by the other, so that clients
/// that do not read keep nobody from appending.
struct ServerBudgets: Sendable {
    let bodies: ByteBudget
    let answers: ByteBudget

    init(_ limits: ServerLimits) {
        bodies = ByteBudget(limit: limits.bodiesByteCount)
        answers = ByteBudget(limit: limits.answersByteCount)
    }
}
