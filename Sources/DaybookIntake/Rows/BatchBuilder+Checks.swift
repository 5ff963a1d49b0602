import Avro
import DaybookCatalog

extension BatchBuilder {
    /// Applies a comparison between two columns of the open row, unless one of them has no value.
    mutating func compare(_ check: Check) throws(AvroDecodingError) {
        let left = spans[check.left]
        let right = spans[check.right]
        if left.isAbsent || right.isAbsent { return }
        let order = try order(plan.columns[check.left].kind, left, right)
        let holds =
            switch check.comparison {
            case .less: order < 0
            case .lessOrEqual: order <= 0
            case .equal: order == 0
            case .notEqual: order != 0
            case .greaterOrEqual: order >= 0
            case .greater: order > 0
            }
        if holds { return }
        let columns = plan.table.columns
        let other = columns[check.right].name
        reject(
            .checkFailed, column: columns[check.left].name,
            "it must be \(check.comparison.rawValue) \(other) of the same row")
    }

    /// Below zero, zero or above, as the left value is less, equal or greater. Both are of one
    /// type, decimals of one scale: the catalog sees to that.
    private func order(
        _ kind: ColumnPlan.Kind, _ left: ValueSpan, _ right: ValueSpan
    ) throws(AvroDecodingError) -> Int {
        var leftCursor = ByteCursor(bytes(left))
        var rightCursor = ByteCursor(bytes(right))
        switch kind {
        case .integer, .date, .timestamp:
            return sign(try leftCursor.readLong(), try rightCursor.readLong())
        case .number:
            return sign(try leftCursor.readDouble(), try rightCursor.readDouble())
        case .decimal:
            return sign(try leftCursor.readDecimal(), try rightCursor.readDecimal())
        case .boolean:
            return sign(try leftCursor.readBoolean() ? 1 : 0, try rightCursor.readBoolean() ? 1 : 0)
        case .string, .uuid:
            // The order of UTF-8's bytes is that of the Unicode scalars.
            let (left, right) = (try leftCursor.readBytes(), try rightCursor.readBytes())
            if left.elementsEqual(right) { return 0 }
            return left.lexicographicallyPrecedes(right) ? -1 : 1
        }
    }

    private func sign<T: Comparable>(_ left: T, _ right: T) -> Int {
        left < right ? -1 : left > right ? 1 : 0
    }

    private func bytes(_ span: ValueSpan) -> UnsafeRawBufferPointer {
        let start = rowStart + Int(span.start)
        return UnsafeRawBufferPointer(
            rebasing: encoded.unsafeBytes[start..<(rowStart + Int(span.end))])
    }
}

extension ByteCursor {
    /// A decimal's unscaled value from Avro `bytes`: two's complement, big-endian.
    mutating func readDecimal() throws(AvroDecodingError) -> Int128 {
        let bytes = try readBytes()
        guard bytes.count <= 16 else { throw .badLength(Int64(bytes.count)) }
        guard let first = bytes.first else { return 0 }
        var value: Int128 = first >= 0x80 ? -1 : 0
        for byte in bytes { value = value << 8 | Int128(byte) }
        return value
    }
}
