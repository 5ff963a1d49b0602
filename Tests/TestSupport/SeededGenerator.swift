import Foundation

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and the same numbers from the same seed
/// everywhere, so that a random test can be run again.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    /// The seed it was made with; a failing test prints it.
    public let seed: UInt64
    private var state: UInt64

    /// A generator whose numbers depend on `seed` alone.
    public init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    /// A generator seeded from `DAYBOOK_TEST_SEED`, or else from the system.
    public init() {
        let given = ProcessInfo.processInfo.environment["DAYBOOK_TEST_SEED"].flatMap(UInt64.init)
        self.init(seed: given ?? .random(in: 0 ... .max))
    }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
