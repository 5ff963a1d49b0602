import DaybookLog

/// The key under which rows are hashed: under another, the same rows have another digest.
public struct RowHashKey: Sendable, Hashable {
    let low: UInt64
    let high: UInt64

    /// The ledger's own key: digests of the same rows are the same every time, and in every copy.
    public init(_ ledger: LedgerID) {
        self.init(low: ledger.low, high: ledger.high)
    }

    /// A key of two words.
    public init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

/// SipHash-1-3 with a result of 128 bits.
///
/// Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), and the 128-bit
/// variant of its reference implementation; one round a word and three at the end are the hash of
/// Rust's and Python's tables. A row is some ten words, so it costs tens of nanoseconds.
struct RowHash {
    private var v0, v1, v2, v3: UInt64

    static func hash(_ bytes: UnsafeRawBufferPointer, key: RowHashKey) -> UInt128 {
        var state = RowHash(key)
        let count = bytes.count
        var place = 0
        while place &+ 8 <= count {
            state.absorb(
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)))
            place &+= 8
        }
        var last = UInt64(truncatingIfNeeded: count) << 56
        var shift: UInt64 = 0
        while place < count {
            last |= UInt64(bytes[place]) << shift
            shift &+= 8
            place &+= 1
        }
        state.absorb(last)
        return state.finish()
    }

    private init(_ key: RowHashKey) {
        v0 = key.low ^ 0x736f_6d65_7073_6575
        v1 = key.high ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key.low ^ 0x6c79_6765_6e65_7261
        v3 = key.high ^ 0x7465_6462_7974_6573
    }

    @inline(__always) private mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        v0 ^= word
    }

    private mutating func finish() -> UInt128 {
        v2 ^= 0xee
        for _ in 0..<3 { round() }
        let low = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<3 { round() }
        return UInt128(v0 ^ v1 ^ v2 ^ v3) << 64 | UInt128(low)
    }

    @inline(__always) private mutating func round() {
        v0 = v0 &+ v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 = v2 &+ v3
        v3 = rotate(v3, 16) ^ v2
        v0 = v0 &+ v3
        v3 = rotate(v3, 21) ^ v0
        v2 = v2 &+ v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    }

    @inline(__always) private func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
        word << count | word >> (64 &- count)
    }
}
