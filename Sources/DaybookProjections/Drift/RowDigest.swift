/// What a set of rows amounts to, whatever their order: the sum of the rows' hashes.
///
/// Source: the additive multiset hash of Clarke, Devadas, van Dijk, Gassend and Suh, "Incremental
/// Multiset Hash Functions and Their Application to Memory Integrity Checking" (2003). Two values
/// exchanged between two rows make two other hashes, so that nothing cancels as it does in a sum of
/// values.
public struct RowDigest: Sendable, Hashable, CustomStringConvertible {
    /// How many rows there are.
    public private(set) var rowCount = 0
    /// The sum of their hashes, modulo 2^128.
    public private(set) var sum: UInt128 = 0

    /// Nothing yet.
    public init() {}

    /// A digest that was kept; nil if `text` is not what `description` gives.
    public init?(rowCount: Int, text: String) {
        guard rowCount >= 0, text.utf8.count == 32, let sum = UInt128(text, radix: 16) else {
            return nil
        }
        self.rowCount = rowCount
        self.sum = sum
    }

    /// Adds a row as it stands in a binary COPY, its columns in the order of the table's layout.
    public mutating func add(row bytes: UnsafeRawBufferPointer, key: RowHashKey) {
        add(RowHash.hash(bytes, key: key))
    }

    mutating func add(_ hash: UInt128) {
        rowCount += 1
        sum &+= hash
    }

    mutating func add(_ other: RowDigest) {
        rowCount += other.rowCount
        sum &+= other.sum
    }

    /// The sum as 32 hexadecimal digits.
    public var description: String {
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }
}

/// The digests of one side, kept apart by the hash of the rows' keys: two sides that differ in one
/// row differ in one bucket or two, and only those are looked at again.
final class BucketDigests {
    struct Bucket {
        var digest = RowDigest()
        var byteCount = 0
    }

    static let count = 4096
    private(set) var buckets = [Bucket](repeating: Bucket(), count: count)

    /// The bucket of the rows with a key of that hash.
    static func bucket(ofKey hash: UInt128) -> Int {
        Int(truncatingIfNeeded: hash) & (count - 1)
    }

    func add(_ row: RowScanner.Row) {
        let bucket = BucketDigests.bucket(ofKey: row.keyHash)
        buckets[bucket].digest.add(row.hash)
        buckets[bucket].byteCount += row.bytes.count
    }

    /// The digest of all rows.
    var total: RowDigest {
        buckets.reduce(into: RowDigest()) { $0.add($1.digest) }
    }
}
