import Avro
import DaybookLog

/// The first of the rejections that one row had: itself, or that of which it is a retry. Whatever
/// closes one of them closes all. It is found in the log (`LedgerService.rejection(at:)`).
public struct RejectionRoot: Sendable, Hashable {
    /// The first rejection's position.
    public let position: Position
    /// The table that the row was for.
    public let table: String
}

/// A rejected row as the log has it.
public struct StoredRejection: Sendable {
    /// Its own position.
    public let position: Position
    /// The first rejection of the same row.
    public let root: RejectionRoot
    /// What its batch says; rows are not among it.
    public let batch: BatchFacts
    /// Index of the row in its batch, from 0.
    public let index: Int
    /// The original bytes and the reasons.
    public let rejection: Rejection
    /// The columns that the table had then; nil if the log's schema of then has no such table.
    let record: AvroSchema.Record?

    /// Whether it was sent in the place of an earlier one.
    public var isRetry: Bool { root.position != position }
    /// Where the row starts in its file, from 1; nil where there are no lines.
    public var line: Int64? { batch.line(ofRow: index) }

    /// Reads the row at `position` of the batch; nil if it is no rejection.
    init?(reading reader: inout BatchReader, at position: Position) throws(AvroDecodingError) {
        let facts = reader.facts
        let index = Int(position - facts.position)
        for _ in 0..<index {
            guard let branch = try reader.nextBranch() else { return nil }
            try reader.skipRow(branch)
        }
        guard let branch = try reader.nextBranch(), branch == reader.schema.rejectionBranch else {
            return nil
        }
        let earlier = facts.corrects.first { $0.row == index }?.position
        self.position = position
        self.index = index
        root = RejectionRoot(position: earlier ?? position, table: facts.table)
        batch = facts
        record = reader.schema.branch(of: facts.table).map { reader.schema.records[$0] }
        rejection = try reader.readRejection()
    }
}

/// A row that is sent in the place of a rejected one.
public struct RowCorrection: Sendable, Hashable {
    /// Index of the row in its batch, from 0.
    public let row: Int
    /// The first rejection of the row.
    public let rejection: RejectionRoot

    /// Row `row` is sent in the place of `rejection`.
    public init(row: Int, rejection: RejectionRoot) {
        self.row = row
        self.rejection = rejection
    }
}
