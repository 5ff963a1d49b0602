import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// What a snapshot of the keys says of itself.
///
/// Avro binary, closed by a SHA-256: version, ledger, position, tree size, root, fingerprint key,
/// and the sets. A snapshot is used only if all of it is as the log says.
struct SnapshotHead: Equatable {
    /// One set of keys.
    struct KeySet: Equatable {
        /// The constraint's name and the types of its columns; the idempotency keys' is empty.
        let name: String
        /// Names the set in the store; never used again for another set.
        let number: UInt32
        let isInteger: Bool
        /// Digest of the serialised bitmap; nil for fingerprints.
        var digest: Digest?
    }

    static let version: Int64 = 1

    /// The ledger up to which the sets hold all keys: the end of a block.
    var log: TreeHead
    /// The 16 bytes under which the fingerprints were taken.
    let fingerprintKey: [UInt8]
    var sets: [KeySet]
    /// How many fingerprints the store has.
    var fingerprintCount: Int64
    /// The number of the next set.
    var nextNumber: UInt32

    /// A snapshot of nothing, with a new fingerprint key.
    init(ledger: LedgerID) {
        let empty = MerkleFrontier()
        log = TreeHead(ledger: ledger, size: 0, position: 0, root: empty.root)
        var generator = SystemRandomNumberGenerator()
        fingerprintKey = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
        sets = []
        fingerprintCount = 0
        nextNumber = 0
    }

    /// Adds an empty set and gives its number.
    mutating func add(name: String, isInteger: Bool) -> UInt32 {
        let number = nextNumber
        nextNumber += 1
        sets.append(KeySet(name: name, number: number, isInteger: isInteger))
        return number
    }

    func serialize() -> [UInt8] {
        var sink = ByteSink()
        sink.append(long: Self.version)
        sink.append(littleEndian: log.ledger.high)
        sink.append(littleEndian: log.ledger.low)
        sink.append(long: Int64(log.size))
        sink.append(long: log.position)
        sink.append(raw: log.root.bytes)
        sink.append(raw: fingerprintKey)
        sink.append(long: fingerprintCount)
        sink.append(long: Int64(nextNumber))
        sink.append(long: Int64(sets.count))
        for set in sets {
            sink.append(string: set.name)
            sink.append(long: Int64(set.number))
            sink.append(boolean: set.isInteger)
            sink.append(bytes: set.digest?.bytes ?? [])
        }
        sink.append(raw: Digest(of: sink.unsafeBytes).bytes)
        return Array(sink.unsafeBytes)
    }

    /// Reads what `serialize` wrote; nil if it is anything else.
    init?(_ bytes: UnsafeRawBufferPointer) {
        let end = bytes.count - Digest.byteCount
        guard end > 0 else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        guard Digest(of: body) == Digest(UnsafeRawBufferPointer(rebasing: bytes[end...])) else {
            return nil
        }
        var cursor = ByteCursor(body)
        do { try self.init(reading: &cursor) } catch { return nil }
    }

    private init(reading cursor: inout ByteCursor) throws(AvroDecodingError) {
        let version = try cursor.readLong()
        guard version == Self.version else { throw .badIndex(version) }
        let high = try cursor.readLittleEndian(UInt64.self)
        let low = try cursor.readLittleEndian(UInt64.self)
        let size = try cursor.readLong()
        let position = try cursor.readLong()
        guard size >= 0, position >= 0 else { throw .badLength(min(size, position)) }
        log = TreeHead(
            ledger: LedgerID(high: high, low: low), size: UInt64(size), position: position,
            root: Digest(try cursor.readRaw(Digest.byteCount)))
        fingerprintKey = Array(try cursor.readRaw(16))
        fingerprintCount = try cursor.readLong()
        nextNumber = UInt32(truncatingIfNeeded: try cursor.readLong())
        sets = []
        for _ in 0..<(try cursor.readLong()) {
            let name = try cursor.readString()
            let number = UInt32(truncatingIfNeeded: try cursor.readLong())
            let isInteger = try cursor.readBoolean()
            let digest = try cursor.readBytes()
            sets.append(
                KeySet(
                    name: name, number: number, isInteger: isInteger,
                    digest: digest.count == Digest.byteCount ? Digest(digest) : nil))
        }
    }
}
