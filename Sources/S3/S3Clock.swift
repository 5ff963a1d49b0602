import Glibc

/// The time that requests are signed with.
public struct S3Clock: Sendable {
    /// Seconds since 1970, UTC.
    public let seconds: @Sendable () -> Int

    /// A clock of one's own, for tests.
    public init(seconds: @escaping @Sendable () -> Int) { self.seconds = seconds }

    /// The system's. (`time`)
    public static let system = S3Clock { time(nil) }

    /// The time as signatures have it: `20130524T000000Z`. (`gmtime_r`)
    func timestamp() -> String {
        var now = time_t(seconds())
        var parts = tm()
        gmtime_r(&now, &parts)
        func pad(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)\(pad(parts.tm_mon + 1))\(pad(parts.tm_mday))"
            + "T\(pad(parts.tm_hour))\(pad(parts.tm_min))\(pad(parts.tm_sec))Z"
    }
}
