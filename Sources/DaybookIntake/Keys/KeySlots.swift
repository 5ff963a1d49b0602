import Avro
import DaybookCatalog

/// Where a column's value stands in a row's Avro bytes; empty where it is null or was wrong.
struct ValueSpan {
    var start: UInt32
    var end: UInt32

    /// No value. (Every value has at least one byte.)
    static var absent: ValueSpan { ValueSpan(start: 0, end: 0) }
    var isAbsent: Bool { start == end }
}

/// Computes the keys of a table's rows from their Avro bytes, at the door and on replay alike.
///
/// A single `integer` column gives its value. Anything else gives SipHash-2-4-128 over the encoded
/// values of the constraint's columns one after the other, under a key derived from the ledger's by
/// the constraint's name. Encodings are canonical (shortest decimals, lower-case UUIDs, no negative
/// zero), so equal values have equal bytes. A null among the values means that there is no key.
public struct KeySlots: Sendable {
    /// How one slot is made.
    private struct Recipe {
        let columns: [Int]
        let isInteger: Bool
        let key: FingerprintKey
    }

    private let recipes: [Recipe]
    /// Every column's type and whether it is a union with null, to walk a row.
    private let walk: [(type: ColumnType, isOptional: Bool)]

    /// The rules of `table`; `constraints` are those of its catalog.
    public init(table: Table, constraints: [KeyConstraint], key: FingerprintKey) {
        recipes = table.slots.map { slot in
            Recipe(
                columns: slot.columns, isInteger: slot.isInteger,
                key: key.derived(for: constraints[slot.constraint].name))
        }
        walk = table.columns.map { ($0.type, $0.isOptional) }
    }

    /// Appends the slots of the row at `row` and passes over it.
    ///
    /// Throws `AvroDecodingError` if the bytes are no row of this table.
    public func extract(
        _ row: inout ByteCursor, into slots: inout ContiguousArray<KeySlot>
    ) throws(AvroDecodingError) {
        let base = row.address
        let outcome = withUnsafeTemporaryAllocation(of: ValueSpan.self, capacity: walk.count) {
            spans in
            Result { () throws(AvroDecodingError) in
                for (index, column) in walk.enumerated() {
                    spans[index] = try Self.pass(&row, column.type, column.isOptional, base: base)
                }
                try append(base: base, spans: spans.baseAddress.unsafelyUnwrapped, to: &slots)
            }
        }
        try outcome.get()
    }

    /// Passes over one value.
    private static func pass(
        _ row: inout ByteCursor, _ type: ColumnType, _ isOptional: Bool, base: UnsafeRawPointer
    ) throws(AvroDecodingError) -> ValueSpan {
        if isOptional {
            let branch = try row.readLong()
            if branch == 0 { return .absent }
            guard branch == 1 else { throw .badIndex(branch) }
        }
        let start = row.address - base
        switch type {
        case .integer, .timestamp, .date: _ = try row.readLong()
        case .number: try row.skip(8)
        case .boolean: try row.skip(1)
        case .decimal, .string, .uuid: _ = try row.readBytes()
        }
        return ValueSpan(start: UInt32(start), end: UInt32(row.address - base))
    }

    /// Appends the slots of a row whose values stand at `spans` behind `base`.
    func append(
        base: UnsafeRawPointer, spans: UnsafePointer<ValueSpan>,
        to slots: inout ContiguousArray<KeySlot>
    ) throws(AvroDecodingError) {
        for recipe in recipes {
            if recipe.isInteger {
                let span = spans[recipe.columns[0]]
                if span.isAbsent {
                    slots.append(.absent)
                    continue
                }
                var cursor = ByteCursor(Self.bytes(span, base))
                slots.append(.integer(try cursor.readLong()))
            } else {
                slots.append(Self.fingerprint(recipe, base: base, spans: spans))
            }
        }
    }

    private static func bytes(
        _ span: ValueSpan, _ base: UnsafeRawPointer
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: base + Int(span.start), count: Int(span.end) - Int(span.start))
    }

    private static func fingerprint(
        _ recipe: Recipe, base: UnsafeRawPointer, spans: UnsafePointer<ValueSpan>
    ) -> KeySlot {
        var count = 0
        for column in recipe.columns {
            let span = spans[column]
            if span.isAbsent { return .absent }
            count += Int(span.end) - Int(span.start)
        }
        if recipe.columns.count == 1 {
            return slot(SipHash.hash(bytes(spans[recipe.columns[0]], base), key: recipe.key))
        }
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { memory in
            var place = 0
            for column in recipe.columns {
                let value = bytes(spans[column], base)
                UnsafeMutableRawBufferPointer(rebasing: memory[place...]).copyMemory(from: value)
                place += value.count
            }
            return slot(SipHash.hash(UnsafeRawBufferPointer(memory), key: recipe.key))
        }
    }

    private static func slot(_ hash: (low: UInt64, high: UInt64)) -> KeySlot {
        KeySlot(kind: .fingerprint, low: hash.low, high: hash.high)
    }
}
