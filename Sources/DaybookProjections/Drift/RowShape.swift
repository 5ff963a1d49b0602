import DaybookCatalog

/// The columns of the rows that are compared, in the order in which both sides give them, and which
/// of them tell rows apart.
public struct RowShape: Sendable {
    /// One column.
    public struct Column: Sendable, Hashable {
        /// Its name in Postgres.
        public let name: String
        /// Its type in Postgres, to which the table's values are cast.
        let sqlType: String
        let form: CellForm
    }

    /// All columns; those of a table end with `ledger_position`.
    public let columns: [Column]
    /// The places of the key's columns, in key order.
    public let key: [Int]
    /// The place of the column that names the event of the row, if there is one.
    let position: Int?

    /// The rows of a table: the dictionary's columns, then `ledger_position`, which is the key of an
    /// append-only table. With `names` only those of them, which include the key: two tables that do
    /// not have the same columns are compared by what they share.
    public init(_ table: Table, only names: Set<String>? = nil) {
        let all = table.columns.map {
            Column(name: $0.name, sqlType: $0.type.sqlType, form: CellForm($0.type))
        }
        let position = Column(name: Table.positionColumn, sqlType: "bigint", form: .integer)
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
}

/// A row in Postgres's binary COPY format: a count of fields in 16 bits, then each field's length in
/// 32 bits, -1 for null, and its bytes.
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
