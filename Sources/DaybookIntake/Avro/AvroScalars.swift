import Avro
import DaybookCatalog

/// Values of Avro's logical types as the interface writes them. Each function appends the text, or
/// nothing and says false where there is none: a time that no calendar day has, a number too large.
enum AvroScalars {
    /// The largest scale that a decimal's text has here. A column has at most 38 digits, so what
    /// is finer can be of none; it is treated as bytes, as is any unknown logical type.
    private static let scaleMax = 38

    /// The scale, if this is a decimal that is read as one.
    static func scale(_ logical: AvroLogicalType?) -> Int? {
        guard case .decimal(_, let scale) = logical, scale <= scaleMax else { return nil }
        return scale
    }

    /// Milliseconds as microseconds; nil beyond 64 bits.
    static func microseconds(_ milliseconds: Int64) -> Int64? {
        let (value, isTooLarge) = milliseconds.multipliedReportingOverflow(by: 1_000)
        return isTooLarge ? nil : value
    }

    static func isDay(_ days: Int64) -> Bool {
        days >= Int64(Civil.firstDay) && days <= Int64(Civil.lastDay)
    }

    static func isMoment(_ microseconds: Int64) -> Bool {
        microseconds >= Int64(Civil.firstDay) * Civil.microsecondsPerDay
            && microseconds < Int64(Civil.lastDay + 1) * Civil.microsecondsPerDay
    }

    static func append(days: Int64, to sink: inout ByteSink) -> Bool {
        guard isDay(days) else { return false }
        ScalarText.append(days: Int32(days), to: &sink)
        return true
    }

    static func append(microseconds: Int64, to sink: inout ByteSink) -> Bool {
        guard isMoment(microseconds) else { return false }
        ScalarText.append(microseconds: microseconds, to: &sink)
        return true
    }

    /// A decimal in two's complement, big-endian, with any number of bytes before its digits.
    static func append(
        decimal bytes: UnsafeRawBufferPointer, scale: Int, to sink: inout ByteSink
    ) -> Bool {
        let isNegative = (bytes.first ?? 0) >= 0x80
        let digits = bytes.drop { $0 == (isNegative ? 0xFF : 0) }
        guard digits.count <= 16 else { return false }
        var value: Int128 = isNegative ? -1 : 0
        for byte in digits { value = value << 8 | Int128(byte) }
        // With all sixteen bytes the sign may have been shifted out.
        guard (value < 0) == isNegative else { return false }
        ScalarText.append(decimal: value, scale: scale, to: &sink)
        return true
    }

    /// The 36 characters of a UUID from its 16 bytes.
    static func append(uuid bytes: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        precondition(bytes.count == 16, "a UUID has sixteen bytes")
        let high = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
        let low = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        ScalarText.append(uuidHigh: high, low: low, to: &sink)
    }

    /// Base64 with padding. Source: RFC 4648, section 4.
    static func append(base64 bytes: UnsafeRawBufferPointer, to sink: inout ByteSink) {
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let end = min(start + 3, bytes.count)
            var bits: UInt32 = 0
            for place in start..<(start + 3) {
                bits = bits << 8 | (place < end ? UInt32(bytes[place]) : 0)
            }
            for letter in 0..<4 {
                let isPadding = letter > end - start
                let index = UInt8(truncatingIfNeeded: bits >> UInt32(18 - 6 * letter)) & 63
                sink.append(byte: isPadding ? UInt8(ascii: "=") : base64Letter(index))
            }
        }
    }

    private static func base64Letter(_ index: UInt8) -> UInt8 {
        switch index {
        case 0..<26: UInt8(ascii: "A") + index
        case 26..<52: UInt8(ascii: "a") + index - 26
        case 52..<62: UInt8(ascii: "0") + index - 52
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }
}
