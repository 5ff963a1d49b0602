import Synchronization

/// Counts who follows the log, up to a limit.
final class OpenFeeds: Sendable {
    /// One follower's place, which is given back with the last reference.
    final class Place: Sendable {
        private let feeds: OpenFeeds

        fileprivate init(_ feeds: OpenFeeds) { self.feeds = feeds }

        deinit { feeds.taken.withLock { $0 -= 1 } }
    }

    /// How many there may be.
    let limit: Int
    private let taken = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// How many there are.
    var count: Int { taken.withLock(\.self) }

    /// A place, if one is left.
    func take() -> Place? {
        let isFree = taken.withLock { taken in
            guard taken < limit else { return false }
            taken += 1
            return true
        }
        return isFree ? Place(self) : nil
    }
}
