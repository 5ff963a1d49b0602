import DaybookIntake

/// A 128-bit keyed fingerprint of a key's values, or of an idempotency key in its scope.
struct Fingerprint: Hashable, Comparable, Sendable {
    var high: UInt64
    var low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    init(_ slot: KeySlot) {
        self.init(high: slot.high, low: slot.low)
    }

    /// The place to look at next when the log shows that this one is held by another key.
    ///
    /// It will hardly ever happen, and so costs nothing to be exact about: whoever finds a
    /// fingerprint held by a different key goes on to the one after it, and so does whoever looks
    /// it up.
    var next: Fingerprint {
        let (sum, carry) = low.addingReportingOverflow(1)
        return Fingerprint(high: carry ? high &+ 1 : high, low: sum)
    }

    // The bits are random already: one half spreads as well as a hash of both.
    func hash(into hasher: inout Hasher) { hasher.combine(low) }

    static func < (left: Fingerprint, right: Fingerprint) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension Fingerprint {
    /// Stands in place of the position of a row that was retracted: its key is free, and whoever
    /// looks for another key with its fingerprint goes on behind it.
    static let freed: Int64 = -1
}

/// Where fingerprints that a snapshot covers are looked up.
protocol FingerprintBase: AnyObject {
    /// The position kept for a fingerprint of the set with this number.
    func position(of fingerprint: Fingerprint, set: UInt32) -> Int64?
}

/// One set of fingerprints with their positions: what came since the snapshot in memory, in two
/// generations, and the snapshot below.
struct FingerprintSet {
    /// The set's number in the snapshot.
    let number: UInt32
    /// Since the last rotation.
    private(set) var young: [Fingerprint: Int64] = [:]
    /// Before it, not yet in the snapshot that is being made.
    private(set) var old: [Fingerprint: Int64] = [:]
    private let base: (any FingerprintBase)?

    init(number: UInt32, base: (any FingerprintBase)?) {
        self.number = number
        self.base = base
    }

    func position(of fingerprint: Fingerprint) -> Int64? {
        young[fingerprint] ?? old[fingerprint]
            ?? base?.position(of: fingerprint, set: number)
    }

    mutating func insert(_ fingerprint: Fingerprint, position: Int64) {
        let before = young.updateValue(position, forKey: fingerprint)
        precondition(before == nil, "a fingerprint is taken once")
    }

    /// Marks the fingerprint of a durable row as free, for good. Whoever calls has found it taken:
    /// it is not looked up again, for that may be a look into the snapshot, a million times over.
    mutating func free(_ fingerprint: Fingerprint) {
        let before = young.updateValue(Fingerprint.freed, forKey: fingerprint)
        precondition(before != Fingerprint.freed, "only what is taken is freed")
    }

    /// Undoes an insertion that was made since the last rotation.
    mutating func remove(_ fingerprint: Fingerprint) {
        let position = young.removeValue(forKey: fingerprint)
        precondition(position != nil, "only what was inserted is undone")
    }

    /// Begins a generation: what is here now will be in the next snapshot.
    mutating func rotate() {
        precondition(old.isEmpty, "a generation is dropped before the next grows old")
        swap(&young, &old)
    }

    /// Forgets the older generation: the snapshot below has it.
    mutating func dropOld() { old = [:] }
}
