import Avro
import DaybookCatalog

/// The rows that a base has of one table, as a side of a comparison.
public struct BaseRowSide: RowSide {
    private let transcoder: BaseTranscoder
    private let arrangement: RowArrangement
    private let open: () throws -> any BaseRows
    private let onDamage: (ContainerBlock, AvroDecodingError) throws -> Void

    /// Rows of `schema` as rows of `table` in the order of `layout`.
    ///
    /// - Parameters:
    ///   - open: Gives the rows from the first on, every time it is called.
    ///   - onDamage: Told of a piece whose bytes are not the rows that the schema says; the rest of
    ///     the piece is passed over, unless it throws.
    /// - Throws: `RebuildError.unreadableBase` if they cannot be read as the table's.
    public init(
        _ schema: AvroSchema.Record, table: Table, layout: RowLayout,
        open: @escaping () throws -> any BaseRows,
        onDamage: @escaping (ContainerBlock, AvroDecodingError) throws -> Void = { throw $1 }
    ) throws(RebuildError) {
        transcoder = try BaseTranscoder(schema, table: table)
        arrangement = RowArrangement(of: transcoder.columns, as: layout)
        self.open = open
        self.onDamage = onDamage
    }

    /// Reads the rows once.
    public func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let rows = try open()
        var written = ByteSink(capacity: 1024)
        var arranged = ByteSink(capacity: 1024)
        while let piece = try rows.next() {
            do {
                try transcoder.forEachRow(of: piece, &written) { row in
                    if arrangement.isIdentity { return try body(row) }
                    arranged.removeAll()
                    try arrangement.append(row, to: &arranged)
                    try body(arranged.unsafeBytes)
                }
            } catch let error as AvroDecodingError {
                try onDamage(piece, error)
            }
        }
    }
}
