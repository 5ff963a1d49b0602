import Avro
import DaybookCatalog
import DaybookLog

/// Rows that a projection begins with instead of the log's first event: what a backup holds.
public protocol RowBase: Sendable {
    /// The state of the ledger at which the rows were taken: what comes after is the log's.
    var head: TreeHead { get }
    /// Tells this base from any other, for a rebuild that goes on where it was cut short.
    var identity: String { get }
    /// The rows of a table, from the first on.
    func rows(of table: String) throws -> any BaseRows
}

/// The rows of one table of a base, dealt out in pieces. Safe for several threads.
public protocol BaseRows: AnyObject, Sendable {
    /// How the rows are encoded: the table's columns at the time, and `ledger_position` last.
    var schema: AvroSchema.Record { get }
    /// How many rows there are in all.
    var rowCount: Int64 { get }
    /// The next piece; nil when all is dealt out.
    func next() throws -> ContainerBlock?
}

/// Turns rows of a base into rows of a COPY.
public struct BaseTranscoder: Sendable {
    private let transcoder: RowTranscoder
    private let retracted: RetractedRows

    /// The columns of a COPY of these rows, in order; `ledger_position` last.
    public var columns: [String] { transcoder.columns }

    /// A transcoder to `table` from rows of `schema`, which passes over those that were retracted.
    ///
    /// - Throws: `RebuildError.unreadableBase` if they cannot be read as the table's.
    public init(
        _ schema: AvroSchema.Record, table: Table, without retracted: RetractedRows = .init()
    ) throws(RebuildError) {
        self.retracted = retracted
        guard let last = schema.fields.last, last.name == Table.positionColumn,
            last.schema == .long()
        else {
            throw .unreadableBase(
                table.name, "its rows do not end with a \(Table.positionColumn)")
        }
        var record = schema
        record.fields.removeLast()
        do {
            transcoder = try RowTranscoder(record, table: table)
        } catch ProjectionFault.cannotApply(_, let reason) {
            throw .unreadableBase(table.name, reason)
        } catch {
            throw .unreadableBase(table.name, "\(error)")
        }
    }

    /// Calls `body` with every row of a piece as it stands in a COPY. `sink` is used again for
    /// each; the bytes are valid during the call.
    ///
    /// - Throws: `AvroDecodingError` if the bytes are not the rows that the schema says.
    public func forEachRow(
        of piece: ContainerBlock, _ sink: inout ByteSink,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try piece.bytes.withUnsafeBytes { bytes in
            var cursor = ByteCursor(bytes)
            for _ in 0..<piece.count {
                sink.removeAll()
                try append(&cursor, to: &sink)
                if sink.count > 0 { try body(sink.unsafeBytes) }
            }
            guard cursor.isAtEnd else { throw AvroDecodingError.bytesLeft(cursor.remaining) }
        }
    }

    /// Appends a piece's rows to `sink`, which becomes a part of a COPY.
    func append(_ piece: ContainerBlock, to sink: inout ByteSink) throws {
        try piece.bytes.withUnsafeBytes { bytes in
            var cursor = ByteCursor(bytes)
            for _ in 0..<piece.count { try append(&cursor, to: &sink) }
            guard cursor.isAtEnd else { throw AvroDecodingError.bytesLeft(cursor.remaining) }
        }
    }

    @inline(__always)
    private func append(
        _ cursor: inout ByteCursor, to sink: inout ByteSink
    ) throws(AvroDecodingError) {
        let start = sink.count
        try transcoder.appendColumns(&cursor, to: &sink)
        let position = try cursor.readLong()
        if retracted.contains(position) { return sink.truncate(to: start) }
        sink.append(bigEndian: Int32(8))
        sink.append(bigEndian: position)
    }
}
