/// How often values of which size came, in buckets whose bounds are fixed.
///
/// Source: Prometheus, "Metric types", histogram. A value that is a bound belongs to that bucket.
public struct Histogram: Sendable, Equatable {
    /// The buckets' upper bounds, rising; above the last stands one more bucket without a bound.
    public let bounds: [Double]
    /// How many values each bucket has by itself; one more than there are bounds.
    public private(set) var counts: [UInt64]
    /// All values together.
    public private(set) var sum = 0.0

    /// A histogram without values.
    public init(bounds: [Double]) {
        precondition(
            zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 } && bounds.allSatisfy(\.isFinite),
            "bounds rise")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// A histogram for durations in seconds, from a tenth of a millisecond to ten seconds.
    public static var seconds: Histogram {
        Histogram(bounds: [
            0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
            2.5, 5, 10,
        ])
    }

    /// Counts a value, which is finite.
    public mutating func add(_ value: Double) {
        precondition(value.isFinite, "a value is a number")
        // There are few bounds, and most values are small.
        var place = 0
        while place < bounds.count, value > bounds[place] { place += 1 }
        counts[place] += 1
        sum += value
    }

    /// Counts a duration, in seconds.
    public mutating func add(_ duration: Duration) { add(duration / .seconds(1)) }

    /// How many values came.
    public var count: UInt64 { counts.reduce(0, +) }
}
