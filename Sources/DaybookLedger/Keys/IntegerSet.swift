import Avro
import CRoaring

/// A set of 64-bit integers, owned by one thread, as a roaring bitmap: two bits and less a value
/// where keys are dense.
///
/// Source: Lemire et al., "Roaring Bitmaps: Implementation of an Optimized Software Library"
/// (2018); serialised in the Roaring specification's portable form, 64-bit extension.
final class IntegerSet {
    private let set: OpaquePointer

    /// The empty set.
    init() {
        guard let set = dbr_create() else {
            preconditionFailure("there is memory for a set of keys")
        }
        self.set = set
    }

    /// Reads what `serialize` wrote; nil if the bytes are anything else.
    init?(_ bytes: UnsafeRawBufferPointer) {
        let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        guard let set = dbr_read(start, bytes.count) else { return nil }
        self.set = set
    }

    deinit { dbr_free(set) }

    var count: Int { Int(dbr_count(set)) }

    func contains(_ value: UInt64) -> Bool { dbr_contains(set, value) }

    /// Adds a value; whether it was new.
    func insert(_ value: UInt64) -> Bool { dbr_add(set, value) }

    /// Removes a value; whether it was there.
    func remove(_ value: UInt64) -> Bool { dbr_remove(set, value) }

    /// The set in its portable form.
    func serialize() -> Bytes {
        let count = dbr_prepare(set)
        var sink = ByteSink(capacity: count)
        sink.append(capacity: count) { room in
            dbr_write(set, room.baseAddress?.assumingMemoryBound(to: UInt8.self))
            return count
        }
        return sink.finish()
    }
}
