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
    private let rules: KeyRules

    /// How many slots a row has.
    public var count: Int { rules.recipes.count }

    /// The rules of `table`; `constraints` are those of its catalog.
    public init(table: Table, constraints: [KeyConstraint], key: FingerprintKey) {
        rules = KeyRules(table, constraints, key)
    }

    /// Appends the slots of the row at `row` and passes over it.
    ///
    /// Throws `AvroDecodingError` if the bytes are no row of this table.
    public func extract(
        _ row: inout ByteCursor, into slots: inout ContiguousArray<KeySlot>
    ) throws(AvroDecodingError) {
        let base = row.address
        let walk = rules.walk
        let outcome = withUnsafeTemporaryAllocation(of: ValueSpan.self, capacity: walk.count) {
            spans in
            Result { () throws(AvroDecodingError) in
                for index in walk.indices {
                    spans[index] = try Self.pass(&row, walk[index], base: base)
                }
                try append(base: base, spans: spans.baseAddress.unsafelyUnwrapped, to: &slots)
            }
        }
        try outcome.get()
    }

    /// Passes over one value.
    @inline(__always)
    private static func pass(
        _ row: inout ByteCursor, _ step: KeyRules.Step, base: UnsafeRawPointer
    ) throws(AvroDecodingError) -> ValueSpan {
        if step.isOptional {
            let branch = try row.readLong()
            if branch == 0 { return .absent }
            guard branch == 1 else { throw .badIndex(branch) }
        }
        let start = row.address - base
        switch step.form {
        case .long: _ = try row.readLong()
        case .bytes: _ = try row.readBytes()
        case .double: try row.skip(8)
        case .boolean: try row.skip(1)
        }
        return ValueSpan(start: UInt32(start), end: UInt32(row.address - base))
    }

    /// Appends the slots of a row whose values stand at `spans` behind `base`.
    @inline(__always)
    func append(
        base: UnsafeRawPointer, spans: UnsafePointer<ValueSpan>,
        to slots: inout ContiguousArray<KeySlot>
    ) throws(AvroDecodingError) {
        let recipes = rules.recipes
        for index in recipes.indices {
            let span = spans[recipes[index].firstColumn]
            if span.isAbsent {
                slots.append(.absent)
            } else if recipes[index].isInteger {
                var cursor = ByteCursor(Self.bytes(span, base))
                slots.append(.integer(try cursor.readLong()))
            } else {
                slots.append(fingerprint(index, base: base, spans: spans))
            }
        }
    }

    private static func bytes(
        _ span: ValueSpan, _ base: UnsafeRawPointer
    ) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: base + Int(span.start), count: Int(span.end) - Int(span.start))
    }

    private func fingerprint(
        _ index: Int, base: UnsafeRawPointer, spans: UnsafePointer<ValueSpan>
    ) -> KeySlot {
        let recipe = rules.recipes[index]
        let columns = rules.columns[index]
        if columns.count == 1 {
            return slot(SipHash.hash(Self.bytes(spans[recipe.firstColumn], base), key: recipe.key))
        }
        var count = 0
        for column in columns {
            if spans[column].isAbsent { return .absent }
            count += Self.bytes(spans[column], base).count
        }
        return withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { memory in
            var place = 0
            for column in columns {
                let value = Self.bytes(spans[column], base)
                UnsafeMutableRawBufferPointer(rebasing: memory[place...]).copyMemory(from: value)
                place += value.count
            }
            return slot(SipHash.hash(UnsafeRawBufferPointer(memory), key: recipe.key))
        }
    }

    private func slot(_ hash: (low: UInt64, high: UInt64)) -> KeySlot {
        KeySlot(kind: .fingerprint, low: hash.low, high: hash.high)
    }
}

/// What `KeySlots` knows of a table, flat: it is asked for every row.
// @unchecked: what the pointers point to is written before `init` returns, never after, and freed
// in `deinit`.
private final class KeyRules: @unchecked Sendable {
    /// How one slot is made.
    struct Recipe {
        let firstColumn: Int
        let isInteger: Bool
        let key: FingerprintKey
    }

    /// How one value is passed over.
    struct Step {
        enum Form { case long, bytes, double, boolean }
        let form: Form
        let isOptional: Bool
    }

    let recipes: UnsafeMutableBufferPointer<Recipe>
    let walk: UnsafeMutableBufferPointer<Step>
    /// The columns of every slot.
    let columns: [[Int]]

    init(_ table: Table, _ constraints: [KeyConstraint], _ key: FingerprintKey) {
        columns = table.slots.map(\.columns)
        recipes = .allocate(capacity: table.slots.count)
        _ = recipes.initialize(
            from: table.slots.map { slot in
                Recipe(
                    firstColumn: slot.columns[0], isInteger: slot.isInteger,
                    key: key.derived(for: constraints[slot.constraint].name))
            })
        walk = .allocate(capacity: table.columns.count)
        _ = walk.initialize(
            from: table.columns.map {
                Step(form: Self.form($0.type), isOptional: $0.isOptional)
            })
    }

    deinit {
        recipes.deallocate()
        walk.deallocate()
    }

    private static func form(_ type: ColumnType) -> Step.Form {
        switch type {
        case .integer, .timestamp, .date: .long
        case .decimal, .string, .uuid: .bytes
        case .number: .double
        case .boolean: .boolean
        }
    }
}
