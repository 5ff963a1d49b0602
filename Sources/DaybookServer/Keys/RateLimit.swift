import Synchronization

/// How many requests are taken: so many a second on average, so many at once.
public struct RateLimit: Sendable, Equatable {
    /// The interface's default for each key: 10,000 a second, 5,000 at once.
    public static let `default` = RateLimit(perSecond: 10_000, burst: 5_000)
    /// For all requests together that present no key, or none that is known.
    public static let unknownKeys = RateLimit(perSecond: 100, burst: 1_000)
    /// The most of either.
    public static let countMax = 1_000_000

    /// Requests a second.
    public let perSecond: Int
    /// Requests at once, after a pause.
    public let burst: Int

    /// - Precondition: both are between 1 and `countMax`.
    public init(perSecond: Int, burst: Int) {
        let allowed = 1...RateLimit.countMax
        precondition(
            allowed.contains(perSecond) && allowed.contains(burst),
            "a limit is between 1 and \(RateLimit.countMax) requests")
        self.perSecond = perSecond
        self.burst = burst
    }

    /// A token every so many nanoseconds.
    var interval: Int64 { 1_000_000_000 / Int64(perSecond) }
    /// A full bucket, in nanoseconds.
    var capacity: Int64 { interval * Int64(burst) }
}

/// A bucket of tokens, as the moment at which it will be full again: one number, and exact.
///
/// Source: the generic cell rate algorithm, ITU-T I.371, annex A (virtual scheduling).
struct TokenBucket: Sendable, Equatable {
    /// In nanoseconds of the limiter's clock; a moment that is over means full.
    private(set) var fullAt: Int64

    /// What a request came to.
    struct Outcome: Sendable, Equatable {
        let isTaken: Bool
        /// How many more would be taken now.
        let remaining: Int
        /// Until one more would be taken; 0 if it would be now.
        let waitNanoseconds: Int64
        /// Until the bucket is full.
        let fullInNanoseconds: Int64
    }

    /// A bucket that is full.
    init() { fullAt = Int64.min }

    /// Takes a token if there is one.
    mutating func take(_ limit: RateLimit, at now: Int64) -> Outcome {
        let missing = max(fullAt, now) - now
        let isTaken = missing + limit.interval <= limit.capacity
        let after = isTaken ? missing + limit.interval : missing
        fullAt = now + after
        let next = after + limit.interval - limit.capacity
        return Outcome(
            isTaken: isTaken, remaining: Int((limit.capacity - after) / limit.interval),
            waitNanoseconds: max(0, next), fullInNanoseconds: after)
    }
}

/// Counts the requests of every key. There are buckets for known keys alone, so whoever has none
/// cannot make it grow.
public final class RateLimiter: Sendable {
    /// The limit of each key; nil is none.
    let limit: RateLimit?
    private let unknownKeys: RateLimit
    private let clock: @Sendable () -> Int64
    private let buckets = Mutex<[String: TokenBucket]>([:])
    private let failures = Mutex(TokenBucket())

    /// At so many buckets those that are full are dropped: a full one is as good as none.
    static let bucketCountMax = 1024

    /// A limiter of each key, and of all that is no key together.
    ///
    /// - Parameter clock: nanoseconds from anywhere that never go back; the system's unless given.
    public init(
        _ limit: RateLimit?, unknownKeys: RateLimit = .unknownKeys,
        clock: @escaping @Sendable () -> Int64 = RateLimiter.uptime
    ) {
        self.limit = limit
        self.unknownKeys = unknownKeys
        self.clock = clock
    }

    private static let start = ContinuousClock.now

    /// Nanoseconds since the process first asked. (`clock_gettime`, `CLOCK_BOOTTIME`)
    public static let uptime: @Sendable () -> Int64 = {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// How many buckets there are.
    var bucketCount: Int { buckets.withLock(\.count) }

    /// A request of the key's holder; nil without a limit.
    func take(_ principal: String) -> TokenBucket.Outcome? {
        guard let limit else { return nil }
        let now = clock()
        return buckets.withLock { buckets in
            if buckets.count >= RateLimiter.bucketCountMax, buckets[principal] == nil {
                buckets = buckets.filter { $0.value.fullAt > now }
            }
            return buckets[principal, default: TokenBucket()].take(limit, at: now)
        }
    }

    /// A request without a known key. What it is counted in is everybody's: who has a key is let
    /// in before.
    func takeUnknown() -> TokenBucket.Outcome {
        let now = clock()
        return failures.withLock { $0.take(unknownKeys, at: now) }
    }
}
