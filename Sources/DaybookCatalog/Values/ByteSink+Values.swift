import Avro

extension ByteSink {
    /// Appends a value as Avro's binary encoding has it, in one form for every value.
    public mutating func append(value: ScalarValue) {
        switch value {
        case .integer(let value): append(long: value)
        case .number(let value): append(double: value)
        case .decimal(let unscaled): append(decimal: unscaled)
        case .boolean(let value): append(boolean: value)
        case .string(let text): append(string: text)
        case .date(let days): append(long: Int64(days))
        case .timestamp(let microseconds): append(long: microseconds)
        case .uuid(let high, let low):
            append(long: 36)
            ScalarText.append(uuidHigh: high, low: low, to: &self)
        }
    }

    /// Appends a decimal's unscaled value as Avro `bytes`: two's complement, big-endian, as short
    /// as it can be.
    public mutating func append(decimal unscaled: Int128) {
        // The bits that say more than the sign, and one for the sign itself.
        let significant = unscaled < 0 ? ~unscaled : unscaled
        let count = (128 - significant.leadingZeroBitCount) / 8 + 1
        append(long: Int64(count))
        for index in stride(from: count - 1, through: 0, by: -1) {
            append(byte: UInt8(truncatingIfNeeded: unscaled >> Int128(index * 8)))
        }
    }
}
