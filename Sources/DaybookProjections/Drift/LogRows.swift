import Avro
import DaybookCatalog
import DaybookLog

/// The rows that a table should have: the fold of the log's accepted events.
public struct LogRows: RowSide {
    private let log: any LogSource
    private let catalog: Catalog
    private let table: String
    let shape: RowLayout
    private let positions: Range<Position>
    /// What was retracted below the positions' end.
    private let retracted: RetractedRows

    /// The rows of `table` whose batches begin in `positions`, which ends between two batches, but
    /// for those that were retracted below that end.
    ///
    /// - Throws: `LogError` if the log cannot be read.
    public init(
        _ log: any LogSource, catalog: Catalog, table: String, shape: RowLayout,
        positions: Range<Position>
    ) throws(LogError) {
        precondition(positions.lowerBound >= 0, "positions start at 0")
        self.log = log
        self.catalog = catalog
        self.table = table
        self.shape = shape
        self.positions = positions
        retracted = try RetractedRows(of: log, below: positions.upperBound)
    }

    /// How much of the log is read at a time, in bytes of blocks.
    private static let readByteLimit = 4 << 20

    /// Folds the log once.
    public func forEachRow(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let fold = Fold(
            transcoders: TranscoderSet(catalog: catalog), shape: shape, retracted: retracted)
        var position = positions.lowerBound
        while position < positions.upperBound {
            for block in try log.blocks(from: position, byteLimit: LogRows.readByteLimit) {
                try block.forEachBatch { reader in
                    let facts = reader.facts
                    if facts.table == table, positions.contains(facts.position) {
                        try fold.pass(&reader, body)
                    }
                }
                position = block.endPosition
            }
        }
    }

    /// The buffers of one fold, which every row uses again.
    private final class Fold {
        private let transcoders: TranscoderSet
        private let shape: RowLayout
        private let retracted: RetractedRows
        private var arrangements: [TableRun: RowArrangement] = [:]
        private var written = ByteSink(capacity: 1024)
        private var arranged = ByteSink(capacity: 1024)

        init(transcoders: TranscoderSet, shape: RowLayout, retracted: RetractedRows) {
            self.transcoders = transcoders
            self.shape = shape
            self.retracted = retracted
        }

        func pass(
            _ reader: inout BatchReader, _ body: (UnsafeRawBufferPointer) throws -> Void
        ) throws {
            let (run, transcoder, arrangement) = try plan(reader)
            var position = reader.facts.position
            let hasGone = retracted.intersects(position..<position + Position(reader.rowCount))
            while let branch = try reader.nextBranch() {
                if branch == run.branch, !(hasGone && retracted.contains(position)) {
                    written.removeAll()
                    try transcoder.append(&reader.cursor, position: position, to: &written)
                    if arrangement.isIdentity {
                        try body(written.unsafeBytes)
                    } else {
                        arranged.removeAll()
                        try arrangement.append(written.unsafeBytes, to: &arranged)
                        try body(arranged.unsafeBytes)
                    }
                } else {
                    try reader.skipRow(branch)
                }
                position += 1
            }
        }

        private func plan(
            _ reader: BatchReader
        ) throws -> (TableRun, RowTranscoder, RowArrangement) {
            let run: TableRun
            do {
                run = try transcoders.run(reader.facts.table, schema: reader.schema)
            } catch ProjectionFault.cannotApply(_, let reason) {
                throw DriftError.unreadable(reason)
            }
            let transcoder = transcoders[run]
            if let known = arrangements[run] { return (run, transcoder, known) }
            let arrangement = RowArrangement(of: transcoder.columns, as: shape)
            arrangements[run] = arrangement
            return (run, transcoder, arrangement)
        }
    }
}

/// How a row's fields come into the order of a shape.
///
/// A column that the row does not have is null. A decimal gets its column's scale, as Postgres
/// gives it when it stores one: older events may have had a smaller one.
struct RowArrangement {
    private let fieldCount: Int
    private let sources: [Int?]
    private let scales: [Int16?]
    /// Whether the row is as it should be already.
    let isIdentity: Bool

    init(of columns: [String], as shape: RowLayout) {
        fieldCount = columns.count
        sources = shape.columns.map { columns.firstIndex(of: $0.name) }
        scales = shape.columns.map { column in
            guard case .numeric(let scale?) = column.form else { return nil }
            return Int16(scale)
        }
        isIdentity =
            columns == shape.columns.map(\.name) && scales.allSatisfy { $0 == nil }
    }

    func append(_ row: UnsafeRawBufferPointer, to sink: inout ByteSink) throws {
        sink.append(bigEndian: Int16(sources.count))
        try withUnsafeTemporaryAllocation(of: Int.self, capacity: fieldCount + 1) { ends in
            try BinaryRow.locate(row, fieldCount, ends)
            for (place, source) in sources.enumerated() {
                guard let source else {
                    sink.append(bigEndian: Int32(-1))
                    continue
                }
                let start = sink.count
                sink.append(
                    raw: UnsafeRawBufferPointer(rebasing: row[ends[source]..<ends[source + 1]]))
                if let scale = scales[place], sink.count > start + 4 {
                    sink.unsafeMutableBytes.storeBytes(
                        of: scale.bigEndian, toByteOffset: start + NumericCell.scaleOffset,
                        as: Int16.self)
                }
            }
        }
    }
}
