import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import Glibc

/// Where a constraint's columns stand in rows of one schema, and the key that they make.
///
/// Rows that an older dictionary judged have the key that they would have under this one: their
/// columns are found by name, read as the column's type of now, and a default stands for what they
/// lack, as it does when they become rows of the table (`RowResolution`).
struct KeyLayout: Sendable {
    /// How a value was written where it is not as the column would have it now.
    enum Conversion: Sendable {
        case none, integerAsNumber
        /// A decimal to which so many zeros are added.
        case rescaled(zeroCount: Int)
    }

    /// Where one column's value comes from.
    struct Source: Sendable {
        /// Place in the row; nil if the rows lack the column.
        let place: Int?
        let conversion: Conversion
        /// The encoded value that stands for a missing one; empty if a null has none.
        let fallback: [UInt8]
    }

    /// Place in `Catalog.constraints`.
    let constraint: Int
    let name: String
    let isInteger: Bool
    /// In the constraint's order.
    private let sources: [Source]
    /// The place of the only column, if its bytes are the key as they stand.
    private let plainPlace: Int?

    /// The layout of `constraint` in the rows that the dictionary in force judges: `columns` are
    /// places in them, in the constraint's order.
    init(constraint: KeyConstraint, columns: [Int]) {
        self.init(
            constraint,
            columns.map { Source(place: $0, conversion: .none, fallback: []) })
    }

    /// The layout of `constraint`, one of `table`'s, in rows that are read by `resolution`.
    init(_ constraint: KeyConstraint, of table: Table, by resolution: RowResolution) {
        let columns = constraint.columns.compactMap { name in
            table.columns.firstIndex { $0.name == name }
        }
        precondition(columns.count == constraint.columns.count, "a constraint's table has it")
        self.init(constraint, columns: columns, of: table, by: resolution)
    }

    /// The layout of the values in `table`'s `columns` by which its rows refer to `constraint`, in
    /// rows that are read by `resolution`.
    init(
        _ constraint: KeyConstraint, columns: [Int], of table: Table, by resolution: RowResolution
    ) {
        let sources = columns.map { index -> Source in
            let column = table.columns[index]
            var fallback = ByteSink()
            if !column.isOptional, let value = column.defaultValue { fallback.append(value: value) }
            let place = resolution.fieldOf[index]
            return Source(
                place: place,
                conversion: place.map {
                    Conversion(from: resolution.fields[$0].type, to: column.type)
                } ?? .none,
                fallback: Array(fallback.unsafeBytes))
        }
        self.init(constraint, sources)
    }

    private init(_ constraint: KeyConstraint, _ sources: [Source]) {
        self.constraint = constraint.index
        name = constraint.name
        isInteger = constraint.isInteger
        self.sources = sources
        let isPlain = sources.count == 1 && sources[0].isPlain
        plainPlace = isPlain ? sources[0].place : nil
    }

    /// Calls `body` with the key's bytes: the encoded values one after the other, without the
    /// branches of optional columns; nil if a value is null.
    func withKeyBytes<R>(
        of values: RowValues, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        if let plainPlace { return try body(values.bytes(plainPlace)) }
        var sink = ByteSink(capacity: 64)
        for source in sources {
            guard source.append(values, to: &sink) else { return try body(nil) }
        }
        return try body(sink.unsafeBytes)
    }

    /// Whether the row's key is `key`. With `scratch` kept from row to row nothing is allocated.
    func matches(
        _ values: RowValues, _ key: UnsafeRawBufferPointer, scratch: inout ByteSink
    ) -> Bool {
        if let plainPlace { return values.bytes(plainPlace).map { $0.isEqual(to: key) } ?? false }
        scratch.removeAll()
        for source in sources {
            guard source.append(values, to: &scratch) else { return false }
        }
        return scratch.unsafeBytes.isEqual(to: key)
    }

    /// The slot that intake makes of the same values (`KeySlots`).
    func slot(of values: RowValues, key: FingerprintKey) throws(AvroDecodingError) -> KeySlot {
        let result = withKeyBytes(of: values) { bytes in
            Result { () throws(AvroDecodingError) -> KeySlot in
                guard let bytes else { return .absent }
                guard isInteger else { return key.fingerprint(of: bytes, domain: name) }
                var cursor = ByteCursor(bytes)
                return .integer(try cursor.readLong())
            }
        }
        return try result.get()
    }
}

extension KeyLayout.Source {
    /// Whether the value's bytes are the key's as they stand.
    fileprivate var isPlain: Bool {
        guard place != nil, fallback.isEmpty, case .none = conversion else { return false }
        return true
    }

    /// Appends the value as the column of now encodes it; false for a null, and for what is no
    /// value of its type, which whoever reads the whole row reports.
    fileprivate func append(_ values: RowValues, to sink: inout ByteSink) -> Bool {
        guard let place, let bytes = values.bytes(place) else {
            sink.append(raw: fallback)
            return !fallback.isEmpty
        }
        var cursor = ByteCursor(bytes)
        switch conversion {
        case .none: sink.append(raw: bytes)
        case .integerAsNumber:
            guard let value = try? cursor.readLong() else { return false }
            sink.append(double: Double(value))
        case .rescaled(let zeroCount):
            guard let digits = try? cursor.readBytes(), (1...16).contains(digits.count) else {
                return false
            }
            var value: Int128 = digits[0] & 0x80 == 0 ? 0 : -1
            for byte in digits { value = value << 8 | Int128(byte) }
            for _ in 0..<zeroCount { value *= 10 }
            sink.append(decimal: value)
        }
        return true
    }
}

extension KeyLayout.Conversion {
    fileprivate init(from written: ColumnType, to type: ColumnType) {
        switch (written, type) {
        case (.integer, .number): self = .integerAsNumber
        case (.decimal(_, let old), .decimal(_, let new)) where old < new:
            self = .rescaled(zeroCount: new - old)
        default: self = .none
        }
    }
}

/// The layouts of a dictionary's constraints in the rows of any schema that the log has had; made
/// when a schema is met, and kept until another is.
struct KeyLayouts {
    private let catalog: Catalog
    private var schema: LogSchema?
    private var layouts: [[KeyLayout]] = []

    init(_ catalog: Catalog) { self.catalog = catalog }

    /// By branch. A table that the dictionary does not have, or whose rows cannot be read as its
    /// own, has no keys; whoever opens a ledger asks `Catalog.unreadable` before.
    mutating func of(_ schema: LogSchema) -> [[KeyLayout]] {
        if self.schema == schema { return layouts }
        self.schema = schema
        layouts = schema.records.map { record in
            guard let table = catalog.table(named: record.name.name),
                let resolution = try? RowResolution(record, table: table)
            else { return [] }
            return catalog.constraints.filter { $0.table == table.name }.map {
                KeyLayout($0, of: table, by: resolution)
            }
        }
        return layouts
    }
}

extension UnsafeRawBufferPointer {
    /// Whether both hold the same bytes. (`memcmp`)
    func isEqual(to other: UnsafeRawBufferPointer) -> Bool {
        guard count == other.count else { return false }
        guard let own = baseAddress, let others = other.baseAddress else { return true }
        return memcmp(own, others, count) == 0
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
        if ranges.count != shape.fields.count {
            ranges = ContiguousArray(repeating: nil, count: shape.fields.count)
        }
        // By index: a field taken out of the array would cost a count of its name's references.
        for place in shape.fields.indices {
            if shape.fields[place].isOptional {
                let branch = try cursor.readLong()
                if branch == 0 {
                    ranges[place] = nil
                    continue
                }
                guard branch == 1 else { throw .badIndex(branch) }
            }
            let from = cursor.address - start
            switch shape.fields[place].kind {
            case .varint: _ = try cursor.readLong()
            case .eightBytes: try cursor.skip(8)
            case .boolean: _ = try cursor.readBoolean()
            case .lengthPrefixed: _ = try cursor.readBytes()
            }
            ranges[place] = from..<(cursor.address - start)
        }
        row = UnsafeRawBufferPointer(start: start, count: cursor.address - start)
    }

    /// The encoded value of a column without its branch; nil for a null.
    func bytes(_ column: Int) -> UnsafeRawBufferPointer? {
        ranges[column].map { UnsafeRawBufferPointer(rebasing: row[$0]) }
    }
}
