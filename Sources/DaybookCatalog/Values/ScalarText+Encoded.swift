import Avro

extension ScalarText {
    /// Appends the text of the value at `cursor`, which was encoded under `type`, and passes over
    /// it. Strings stand as they are, without quotes.
    public static func append(
        encoded type: ColumnType, from cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        switch type {
        case .integer: append(integer: try cursor.readLong(), to: &sink)
        case .number: append(number: try cursor.readDouble(), to: &sink)
        case .boolean: sink.append(raw: Array((try cursor.readBoolean() ? "true" : "false").utf8))
        case .string, .uuid: sink.append(raw: try cursor.readBytes())
        case .date:
            append(days: Int32(truncatingIfNeeded: try cursor.readLong()), to: &sink)
        case .timestamp: append(microseconds: try cursor.readLong(), to: &sink)
        case .decimal(_, let scale):
            let digits = try cursor.readBytes()
            guard let first = digits.first, digits.count <= 16 else {
                throw .badLength(Int64(digits.count))
            }
            var unscaled: Int128 = first & 0x80 == 0 ? 0 : -1
            for byte in digits { unscaled = unscaled << 8 | Int128(byte) }
            append(decimal: unscaled, scale: scale, to: &sink)
        }
    }
}
