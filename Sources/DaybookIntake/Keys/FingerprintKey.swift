/// The 16 random bytes under which a ledger takes fingerprints of key values.
///
/// It is the ledger's own and secret, so nobody can look for two values with one fingerprint.
public struct FingerprintKey: Sendable, Hashable {
    let low: UInt64
    let high: UInt64

    init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// A key of 16 bytes.
    public init(bytes: [UInt8]) {
        precondition(bytes.count == 16, "a fingerprint key has 16 bytes")
        let word = { (range: Range<Int>) in
            range.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[$1]) }
        }
        self.init(low: word(0..<8), high: word(8..<16))
    }

    /// The key for one constraint: the same values under two constraints share no fingerprint.
    func derived(for constraint: String) -> FingerprintKey {
        let name = Array(constraint.utf8)
        let hash = name.withUnsafeBytes { SipHash.hash($0, key: self) }
        return FingerprintKey(low: hash.low, high: hash.high)
    }

    /// The 128-bit fingerprint of any bytes, in the domain of `name` (idempotency keys, say).
    public func fingerprint(of bytes: UnsafeRawBufferPointer, domain name: String) -> KeySlot {
        let hash = SipHash.hash(bytes, key: derived(for: name))
        return KeySlot(kind: .fingerprint, low: hash.low, high: hash.high)
    }
}
