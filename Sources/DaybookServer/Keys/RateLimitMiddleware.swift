import HTTPTypes
import Hummingbird

/// Answers 429 to a key that asks too often, and tells every key how much it has left.
///
/// Stands behind `KeyMiddleware`. Source: draft-ietf-httpapi-ratelimit-headers-10, with one policy
/// of a second. What is left may be less than the quota: it is the burst that is left.
struct RateLimitMiddleware: RouterMiddleware {
    let limiter: RateLimiter
    private let policy: String?

    init(_ limiter: RateLimiter) {
        self.limiter = limiter
        policy = limiter.limit.map { "\"default\";q=\($0.perSecond);w=1" }
    }

    func handle(
        _ request: Request, context: ServerContext,
        next: (Request, ServerContext) async throws -> Response
    ) async throws -> Response {
        guard let policy, let caller = context.caller,
            let outcome = limiter.take(caller.principal)
        else { return try await next(request, context) }
        guard outcome.isTaken else {
            var problem = Problem.rateLimited(
                "the key \(caller.principal) has sent too many requests", outcome)
            problem.headers[.rateLimitPolicy] = policy
            problem.headers[.rateLimit] = outcome.field
            throw problem
        }
        do {
            var response = try await next(request, context)
            response.headers[.rateLimitPolicy] = policy
            response.headers[.rateLimit] = outcome.field
            return response
        } catch var problem as Problem {
            problem.headers[.rateLimitPolicy] = policy
            problem.headers[.rateLimit] = outcome.field
            throw problem
        }
    }
}

extension TokenBucket.Outcome {
    /// The value of `RateLimit`: what is left, and the seconds until all is there again.
    fileprivate var field: String {
        "\"default\";r=\(remaining);t=\(Self.seconds(fullInNanoseconds))"
    }

    /// Whole seconds, rounded up.
    fileprivate static func seconds(_ nanoseconds: Int64) -> Int64 {
        (nanoseconds + 999_999_999) / 1_000_000_000
    }

    /// When to come again: a second at least.
    fileprivate var retrySeconds: Int { max(1, Int(Self.seconds(waitNanoseconds))) }
}

extension Problem {
    /// Refused before anything was looked at.
    static func rateLimited(_ what: String, _ outcome: TokenBucket.Outcome) -> Problem {
        Problem(
            .tooManyRequests, "rate-limited", title: "Too many requests",
            detail: "\(what): nothing was done; send it again after Retry-After, and put more "
                + "rows into a batch"
        ).retrying(afterSeconds: outcome.retrySeconds)
    }
}

extension HTTPField.Name {
    static let rateLimit = HTTPField.Name("RateLimit")!
    static let rateLimitPolicy = HTTPField.Name("RateLimit-Policy")!
}
