import Postgres

/// The rows that a table has, read by COPY. Read in one transaction with `repeatableRead`, they are
/// the same every time.
public struct TableRows: RowSide {
    private let connection: PostgresConnection
    private let source: String
    private let shape: RowLayout

    /// The rows of `source`: what stands after FROM, a quoted name or more. Columns of other types
    /// than the shape's are cast.
    public init(_ connection: PostgresConnection, from source: String, shape: RowLayout) {
        self.connection = connection
        self.source = source
        self.shape = shape
    }

    /// Reads the rows once.
    public func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let list = shape.columns.map { "\(SQL.identifier($0.name))::\($0.sqlType)" }
        let sql = "COPY (SELECT \(list.joined(separator: ", ")) FROM \(source))"
        var isFirst = true
        _ = try connection.copyOut(sql + " TO STDOUT (FORMAT binary)") { piece in
            var row = piece
            if isFirst {
                // The header comes with the first row, or with the trailer if there is none.
                row = UnsafeRawBufferPointer(rebasing: piece.dropFirst(BinaryCopy.header.count))
                isFirst = false
            }
            if row.count > BinaryCopy.trailer.count { try body(row) }
        }
    }
}
