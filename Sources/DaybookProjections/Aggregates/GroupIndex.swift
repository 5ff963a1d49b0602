import Avro
import Foundation

/// Numbers keys of bytes from 0 in the order in which they first come: an open-addressed hash table
/// over one buffer that holds all keys.
///
/// The hash multiplies and folds eight bytes at a time (the 128-bit product's halves, exclusive-or,
/// as in wyhash); it is keyed at random, so that nobody who sends rows can choose colliding ones.
struct GroupIndex: ~Copyable {
    private var keys = ByteSink(capacity: 4096)
    /// Where a key starts, and one past the last.
    private var starts: [Int] = [0]
    private var hashes: [UInt64] = []
    /// A key's number + 1, or 0: linear probing, at most half full.
    private var slots = [UInt32](repeating: 0, count: 1024)
    private let seed = UInt64.random(in: .min ... .max)

    /// How many keys there are.
    var count: Int { hashes.count }

    /// The number of `key`, and whether it is new.
    mutating func number(of key: UnsafeRawBufferPointer) -> (number: Int, isNew: Bool) {
        let hash = GroupIndex.hash(key, seed: seed)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let number = Int(slots[slot]) - 1
            if hashes[number] == hash, isEqual(number, key) { return (number, false) }
            slot = (slot + 1) & (slots.count - 1)
        }
        let number = count
        slots[slot] = UInt32(number + 1)
        hashes.append(hash)
        keys.append(raw: key)
        starts.append(keys.count)
        if count * 2 > slots.count { grow() }
        return (number, true)
    }

    /// Whether there is such a key.
    func contains(_ key: UnsafeRawBufferPointer) -> Bool {
        let hash = GroupIndex.hash(key, seed: seed)
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let number = Int(slots[slot]) - 1
            if hashes[number] == hash, isEqual(number, key) { return true }
            slot = (slot + 1) & (slots.count - 1)
        }
        return false
    }

    /// Calls `body` with the bytes of a key.
    func withKey<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        body(
            UnsafeRawBufferPointer(rebasing: keys.unsafeBytes[starts[number]..<starts[number + 1]]))
    }

    /// Forgets all keys.
    mutating func removeAll() {
        keys.removeAll()
        starts.removeSubrange(1...)
        hashes.removeAll(keepingCapacity: true)
        for slot in slots.indices { slots[slot] = 0 }
    }

    @inline(__always)
    private func isEqual(_ number: Int, _ key: UnsafeRawBufferPointer) -> Bool {
        let start = starts[number]
        guard starts[number + 1] - start == key.count, let known = keys.unsafeBytes.baseAddress,
            let wanted = key.baseAddress
        else { return false }
        return memcmp(known + start, wanted, key.count) == 0
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for number in hashes.indices {
            var slot = Int(truncatingIfNeeded: hashes[number]) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(number + 1)
        }
    }

    @inline(__always)
    private static func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        var hash = seed ^ UInt64(bytes.count)
        var place = 0
        while place + 8 <= bytes.count {
            hash = mix(hash ^ bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
            place += 8
        }
        var rest: UInt64 = 0
        while place < bytes.count {
            rest = rest << 8 | UInt64(bytes[place])
            place += 1
        }
        return mix(hash ^ rest)
    }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low ^ value &>> 32
    }
}
