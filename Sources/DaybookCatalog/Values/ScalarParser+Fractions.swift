extension ScalarParser {
    /// A finite double, rounded to the nearest as IEEE 754 asks; `-0` becomes `0`.
    ///
    /// A mantissa below 2^53 with a power of ten up to 22 needs one exact operation (Clinger,
    /// "How to read floating point numbers accurately", 1990); the rest goes to the library.
    public static func number(_ text: UnsafeRawBufferPointer) throws(ScalarFault) -> Double {
        guard let decimal = DecimalText(text) else { throw .wrongType }
        let value: Double
        if decimal.isExact && decimal.mantissa <= 1 << 53 && abs(decimal.exponent) <= 22 {
            let mantissa = Double(decimal.mantissa)
            let power = powersOfTen[abs(decimal.exponent)]
            value = decimal.exponent < 0 ? mantissa / power : mantissa * power
            return decimal.isNegative && value != 0 ? -value : value
        }
        guard let parsed = Double(String(decoding: text, as: UTF8.self)), parsed.isFinite else {
            throw .outOfRange
        }
        return parsed == 0 ? 0 : parsed
    }

    /// A decimal number without an exponent, as a multiple of 10^-`scale`. Zeros behind the last
    /// place that `scale` has are allowed; other digits there, or too many before the point, are
    /// `outOfRange`.
    public static func decimal(
        _ text: UnsafeRawBufferPointer, precision: Int, scale: Int
    ) throws(ScalarFault) -> Int128 {
        precondition(
            precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision,
            "a decimal has 1 to 38 digits, of which `scale` stand behind the point")
        guard let shape = DecimalText(text), !shape.hasExponent else { throw .invalid }
        let whole = shape.whole
        let isWholeZero = whole.count == 1 && text[whole.lowerBound] == UInt8(ascii: "0")
        if !isWholeZero && whole.count > precision - scale { throw .outOfRange }
        var unscaled: Int128 = 0
        for place in whole { unscaled = unscaled * 10 + Int128(text[place] - UInt8(ascii: "0")) }
        let kept = shape.fraction.prefix(scale)
        for place in kept { unscaled = unscaled * 10 + Int128(text[place] - UInt8(ascii: "0")) }
        for place in shape.fraction.dropFirst(scale) where text[place] != UInt8(ascii: "0") {
            throw .outOfRange
        }
        for _ in kept.count..<scale { unscaled *= 10 }
        return shape.isNegative ? -unscaled : unscaled
    }

    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    ]
}

/// The parts of a number written by JSON's grammar.
private struct DecimalText {
    var isNegative = false
    /// Places of the digits before the point, and of those behind it.
    var whole = 0..<0
    var fraction = 0..<0
    var hasExponent = false
    /// The first 19 significant digits as an integer.
    var mantissa: UInt64 = 0
    /// The power of ten by which the mantissa is multiplied, if it is exact.
    var exponent = 0
    /// Whether the mantissa holds every digit.
    var isExact = true

    /// Nil if the text is not a number.
    init?(_ text: UnsafeRawBufferPointer) {
        var place = 0
        if place < text.count && text[place] == UInt8(ascii: "-") {
            isNegative = true
            place += 1
        }
        whole = digits(text, from: place)
        if whole.isEmpty { return nil }
        if whole.count > 1 && text[whole.lowerBound] == UInt8(ascii: "0") { return nil }
        place = whole.upperBound
        fraction = place..<place
        if place < text.count && text[place] == UInt8(ascii: ".") {
            fraction = digits(text, from: place + 1)
            if fraction.isEmpty { return nil }
            place = fraction.upperBound
        }
        exponent = -fraction.count
        if place < text.count && text[place] | 0x20 == UInt8(ascii: "e") {
            hasExponent = true
            guard let end = readExponent(text, from: place + 1) else { return nil }
            place = end
        }
        if place != text.count { return nil }
    }

    /// Passes over digits and takes them into the mantissa.
    private mutating func digits(_ text: UnsafeRawBufferPointer, from start: Int) -> Range<Int> {
        var place = start
        while place < text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            if digit > 9 { break }
            if mantissa < 1_000_000_000_000_000_000 {
                mantissa = mantissa &* 10 &+ UInt64(digit)
            } else {
                isExact = false
            }
            place += 1
        }
        return start..<place
    }

    /// Adds the exponent behind `e`; its end, or nil if there are no digits.
    private mutating func readExponent(_ text: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var place = start
        var isDown = false
        if place < text.count, text[place] == UInt8(ascii: "-") || text[place] == UInt8(ascii: "+")
        {
            isDown = text[place] == UInt8(ascii: "-")
            place += 1
        }
        let first = place
        var value = 0
        while place < text.count {
            let digit = text[place] &- UInt8(ascii: "0")
            if digit > 9 { break }
            value = min(value * 10 + Int(digit), 1_000_000)
            place += 1
        }
        if place == first { return nil }
        exponent += isDown ? -value : value
        return place
    }
}
