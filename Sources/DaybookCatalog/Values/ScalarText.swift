import Avro

/// The text of values, as answers, files and the dictionary's canonical form show them. What is
/// written here is read back to the same value by `ScalarParser`.
public enum ScalarText {
    /// A 64-bit integer in decimal digits.
    public static func append(integer value: Int64, to sink: inout ByteSink) {
        if value < 0 { sink.append(byte: UInt8(ascii: "-")) }
        appendDigits(UInt128(value.magnitude), width: 1, to: &sink)
    }

    /// The shortest digits that give the same double again.
    public static func append(number value: Double, to sink: inout ByteSink) {
        precondition(value.isFinite, "a number is finite")
        var text = value.description
        text.withUTF8 { sink.append(raw: UnsafeRawBufferPointer($0)) }
    }

    /// A decimal with exactly `scale` digits behind the point.
    public static func append(
        decimal unscaled: Int128, scale: Int, to sink: inout ByteSink
    ) {
        if unscaled < 0 { sink.append(byte: UInt8(ascii: "-")) }
        var power: UInt128 = 1
        for _ in 0..<scale { power *= 10 }
        let (whole, fraction) = unscaled.magnitude.quotientAndRemainder(dividingBy: power)
        appendDigits(whole, width: 1, to: &sink)
        guard scale > 0 else { return }
        sink.append(byte: UInt8(ascii: "."))
        appendDigits(fraction, width: scale, to: &sink)
    }

    /// `2021-11-07`.
    public static func append(days: Int32, to sink: inout ByteSink) {
        let date = Civil.date(days: Int(days))
        appendDigits(UInt128(date.year), width: 4, to: &sink)
        sink.append(byte: UInt8(ascii: "-"))
        appendDigits(UInt128(date.month), width: 2, to: &sink)
        sink.append(byte: UInt8(ascii: "-"))
        appendDigits(UInt128(date.day), width: 2, to: &sink)
    }

    /// `2021-11-07T02:48:42Z`, with up to 6 digits behind the second where it has them.
    public static func append(microseconds: Int64, to sink: inout ByteSink) {
        let perDay = Civil.microsecondsPerDay
        let remainder = microseconds % perDay
        let ofDay = remainder < 0 ? remainder + perDay : remainder
        append(days: Int32((microseconds - ofDay) / perDay), to: &sink)
        let second = ofDay / 1_000_000
        let parts = [second / 3_600, second / 60 % 60, second % 60]
        for (part, before) in zip(parts, "T::".utf8) {
            sink.append(byte: before)
            appendDigits(UInt128(part), width: 2, to: &sink)
        }
        var fraction = ofDay % 1_000_000
        if fraction > 0 {
            var width = 6
            while fraction % 10 == 0 {
                fraction /= 10
                width -= 1
            }
            sink.append(byte: UInt8(ascii: "."))
            appendDigits(UInt128(fraction), width: width, to: &sink)
        }
        sink.append(byte: UInt8(ascii: "Z"))
    }

    /// The 36 characters of a UUID in lower case.
    public static func append(uuidHigh high: UInt64, low: UInt64, to sink: inout ByteSink) {
        var shift: UInt64 = 64
        for place in 0..<36 {
            if place == 8 || place == 13 || place == 18 || place == 23 {
                sink.append(byte: UInt8(ascii: "-"))
                if place == 18 { shift = 64 }
                continue
            }
            shift -= 4
            let nibble = UInt8(truncatingIfNeeded: (place < 18 ? high : low) >> shift) & 0xF
            sink.append(byte: nibble < 10 ? nibble + UInt8(ascii: "0") : nibble - 10 + 0x61)
        }
    }

    /// Decimal digits, with zeros before them up to `width`.
    private static func appendDigits(_ value: UInt128, width: Int, to sink: inout ByteSink) {
        var digitCount = 1
        var power: UInt128 = 1
        while digitCount < width || value / power >= 10 {
            power *= 10
            digitCount += 1
        }
        var rest = value
        for _ in 0..<digitCount {
            sink.append(byte: UInt8(ascii: "0") + UInt8(rest / power))
            rest %= power
            power /= 10
        }
    }
}
