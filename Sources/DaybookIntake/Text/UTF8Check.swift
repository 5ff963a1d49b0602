/// Questions about UTF-8 text that stands in bytes.
enum UTF8Check {
    /// How many Unicode scalars valid UTF-8 has: the bytes that continue none.
    static func scalarCount(_ bytes: UnsafeRawBufferPointer) -> Int {
        var count = 0
        for byte in bytes where byte & 0xC0 != 0x80 { count &+= 1 }
        return count
    }

    /// Whether the bytes are ASCII without NUL: eight at a time, the usual case.
    static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let high: UInt64 = 0x8080_8080_8080_8080
        let ones: UInt64 = 0x0101_0101_0101_0101
        var place = 0
        while place &+ 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            // The borrow of a subtraction reaches bit 7 of a byte that was zero.
            if (word | (word &- ones)) & high != 0 { return false }
            place &+= 8
        }
        while place < bytes.count {
            if bytes[place] &- 1 >= 0x7F { return false }
            place &+= 1
        }
        return true
    }

    /// Whether the bytes are well-formed UTF-8 (Unicode 16, table 3-7).
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }
}
