import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import DaybookServer

/// A clock that a test sets, in nanoseconds.
private final class HandClock: Sendable {
    private let now = Mutex<Int64>(1_000_000_000_000)
    var time: @Sendable () -> Int64 { { [self] in now.withLock(\.self) } }
    func advance(_ nanoseconds: Int64) { now.withLock { $0 += nanoseconds } }
    func advance(seconds: Int64) { advance(seconds * 1_000_000_000) }
}

@Suite("Limits of requests")
struct RateLimitTests {
    @Test("A bucket gives its burst at once, then a token every interval, to the nanosecond")
    func bucket() {
        let limit = RateLimit(perSecond: 10, burst: 3)
        var bucket = TokenBucket()
        let start: Int64 = 5_000_000_000
        let first = (0..<4).map { _ in bucket.take(limit, at: start).isTaken }
        #expect(first == [true, true, true, false])
        #expect(bucket.take(limit, at: start).waitNanoseconds == 100_000_000)
        #expect(!bucket.take(limit, at: start + 99_999_999).isTaken)
        #expect(bucket.take(limit, at: start + 100_000_000).isTaken)
        #expect(!bucket.take(limit, at: start + 199_999_999).isTaken)
        let late = bucket.take(limit, at: start + 10_000_000_000)
        #expect(late.isTaken && late.remaining == 2, "it never holds more than the burst")
        #expect(late.fullInNanoseconds == 100_000_000)
    }

    @Test("Over any time a key gets its burst and its rate, whatever the pace (random, seeded)")
    func model() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let limit = RateLimit(
                perSecond: Int.random(in: 1...1_000_000, using: &random),
                burst: Int.random(in: 1...50, using: &random))
            var bucket = TokenBucket()
            var tokens = limit.burst
            var filledAt: Int64 = 0
            var now: Int64 = 0
            for _ in 0..<500 {
                now += Int64.random(in: 0...(2 * limit.interval), using: &random)
                // The model: whole tokens, each added at the end of its interval.
                if tokens == limit.burst { filledAt = now }
                let grown = (now - filledAt) / limit.interval
                tokens = min(limit.burst, tokens + Int(grown))
                filledAt = tokens == limit.burst ? now : filledAt + grown * limit.interval
                let outcome = bucket.take(limit, at: now)
                #expect(outcome.isTaken == (tokens > 0), "seed \(seed)")
                if tokens > 0 { tokens -= 1 }
                #expect(outcome.remaining == tokens, "seed \(seed)")
                #expect(outcome.waitNanoseconds <= limit.interval, "seed \(seed)")
            }
        }
    }

    @Test("Every key has a bucket of its own, and full ones are dropped: memory is bounded")
    func bounded() {
        let clock = HandClock()
        let limiter = RateLimiter(RateLimit(perSecond: 1, burst: 1), clock: clock.time)
        for number in 0..<RateLimiter.bucketCountMax {
            #expect(limiter.take("key\(number)")?.isTaken == true)
        }
        #expect(limiter.take("key7")?.isTaken == false)
        #expect(limiter.bucketCount == RateLimiter.bucketCountMax)
        clock.advance(seconds: 1)
        #expect(limiter.take("another")?.isTaken == true)
        #expect(limiter.bucketCount == 1)
        #expect(limiter.take("key7")?.isTaken == true)
        for _ in 0..<100 { _ = limiter.takeUnknown() }
        #expect(limiter.bucketCount == 2, "who is nobody has no bucket")
    }

    @Test("Too many requests of a key are 429 with when to come again; another key is not touched")
    func perKey() async throws {
        let clock = HandClock()
        let limiter = RateLimiter(RateLimit(perSecond: 2, burst: 3), clock: clock.time)
        try await withServer(limiter: limiter) { client, _, log in
            for (left, seconds) in [(2, 1), (1, 1), (0, 2)] {
                let answer = try await client.get("/v1/status")
                #expect(answer.status == .ok)
                #expect(answer.headers[.rateLimitPolicy] == #""default";q=2;w=1"#)
                #expect(answer.headers[.rateLimit] == "\"default\";r=\(left);t=\(seconds)")
            }
            let before = log.durable.position
            let answer = try await client.append(#"{"id": 1, "job": "Cook"}"#)
            #expect(answer.status == .tooManyRequests)
            #expect(try answer.problem == "rate-limited")
            #expect(answer.headers[.retryAfter] == "1")
            #expect(answer.headers[.rateLimitPolicy] == #""default";q=2;w=1"#)
            #expect(answer.headers[.rateLimit] == #""default";r=0;t=2"#)
            #expect(answer.headers[.contentType] == "application/problem+json")
            #expect(log.durable.position == before, "none of these is an event")
            #expect(try await client.get("/v1/status", key: "reader").status == .ok)
            #expect(try await client.get("/health/ready", key: nil).status == .ok)
            clock.advance(499_999_999)
            #expect(try await client.get("/v1/status").status == .tooManyRequests)
            clock.advance(1)
            #expect(try await client.append(#"{"id": 1, "job": "Cook"}"#).status == .ok)
        }
    }

    @Test("A refused request counts, and what is refused tells the limit too")
    func problems() async throws {
        let clock = HandClock()
        let limiter = RateLimiter(RateLimit(perSecond: 1, burst: 10), clock: clock.time)
        try await withServer(limiter: limiter) { client, _, _ in
            let answer = try await client.append("[]", to: "nothing")
            #expect(answer.status == .notFound)
            #expect(answer.headers[.rateLimit] == #""default";r=9;t=1"#)
            let refused = try await client.append("[]")
            #expect(refused.status == .badRequest)
            #expect(refused.headers[.rateLimit] == #""default";r=8;t=2"#)
        }
    }

    @Test("Without a limit nothing is counted and nothing said")
    func unlimited() async throws {
        let limiter = RateLimiter(nil)
        try await withServer(limiter: limiter) { client, _, _ in
            for _ in 0..<20 {
                let answer = try await client.get("/v1/status")
                #expect(answer.status == .ok)
                #expect(answer.headers[.rateLimit] == nil)
                #expect(answer.headers[.rateLimitPolicy] == nil)
            }
        }
        #expect(limiter.bucketCount == 0)
    }

    @Test("Unknown keys are counted together; who has a key is let in meanwhile")
    func unknownKeys() async throws {
        let clock = HandClock()
        let limiter = RateLimiter(
            .default, unknownKeys: RateLimit(perSecond: 1, burst: 2), clock: clock.time)
        try await withServer(limiter: limiter) { client, _, _ in
            #expect(try await client.get("/v1/status", key: nil).status == .unauthorized)
            #expect(try await client.get("/v1/status", key: "guess").status == .unauthorized)
            let answer = try await client.get("/v1/status", key: "another")
            #expect(answer.status == .tooManyRequests)
            #expect(try answer.problem == "rate-limited")
            #expect(answer.headers[.retryAfter] == "1")
            #expect(answer.headers[.rateLimit] == nil, "it is nobody's bucket")
            #expect(try await client.get("/v1/status").status == .ok)
            clock.advance(seconds: 1)
            #expect(try await client.get("/v1/status", key: "guess").status == .unauthorized)
        }
    }

    @Test("A take costs well under ten microseconds, with 200 keys")
    func cost() {
        let limiter = RateLimiter(.default)
        let names = (0..<200).map { "key\($0)" }
        let start = ContinuousClock.now
        for round in 0..<100_000 { _ = limiter.take(names[round % 200]) }
        let each = (ContinuousClock.now - start) / 100_000
        #expect(each < .microseconds(10), "\(each)")
    }
}
