import Avro

/// A decimal from Avro's two's complement bytes to what `numeric_recv` takes: digits to base 10,000.
///
/// Source: PostgreSQL, `src/backend/utils/adt/numeric.c`: number of digits, weight of the first, sign,
/// display scale, then the digits, each 16 bits. At most 38 decimal digits, so `Int128` holds all.
enum NumericEncoding {
    /// Appends the length and the value of the unscaled integer in `bytes`, at `scale`.
    static func append(
        _ bytes: UnsafeRawBufferPointer, scale: Int16, to sink: inout ByteSink
    ) {
        precondition(bytes.count <= 16, "a decimal of 38 digits fits 16 bytes")
        var unscaled: Int128 = (bytes.first ?? 0) & 0x80 == 0 ? 0 : -1
        for byte in bytes { unscaled = unscaled << 8 | Int128(byte) }
        append(unscaled: unscaled, scale: scale, to: &sink)
    }

    static func append(unscaled: Int128, scale: Int16, to sink: inout ByteSink) {
        precondition(scale >= 0, "a scale is never negative")
        var magnitude = unscaled.magnitude
        // The fraction is filled up with zeros to whole groups of four digits.
        let fractionGroups = (Int(scale) + 3) / 4
        let padding = fractionGroups * 4 - Int(scale)
        let padded = PaddedMagnitude(&magnitude, padding: padding)
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 16) { digits in
            var count = 0
            var first = padded.lowest
            var rest = padded.rest
            repeat {
                digits[count] = first
                count += 1
                first = UInt16(rest % 10_000)
                rest /= 10_000
            } while first != 0 || rest != 0
            var zeros = 0
            while zeros < count, digits[zeros] == 0 { zeros += 1 }
            let used = count - zeros
            sink.append(bigEndian: Int32(8 + 2 * used))
            sink.append(bigEndian: Int16(used))
            sink.append(bigEndian: Int16(used == 0 ? 0 : count - 1 - fractionGroups))
            sink.append(bigEndian: UInt16(unscaled < 0 ? 0x4000 : 0))
            sink.append(bigEndian: scale)
            for place in stride(from: count - 1, through: zeros, by: -1) {
                sink.append(bigEndian: digits[place])
            }
        }
    }

    /// A magnitude times 10^padding, as its lowest group and the rest: the product may not fit.
    private struct PaddedMagnitude {
        let lowest: UInt16
        let rest: UInt128

        init(_ magnitude: inout UInt128, padding: Int) {
            precondition(padding >= 0 && padding < 4, "less than a group is filled up")
            let powers: [UInt128] = [1, 10, 100, 1000]
            let power = powers[padding]
            let divisor = 10_000 / power
            lowest = UInt16((magnitude % divisor) * power)
            rest = magnitude / divisor
        }
    }
}
