import Avro

/// A decimal from Avro's two's complement bytes to what `numeric_recv` takes: digits to base
/// 10,000.
///
/// Source: PostgreSQL, `src/backend/utils/adt/numeric.c`: number of digits, weight of the first,
/// sign, display scale, then the digits, each 16 bits. At most 38 decimal digits, so `Int128` holds
/// all.
enum NumericEncoding {
    /// Appends the length and the value of the unscaled integer in `bytes`, at `scale`.
    ///
    /// - Throws: `badLength` for more bytes than 38 digits take, or none.
    static func append(
        _ bytes: UnsafeRawBufferPointer, scale: Int, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        guard let first = bytes.first, bytes.count <= 16 else {
            throw .badLength(Int64(bytes.count))
        }
        var unscaled: Int128 = first & 0x80 == 0 ? 0 : -1
        for byte in bytes { unscaled = unscaled << 8 | Int128(byte) }
        append(unscaled: unscaled, scale: scale, to: &sink)
    }

    static func append(unscaled: Int128, scale: Int, to sink: inout ByteSink) {
        let isNegative = unscaled < 0
        // Dividing 128 bits is slow, and few amounts need them.
        if let magnitude = UInt64(exactly: unscaled.magnitude) {
            append(magnitude: magnitude, isNegative: isNegative, scale: scale, to: &sink)
        } else {
            append(magnitude: unscaled.magnitude, isNegative: isNegative, scale: scale, to: &sink)
        }
    }

    @inline(__always)
    private static func append<Magnitude: FixedWidthInteger & UnsignedInteger>(
        magnitude: Magnitude, isNegative: Bool, scale: Int, to sink: inout ByteSink
    ) {
        precondition(scale >= 0 && scale <= 38, "a scale is within the precision")
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 16) { groups in
            // The fraction is filled up with zeros to whole groups of four digits: the lowest group
            // has them at its end.
            let fractionGroupCount = (scale + 3) / 4
            let (power, divisor): (Magnitude, Magnitude) =
                switch fractionGroupCount * 4 - scale {
                case 0: (1, 10_000)
                case 1: (10, 1000)
                case 2: (100, 100)
                default: (1000, 10)
                }
            groups[0] = UInt16(magnitude % divisor * power)
            var rest = magnitude / divisor
            var count = 1
            while rest != 0 {
                groups[count] = UInt16(rest % 10_000)
                rest /= 10_000
                count += 1
            }
            var zeroCount = 0
            while zeroCount < count, groups[zeroCount] == 0 { zeroCount += 1 }
            let used = count - zeroCount
            sink.append(bigEndian: Int32(8 + 2 * used))
            sink.append(bigEndian: Int16(used))
            sink.append(bigEndian: Int16(used == 0 ? 0 : count - 1 - fractionGroupCount))
            sink.append(bigEndian: UInt16(isNegative ? 0x4000 : 0))
            sink.append(bigEndian: Int16(scale))
            for place in stride(from: count - 1, through: zeroCount, by: -1) {
                sink.append(bigEndian: groups[place])
            }
        }
    }
}

/// A `numeric` in its binary form back to its unscaled integer. Source: as for `NumericEncoding`.
enum NumericDecoding {
    /// The value times ten to the power of `scale`; the value has no more digits than that.
    static func unscaled(_ bytes: UnsafeRawBufferPointer, scale: Int) -> Int128 {
        func word(_ place: Int) -> Int {
            Int(Int16(bigEndian: bytes.loadUnaligned(fromByteOffset: place * 2, as: Int16.self)))
        }
        let count = word(0)
        let weight = word(1)
        let isNegative = word(2) == 0x4000
        precondition(bytes.count == 8 + 2 * count, "a numeric has the groups that it says")
        let fractionGroupCount = (scale + 3) / 4
        var value: Int128 = 0
        // From the first group to the last one that the scale reaches; groups that are zero at
        // either end are not there.
        let places = stride(
            from: max(weight, -fractionGroupCount), through: -fractionGroupCount, by: -1)
        for place in places {
            let index = weight - place
            let group = index < count ? Int128(word(4 + index)) : 0
            if place == -fractionGroupCount && fractionGroupCount > 0 {
                // The last group is filled up with zeros, which have no place in the result.
                let (factor, divisor): (Int128, Int128) =
                    switch fractionGroupCount * 4 - scale {
                    case 0: (10_000, 1)
                    case 1: (1000, 10)
                    case 2: (100, 100)
                    default: (10, 1000)
                    }
                value = value * factor + group / divisor
            } else {
                value = value * 10_000 + group
            }
        }
        return isNegative ? -value : value
    }
}
