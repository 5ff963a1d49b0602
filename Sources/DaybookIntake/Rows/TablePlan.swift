import Avro
import DaybookCatalog

/// A table's rules made ready for judging: flat, and shared by all that judge its rows.
final class TablePlan: Sendable {
    /// A name under which rows may have a column.
    struct Name: Sendable {
        let start: Int
        let count: Int
        let column: Int
    }

    let table: Table
    let columns: ContiguousArray<ColumnPlan>
    /// The columns' own names first, in order, then the aliases.
    let names: ContiguousArray<Name>
    /// The text of all names.
    let nameBytes: Bytes
    /// For each column the default as Avro bytes, without a union's branch; empty if it has none.
    let defaults: [[UInt8]]
    /// For each column the Avro bytes of the values it may have; equal values have equal bytes.
    let allowed: [[[UInt8]]]
    let slots: KeySlots
    /// The branch number and what else stands before every row.
    let prefix: [UInt8]

    init(table: Table, constraints: [KeyConstraint], key: FingerprintKey) {
        self.table = table
        columns = ContiguousArray(table.columns.map(ColumnPlan.init))
        var text = ByteSink()
        var names = ContiguousArray<Name>()
        let own = table.columns.enumerated().map { ($0.offset, $0.element.name) }
        let aliases = table.columns.enumerated().flatMap { index, column in
            column.aliases.map { (index, $0) }
        }
        for (column, name) in own + aliases {
            names.append(Name(start: text.count, count: name.utf8.count, column: column))
            text.append(raw: Array(name.utf8))
        }
        self.names = names
        nameBytes = text.finish()
        defaults = table.columns.map { $0.defaultValue.map(Self.encoded) ?? [] }
        allowed = table.columns.map { ($0.oneOf ?? []).map(Self.encoded) }
        slots = KeySlots(table: table, constraints: constraints, key: key)
        prefix = Self.encoded(.integer(Int64(table.index)))
    }

    private static func encoded(_ value: ScalarValue) -> [UInt8] {
        var sink = ByteSink()
        sink.append(value: value)
        return Array(sink.unsafeBytes)
    }

    /// Whether the name at `index` is `bytes`.
    @inline(__always)
    func isName(_ index: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
        let name = names[index]
        guard name.count == bytes.count, let other = bytes.baseAddress else { return false }
        let own = UnsafeRawPointer(nameBytes.base(name.start))
        return areEqual(own, other, count: name.count)
    }

    /// The column that rows call `bytes`, if there is one; the one at `guess` is tried first.
    @inline(__always)
    func column(named bytes: UnsafeRawBufferPointer, guess: Int) -> Int? {
        if guess < columns.count && isName(guess, bytes) { return guess }
        return search(bytes)
    }

    private func search(_ bytes: UnsafeRawBufferPointer) -> Int? {
        for index in names.indices where isName(index, bytes) { return names[index].column }
        return nil
    }
}

extension Bytes {
    /// The address of a byte, while the bytes are alive.
    @inline(__always)
    fileprivate func base(_ place: Int) -> UnsafeRawPointer {
        unsafeBytes.baseAddress.unsafelyUnwrapped + place
    }
}

/// Whether two runs of `count` bytes are equal: whole words, the last one overlapping. For names a
/// call of memcmp costs more than the comparison.
@inline(__always)
private func areEqual(_ left: UnsafeRawPointer, _ right: UnsafeRawPointer, count: Int) -> Bool {
    @inline(__always)
    func agree<T: FixedWidthInteger>(_ type: T.Type, at place: Int) -> Bool {
        left.loadUnaligned(fromByteOffset: place, as: T.self)
            == right.loadUnaligned(fromByteOffset: place, as: T.self)
    }
    if count >= 8 {
        var place = 0
        while place &+ 8 < count {
            if !agree(UInt64.self, at: place) { return false }
            place &+= 8
        }
        return agree(UInt64.self, at: count &- 8)
    }
    if count >= 4 { return agree(UInt32.self, at: 0) && agree(UInt32.self, at: count &- 4) }
    if count >= 2 { return agree(UInt16.self, at: 0) && agree(UInt16.self, at: count &- 2) }
    return count == 0 || agree(UInt8.self, at: 0)
}
