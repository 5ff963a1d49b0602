import DaybookLog

/// Counts an import's rows as their verdicts come, and says when they are too many rejections.
struct ImportTally {
    private(set) var summary: ImportSummary
    /// The positions of its rows, adjoining batches in one.
    private(set) var spans: [Range<Position>] = []
    /// The rows judged, whether in the log or not.
    private(set) var judged = ImportSummary.Counts()
    private let limit: RejectLimit?
    /// Whether a share is held to before the end.
    private let stopsEarly: Bool

    init(_ request: ImportRequest, limit: RejectLimit?, stopsEarly: Bool) {
        summary = ImportSummary(file: request.file, table: request.table)
        self.limit = limit
        self.stopsEarly = stopsEarly
    }

    /// Whether the limit was exceeded.
    var isOver: Bool { summary.stop != nil }

    /// Counts a chunk that is in the log.
    mutating func add(_ receipt: Receipt) {
        summary.add(receipt)
        if let last = spans.last, last.upperBound == receipt.position {
            spans[spans.count - 1] = last.lowerBound..<receipt.endPosition
        } else {
            spans.append(receipt.position..<receipt.endPosition)
        }
        count(
            rows: receipt.rowCount,
            rejected: receipt.rejected.map {
                JudgedRejection(line: $0.line, codes: $0.rejection.reasons.map(\.code))
            })
    }

    /// Counts a chunk that was judged and not kept.
    mutating func add(judged rows: Int, rejected: [JudgedRejection]) {
        count(rows: rows, rejected: rejected)
    }

    mutating func add(blank: Int64) { summary.blank += blank }

    /// All rows have been counted: what a share allows is known now.
    mutating func end() {
        guard let limit, limit.isExceeded(rejected: judged.rejected, of: judged.rows) else {
            return
        }
        summary.stop = summary.stop ?? ImportSummary.Stop(line: nil)
    }

    /// The summary of a check, which says what was judged besides what is in the log.
    func checked() -> ImportSummary {
        var summary = summary
        summary.checked = judged
        return summary
    }

    private mutating func count(rows: Int, rejected: [JudgedRejection]) {
        let before = judged.rejected
        judged.rows += Int64(rows)
        judged.rejected += Int64(rejected.count)
        judged.accepted += Int64(rows - rejected.count)
        precondition(judged.rows == judged.accepted + judged.rejected, "every row has a verdict")
        for row in rejected { summary.add(row) }
        guard let limit, summary.stop == nil,
            limit.isExceeded(rejected: judged.rejected, of: judged.rows)
        else { return }
        switch limit {
        case .count(let count):
            summary.stop = ImportSummary.Stop(line: rejected[Int(count - before)].line)
        case .millionths where stopsEarly && judged.rows >= RejectLimit.shareRowCount:
            summary.stop = ImportSummary.Stop(line: rejected.last?.line)
        case .millionths: break
        }
    }
}
