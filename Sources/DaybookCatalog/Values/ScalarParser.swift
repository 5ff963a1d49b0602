/// Values from their text: one pass over the bytes, nothing allocated on the usual path.
///
/// The text is exactly the value, without spaces around it. The numeric grammars are JSON's
/// (RFC 8259, section 6): no leading `+`, no leading zeros, a digit on both sides of a point.
public enum ScalarParser {
    /// A 64-bit integer: an optional `-` and digits.
    @inlinable public static func integer(
        _ text: UnsafeRawBufferPointer
    ) throws(ScalarFault) -> Int64 {
        var place = 0
        let count = text.count
        let isNegative = count > 0 && text[0] == UInt8(ascii: "-")
        if isNegative { place = 1 }
        let digitCount = count &- place
        guard digitCount > 0 else { throw .wrongType }
        if text[place] == UInt8(ascii: "0") && digitCount > 1 { throw .wrongType }
        guard digitCount <= 18 else { return try longInteger(text, from: place, isNegative) }
        var value: Int64 = 0
        while place < count {
            let digit = text[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { throw .wrongType }
            value = value &* 10 &+ Int64(digit)
            place &+= 1
        }
        return isNegative ? 0 &- value : value
    }

    /// Nineteen digits and more: the last that fit, or the proof that they do not.
    @usableFromInline static func longInteger(
        _ text: UnsafeRawBufferPointer, from start: Int, _ isNegative: Bool
    ) throws(ScalarFault) -> Int64 {
        var magnitude: UInt64 = 0
        for place in start..<text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            guard digit <= 9 else { throw .wrongType }
            // 19 digits always fit 64 bits without a sign; more are refused below.
            if place - start < 19 { magnitude = magnitude * 10 + UInt64(digit) }
        }
        guard text.count - start == 19 else { throw .outOfRange }
        if isNegative && magnitude == Int64.min.magnitude { return Int64.min }
        guard magnitude <= UInt64(Int64.max) else { throw .outOfRange }
        return isNegative ? -Int64(magnitude) : Int64(magnitude)
    }

    /// `true` or `false`.
    @inlinable public static func boolean(
        _ text: UnsafeRawBufferPointer
    ) throws(ScalarFault) -> Bool {
        if text.count == 4 && text.elementsEqual("true".utf8) { return true }
        if text.count == 5 && text.elementsEqual("false".utf8) { return false }
        throw .wrongType
    }

    /// A UUID of 36 characters in either case (RFC 9562, section 4), as its two halves.
    public static func uuid(
        _ text: UnsafeRawBufferPointer
    ) throws(ScalarFault) -> (high: UInt64, low: UInt64) {
        guard text.count == 36 else { throw .invalid }
        var halves: (high: UInt64, low: UInt64) = (0, 0)
        for place in 0..<36 {
            let byte = text[place]
            if place == 8 || place == 13 || place == 18 || place == 23 {
                guard byte == UInt8(ascii: "-") else { throw .invalid }
                continue
            }
            let nibble: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): nibble = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): nibble = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): nibble = byte - UInt8(ascii: "A") + 10
            default: throw .invalid
            }
            if place < 18 {
                halves.high = halves.high << 4 | UInt64(nibble)
            } else {
                halves.low = halves.low << 4 | UInt64(nibble)
            }
        }
        return halves
    }
}
