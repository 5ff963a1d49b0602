import Synchronization

/// Counts who does something that costs much, up to a limit: who follows the log, say.
final class Places: Sendable {
    /// One place, which is given back with the last reference.
    final class Place: Sendable {
        private let places: Places

        fileprivate init(_ places: Places) { self.places = places }

        deinit { places.taken.withLock { $0 -= 1 } }
    }

    /// How many there may be.
    let limit: Int
    private let taken = Mutex(0)

    init(limit: Int) { self.limit = limit }

    /// How many are taken.
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
