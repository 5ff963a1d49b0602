import Avro
import DaybookLog

extension Receipt {
    /// A batch's receipt from its facts and its rejected rows: the one way in which receipts are
    /// made, for a first answer and for a replay alike.
    init(
        facts: BatchFacts, rowCount: Int, rejections: [(row: Int, rejection: Rejection)],
        leaf: Digest, isReplay: Bool
    ) {
        var lines = LineWalk(firstLine: facts.firstLine, skips: facts.lineSkips)
        let rejected = rejections.map { row, rejection in
            RejectedRow(
                index: row, position: facts.position + Position(row),
                line: lines.line(ofRow: row), rejection: rejection)
        }
        self.init(
            batchID: facts.id, table: facts.table, principal: facts.principal,
            format: facts.format, position: facts.position, receivedAt: facts.receivedAt,
            rowCount: rowCount, rejected: rejected, leaf: leaf,
            isReplay: isReplay)
    }

    /// Reads a stored batch's receipt.
    init(
        reading reader: inout BatchReader, isReplay: Bool
    ) throws(AvroDecodingError) {
        var rejections: [(row: Int, rejection: Rejection)] = []
        var row = 0
        while let branch = try reader.nextBranch() {
            if branch == reader.schema.rejectionBranch {
                rejections.append((row, try reader.readRejection()))
            } else {
                try reader.skipRow(branch)
            }
            row += 1
        }
        let leaf = MerkleFrontier.leaf(of: try reader.finish())
        self.init(
            facts: reader.facts, rowCount: reader.rowCount, rejections: rejections, leaf: leaf,
            isReplay: isReplay)
    }
}

/// The lines on which rows start, for rows in order.
struct LineWalk {
    private let firstLine: Int64?
    private var skips: ArraySlice<LineSkip>
    private var skipped: Int64 = 0

    init(firstLine: Int64?, skips: [LineSkip]) {
        self.firstLine = firstLine
        self.skips = skips[...]
    }

    /// The line of a row that is not before the row asked for last; nil where there are no lines.
    mutating func line(ofRow row: Int) -> Int64? {
        while let skip = skips.first, skip.row <= row {
            skipped += skip.lines
            skips.removeFirst()
        }
        return firstLine.map { $0 + Int64(row) + skipped }
    }
}
