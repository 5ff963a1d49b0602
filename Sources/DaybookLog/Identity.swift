import Avro
import Crypto

/// An event's number in the ledger: from 0, without gaps.
public typealias Position = Int64

/// Microseconds from 1970-01-01T00:00Z.
public typealias Microseconds = Int64

/// The 16 random bytes that name a ledger for ever.
public struct LedgerID: Hashable, Sendable, CustomStringConvertible {
    /// The first eight bytes, big-endian.
    public let high: UInt64
    /// The last eight bytes, big-endian.
    public let low: UInt64

    /// The id of these two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new id of bits that `bits` gives: by default the system's random source.
    public static func random(
        _ bits: () -> UInt64 = { UInt64.random(in: 0 ... .max) }
    ) -> LedgerID {
        LedgerID(high: bits(), low: bits())
    }

    /// Reads an id from 32 hexadecimal digits, hyphens ignored.
    public init?(_ text: some StringProtocol) {
        let digits = String(text.filter { $0 != "-" })
        guard digits.utf8.count == 32, digits.allSatisfy(\.isHexDigit),
            let high = UInt64(digits.prefix(16), radix: 16),
            let low = UInt64(digits.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 lower-case hexadecimal digits.
    public var description: String { hexadecimal(high) + hexadecimal(low) }
}

/// A SHA-256 digest.
public struct Digest: Hashable, Sendable, CustomStringConvertible {
    let words: (UInt64, UInt64, UInt64, UInt64)

    /// How many bytes a digest has.
    public static let byteCount = 32

    /// Takes the first 32 bytes of `bytes`.
    public init(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count >= Digest.byteCount, "a SHA-256 digest has 32 bytes")
        words = (
            bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
            bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
        )
    }

    /// A digest from 64 hexadecimal digits; nil if they are none.
    public init?(hexadecimal text: String) {
        let digits = text.compactMap(\.hexDigitValue).map { UInt8($0) }
        guard digits.count == 64, text.utf8.count == 64 else { return nil }
        let bytes = stride(from: 0, to: 64, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
        self = bytes.withUnsafeBytes { Digest($0) }
    }

    /// The digest of `bytes`.
    public init(of bytes: UnsafeRawBufferPointer) {
        var hash = SHA256()
        hash.update(bufferPointer: bytes)
        self = hash.finalize().withUnsafeBytes { Digest($0) }
    }

    /// The digest of the bytes of several buffers, one after the other.
    public init(of parts: [UnsafeRawBufferPointer]) {
        var hash = SHA256()
        for part in parts { hash.update(bufferPointer: part) }
        self = hash.finalize().withUnsafeBytes { Digest($0) }
    }

    /// Calls `body` with the 32 bytes.
    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try Swift.withUnsafeBytes(of: words, body)
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

    /// 64 lower-case hexadecimal digits.
    public var description: String {
        let words = [words.0, words.1, words.2, words.3]
        return words.map { hexadecimal($0.byteSwapped) }.joined()
    }

    /// Whether all 32 bytes are equal. Not in constant time: not for secrets.
    public static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    /// Feeds the first 16 bytes, which are as good as random already.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
    }
}

/// 16 lower-case hexadecimal digits.
func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
}

/// The state of the whole ledger in one line: so many batches, the next position, their root.
public struct TreeHead: Hashable, Sendable {
    /// The ledger whose state this is.
    public let ledger: LedgerID
    /// How many leaves (batches) the tree has.
    public let size: UInt64
    /// The next position to be given: every event below it is covered by `root`.
    public let position: Position
    /// The RFC 6962 root over all batches.
    public let root: Digest

    /// The state after `size` batches, with `position` the next to be given.
    public init(ledger: LedgerID, size: UInt64, position: Position, root: Digest) {
        precondition(position >= 0, "positions start at 0")
        self.ledger = ledger
        self.size = size
        self.position = position
        self.root = root
    }
}
