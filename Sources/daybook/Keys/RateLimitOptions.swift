import ArgumentParser
import DaybookServer

/// The options of `daybook serve` about how often a key may ask.
struct RateLimitOptions: ParsableArguments {
    @Option(
        help: """
            The requests a second that are taken of each key; 0 for any number. Environment: \
            DAYBOOK_RATE_LIMIT. Default: 10000.
            """)
    var rateLimit: String?

    @Option(
        help: """
            The requests of a key that are taken at once. Environment: DAYBOOK_RATE_BURST. \
            Default: 5000.
            """)
    var rateBurst: String?

    /// What flags and environment come to.
    ///
    /// - Throws: `ValidationError` that says what would be right.
    func limiter() throws -> RateLimiter {
        let normal = RateLimit.default
        let rate = try count(rateLimit, "--rate-limit", "RATE_LIMIT", 0) ?? normal.perSecond
        let burst = try count(rateBurst, "--rate-burst", "RATE_BURST", 1) ?? normal.burst
        return RateLimiter(rate == 0 ? nil : RateLimit(perSecond: rate, burst: burst))
    }

    private func count(
        _ given: String?, _ flag: String, _ variable: String, _ least: Int
    ) throws -> Int? {
        guard let text = given ?? Settings.environment(variable) else { return nil }
        guard let count = Int(text), (least...RateLimit.countMax).contains(count) else {
            let name = given == nil ? "DAYBOOK_\(variable)" : flag
            throw ValidationError(
                "\(name) is a number from \(least) to \(RateLimit.countMax); "
                    + "\"\(text)\" is not.")
        }
        return count
    }
}
