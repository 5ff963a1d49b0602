import Avro
import DaybookCatalog

/// The rows that a base has of one table, as a side of a comparison.
public struct BaseRowSide: RowSide {
    private let transcoder: BaseTranscoder
    private let arrangement: RowArrangement
    private let open: () throws -> any BaseRows

    /// Rows of `schema` as rows of `table` in the order of `layout`. `open` gives them from the
    /// first on, every time it is called.
    ///
    /// - Throws: `RebuildError.unreadableBase` if they cannot be read as the table's.
    public init(
        _ schema: AvroSchema.Record, table: Table, layout: RowLayout,
        open: @escaping () throws -> any BaseRows
    ) throws(RebuildError) {
        transcoder = try BaseTranscoder(schema, table: table)
        arrangement = RowArrangement(of: transcoder.columns, as: layout)
        self.open = open
    }

    /// Reads the rows once.
    public func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let rows = try open()
        var written = ByteSink(capacity: 1024)
        var arranged = ByteSink(capacity: 1024)
        while let piece = try rows.next() {
            try transcoder.forEachRow(of: piece, &written) { row in
                if arrangement.isIdentity { return try body(row) }
                arranged.removeAll()
                try arrangement.append(row, to: &arranged)
                try body(arranged.unsafeBytes)
            }
        }
    }
}
