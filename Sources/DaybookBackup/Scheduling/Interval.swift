/// A length of time as people type it: `30s`, `15m`, `1h`, `7d`.
public struct Interval: Sendable, Equatable {
    /// How many seconds it has.
    public let seconds: Int64

    /// What a text must be.
    public static let form = "a number and a unit, such as 30s, 15m, 1h or 7d"
    private static let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    /// Ten years: more is a slip of the finger.
    private static let secondsMax: Int64 = 3650 * 86_400

    /// Reads a text; nil if it is none, or not between a second and ten years.
    public init?(_ text: String) {
        guard let unit = text.last.flatMap({ Interval.units[$0] }), (2...12).contains(text.count),
            text.dropLast().allSatisfy({ $0.isASCII && $0.isNumber }),
            let count = Int64(text.dropLast())
        else { return nil }
        let (seconds, isTooLarge) = count.multipliedReportingOverflow(by: unit)
        guard !isTooLarge, (1...Interval.secondsMax).contains(seconds) else { return nil }
        self.seconds = seconds
    }
}
