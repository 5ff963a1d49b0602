/// Looks for bytes, eight at a time.
///
/// Source: the zero-in-word test of Mycroft (1987); the lowest byte it marks is always a true one.
enum ByteSearch {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// Marks the bytes of `word` that are zero, from the lowest up to the first certainly.
    @inline(__always)
    private static func zeros(_ word: UInt64) -> UInt64 { (word &- ones) & ~word & highs }

    @inline(__always)
    private static func word(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt64 {
        let start = bytes.baseAddress.unsafelyUnwrapped
        return UInt64(littleEndian: start.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }

    /// The place of the first comma or line feed of `from..<end`, or `end`.
    @inline(__always)
    static func commaOrFeed(
        _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Int {
        let commas = ones &* UInt64(UInt8(ascii: ","))
        let feeds = ones &* UInt64(UInt8(ascii: "\n"))
        var place = start
        while place &+ 8 <= end {
            let word = word(bytes, place)
            let found = zeros(word ^ commas) | zeros(word ^ feeds)
            if found != 0 { return place &+ found.trailingZeroBitCount / 8 }
            place &+= 8
        }
        while place < end {
            if bytes[place] == UInt8(ascii: ",") || bytes[place] == UInt8(ascii: "\n") { break }
            place &+= 1
        }
        return place
    }

    /// The place of the first `byte` of `from..<end`, or `end`.
    static func first(
        _ byte: UInt8, _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Int {
        let wanted = ones &* UInt64(byte)
        var place = start
        while place &+ 8 <= end {
            let found = zeros(word(bytes, place) ^ wanted)
            if found != 0 { return place &+ found.trailingZeroBitCount / 8 }
            place &+= 8
        }
        while place < end && bytes[place] != byte { place &+= 1 }
        return place
    }

    /// How many times `byte` stands in `from..<end`.
    static func count(
        _ byte: UInt8, _ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int
    ) -> Int {
        var count = 0
        var place = first(byte, bytes, from: start, to: end)
        while place < end {
            count += 1
            place = first(byte, bytes, from: place + 1, to: end)
        }
        return count
    }
}
