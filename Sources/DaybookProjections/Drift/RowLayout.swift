import DaybookCatalog
import Postgres

/// The columns of the rows that are compared, in the order in which both sides give them, and which
/// of them tell rows apart.
public struct RowLayout: Sendable {
    /// One column.
    public struct Column: Sendable, Hashable {
        /// Its name in Postgres.
        public let name: String
        /// Its type in Postgres, to which the table's values are cast.
        let sqlType: String
        let form: CellForm
        /// Whether it may be null.
        let isOptional: Bool
    }

    /// All columns; those of a table end with `ledger_position`.
    public let columns: [Column]
    /// The places of the key's columns, in key order.
    public let key: [Int]
    /// The place of the column that names the event of the row, if there is one.
    let position: Int?

    /// The rows of a table: the dictionary's columns, then `ledger_position`, which is the key of
    /// an append-only table. With `names` only those of them, which include the key: two tables
    /// that do not have the same columns are compared by what they share.
    public init(_ table: Table, only names: Set<String>? = nil) {
        let all = table.columns.map {
            Column(
                name: $0.name, sqlType: $0.type.sqlType, form: CellForm($0.type),
                isOptional: $0.isOptional)
        }
        let position = Column(
            name: Table.positionColumn, sqlType: "bigint", form: .integer, isOptional: false)
        let key = table.key.isEmpty ? [position.name] : table.key.map { table.columns[$0].name }
        let columns = (all + [position]).filter { names?.contains($0.name) ?? true }
        self.columns = columns
        self.key = key.map { name in
            guard let place = columns.firstIndex(where: { $0.name == name }) else {
                preconditionFailure("rows are compared by their key, so both sides have it")
            }
            return place
        }
        self.position = columns.firstIndex(of: position)
    }

    /// The rows of an aggregate, whose groups are its key: the columns that are written, and not
    /// those that Postgres computes from them.
    init(_ plan: AggregatePlan) {
        columns = plan.writtenColumns.map {
            Column(
                name: $0.name, sqlType: $0.sqlType,
                form: $0.type.map(CellForm.init) ?? .numeric(scale: nil),
                isOptional: $0.isOptional)
        }
        key = Array(plan.groups.indices)
        position = nil
    }
}

extension RowLayout {
    /// All columns, for SQL.
    var columnList: String {
        columns.map { SQL.identifier($0.name) }.joined(separator: ", ")
    }

    /// The condition that rows `left` and `right` have one key, nulls being equal. Written so that
    /// Postgres can join by a hash.
    func keysMatch(_ left: String, _ right: String) -> String {
        let conditions = key.map { place in
            let column = columns[place]
            let name = SQL.identifier(column.name)
            guard column.isOptional else { return "\(left).\(name) = \(right).\(name)" }
            let any = "\(column.form.anyValue)::\(column.sqlType)"
            return "(\(left).\(name) IS NULL) = (\(right).\(name) IS NULL)"
                + " AND coalesce(\(left).\(name), \(any)) = coalesce(\(right).\(name), \(any))"
        }
        return conditions.joined(separator: " AND ")
    }
}

/// A row in Postgres's binary COPY format: a count of fields in 16 bits, then each field's length
/// in 32 bits, -1 for null, and its bytes.
enum BinaryRow {
    /// Finds where a row's fields stand, each with its length before it: field `i` is from
    /// `ends[i]` to `ends[i + 1]`. `ends` has room for one more than there are fields.
    static func locate(
        _ row: UnsafeRawBufferPointer, _ fieldCount: Int, _ ends: UnsafeMutableBufferPointer<Int>
    ) throws(DriftError) {
        var place = 2
        guard row.count >= 2,
            Int(Int16(bigEndian: row.loadUnaligned(as: Int16.self))) == fieldCount
        else { throw .malformedRow }
        ends[0] = place
        for field in 0..<fieldCount {
            guard place + 4 <= row.count else { throw .malformedRow }
            let count = Int32(
                bigEndian: row.loadUnaligned(fromByteOffset: place, as: Int32.self))
            place += 4 + max(0, Int(count))
            ends[field + 1] = place
        }
        guard place == row.count else { throw .malformedRow }
    }
}
