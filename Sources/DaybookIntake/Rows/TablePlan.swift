import Avro
import DaybookCatalog

/// A table's rules made ready for judging: flat, and shared by all that judge its rows.
// @unchecked: what the pointers point to is written before `init` returns, never after, and freed
// in `deinit`. They stand for arrays because a row must not count references to its own rules.
final class TablePlan: @unchecked Sendable {
    /// A name under which rows may have a column.
    struct Name {
        let start: UnsafeRawPointer
        let count: Int
        let column: Int
    }

    let table: Table
    let columns: UnsafeBufferPointer<ColumnPlan>
    /// The columns' own names first, in order, then the aliases.
    let names: UnsafeBufferPointer<Name>
    /// The text of all names.
    private let nameBytes: Bytes
    /// For each column the default as Avro bytes, without a union's branch; empty if it has none.
    let defaults: [[UInt8]]
    /// For each column the Avro bytes of the values it may have; equal values have equal bytes.
    let allowed: [[[UInt8]]]
    let slots: KeySlots
    /// The branch number that stands before every row, and how many bytes it takes.
    let branch: Int64
    let branchByteCount: Int
    let hasChecks: Bool

    init(table: Table, constraints: [KeyConstraint], key: FingerprintKey) {
        self.table = table
        columns = Self.memory(table.columns.map(ColumnPlan.init))
        let own = table.columns.enumerated().map { ($0.offset, $0.element.name) }
        let aliases = table.columns.enumerated().flatMap { index, column in
            column.aliases.map { (index, $0) }
        }
        let text = (own + aliases).map(\.1).joined()
        nameBytes = Bytes(Array(text.utf8))
        var next = nameBytes.unsafeBytes.baseAddress.unsafelyUnwrapped
        names = Self.memory(
            (own + aliases).map { column, name in
                defer { next += name.utf8.count }
                return Name(start: next, count: name.utf8.count, column: column)
            })
        defaults = table.columns.map { $0.defaultValue.map(Self.encoded) ?? [] }
        allowed = table.columns.map { ($0.oneOf ?? []).map(Self.encoded) }
        slots = KeySlots(table: table, constraints: constraints, key: key)
        branch = Int64(table.index)
        branchByteCount = Self.encoded(.integer(branch)).count
        hasChecks = !table.checks.isEmpty
    }

    deinit {
        columns.deallocate()
        names.deallocate()
    }

    private static func memory<T: BitwiseCopyable>(_ values: [T]) -> UnsafeBufferPointer<T> {
        let memory = UnsafeMutableBufferPointer<T>.allocate(capacity: values.count)
        _ = memory.initialize(from: values)
        return UnsafeBufferPointer(memory)
    }

    private static func encoded(_ value: ScalarValue) -> [UInt8] {
        var sink = ByteSink()
        sink.append(value: value)
        return Array(sink.unsafeBytes)
    }

    /// The column that rows call `bytes`, if there is one; the one at `guess` is tried first.
    @inline(__always)
    func column(named bytes: UnsafeRawBufferPointer, guess: Int) -> Int? {
        if guess < columns.count && names[guess].isName(bytes) { return guess }
        return search(bytes)
    }

    private func search(_ bytes: UnsafeRawBufferPointer) -> Int? {
        for name in names where name.isName(bytes) { return name.column }
        return nil
    }
}

extension TablePlan.Name {
    /// Whether this is the name that `bytes` spells.
    @inline(__always)
    fileprivate func isName(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard count == bytes.count, let other = bytes.baseAddress else { return false }
        return areEqual(start, other, count: count)
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
