import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Where a constraint's columns stand in rows of one shape, and the key that they make.
///
/// Shapes come from the log's schemas, so rows that an older dictionary judged are read as they
/// were written; columns are found by name. A row without one of the columns has no key.
struct KeyLayout: Sendable {
    /// Place in `Catalog.constraints`.
    let constraint: Int
    let name: String
    let isInteger: Bool
    /// Places of the columns in the row, in the constraint's order.
    let columns: [Int]

    /// The layout of `constraint` in rows of `shape`; nil if a column is missing.
    init?(_ constraint: KeyConstraint, in shape: RowShape) {
        var columns: [Int] = []
        for name in constraint.columns {
            guard let place = shape.fields.firstIndex(where: { $0.name == name }) else {
                return nil
            }
            columns.append(place)
        }
        self.constraint = constraint.index
        name = constraint.name
        isInteger = constraint.isInteger
        self.columns = columns
    }

    init(constraint: KeyConstraint, columns: [Int]) {
        self.constraint = constraint.index
        name = constraint.name
        isInteger = constraint.isInteger
        self.columns = columns
    }

    /// Calls `body` with the key's bytes: the encoded values one after the other, without the
    /// branches of optional columns; nil if a value is null.
    func withKeyBytes<R>(
        of values: RowValues, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        if columns.count == 1 { return try body(values.bytes(columns[0])) }
        var sink = ByteSink(capacity: 64)
        for column in columns {
            guard let value = values.bytes(column) else { return try body(nil) }
            sink.append(raw: value)
        }
        return try body(sink.unsafeBytes)
    }

    /// The slot that intake makes of the same values (`KeySlots`).
    func slot(of values: RowValues, key: FingerprintKey) throws(AvroDecodingError) -> KeySlot {
        if isInteger {
            guard let value = values.bytes(columns[0]) else { return .absent }
            var cursor = ByteCursor(value)
            return .integer(try cursor.readLong())
        }
        return withKeyBytes(of: values) { bytes in
            bytes.map { key.fingerprint(of: $0, domain: name) } ?? .absent
        }
    }
}

/// The values of one row as ranges of its bytes; reused from row to row.
struct RowValues {
    private var ranges: ContiguousArray<Range<Int>?> = []
    private var row = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Passes over the row at `cursor`. The values are good while the row's memory is.
    mutating func read(
        _ cursor: inout ByteCursor, shape: RowShape
    ) throws(AvroDecodingError) {
        let start = cursor.address
        ranges.removeAll(keepingCapacity: true)
        for field in shape.fields {
            if field.isOptional {
                let branch = try cursor.readLong()
                if branch == 0 {
                    ranges.append(nil)
                    continue
                }
                guard branch == 1 else { throw .badIndex(branch) }
            }
            let from = cursor.address - start
            switch field.kind {
            case .varint: _ = try cursor.readLong()
            case .eightBytes: try cursor.skip(8)
            case .boolean: _ = try cursor.readBoolean()
            case .lengthPrefixed: _ = try cursor.readBytes()
            }
            ranges.append(from..<(cursor.address - start))
        }
        row = UnsafeRawBufferPointer(start: start, count: cursor.address - start)
    }

    /// The encoded value of a column without its branch; nil for a null.
    func bytes(_ column: Int) -> UnsafeRawBufferPointer? {
        ranges[column].map { UnsafeRawBufferPointer(rebasing: row[$0]) }
    }
}
