import DaybookLedger
import DaybookLog

/// What an import came to, as the local socket and the command line say it.
public struct ImportReport: Sendable, Codable, Equatable {
    /// The file's name.
    public var file: String
    /// The table.
    public var table: String
    /// Rows with a verdict: accepted + rejected.
    public var rows: Int64
    /// Rows that the table has now.
    public var accepted: Int64
    /// Rows that were refused, with reasons, and kept in the log.
    public var rejected: Int64
    /// Blank lines, which are no rows.
    public var blank: Int64
    /// The first row's position; nil if there was no row.
    public var firstPosition: Position?
    /// The last row's position; nil if there was no row.
    public var lastPosition: Position?
    /// Whether the same bytes were imported before, and so nothing was done.
    public var isAlreadyImported: Bool
    /// Whether it was, and no accepted row of that import stands any more: all were retracted.
    public var isRetracted: Bool
    /// When the last of them was retracted, as RFC 3339 has it; nil if none was.
    public var retractedAt: String?
    /// How many rows have each code among their reasons.
    public var codes: [String: Int64]
    /// For each code how many rows have it, and the lines of the first few: most rows first.
    public var rejectionsByCode: [Code]
    /// Whether a limit of rejections ended the import.
    public var isStopped: Bool
    /// The line of the row that was one too many, if it was one row.
    public var stoppedLine: Int64?
    /// What a check judged; nil where the file was imported.
    public var checked: ImportSummary.Counts?

    /// The rows that have one code among their reasons.
    public struct Code: Sendable, Codable, Equatable {
        /// The code.
        public var code: String
        /// How many rows have it.
        public var count: Int64
        /// The lines of the first few; in the totals of several files, none.
        public var firstLines: [Int64]

        private enum CodingKeys: String, CodingKey {
            case code, count
            case firstLines = "first_lines"
        }
    }

    /// The report of one file.
    public init(_ summary: ImportSummary) {
        file = summary.file
        table = summary.table
        rows = summary.rows
        accepted = summary.accepted
        rejected = summary.rejected
        blank = summary.blank
        firstPosition = summary.firstPosition
        lastPosition = summary.lastPosition
        isAlreadyImported = summary.isAlreadyImported
        isRetracted = summary.retraction?.isWhole ?? false
        retractedAt = summary.retraction.map { JSONWriter.text(time: $0.receivedAt) }
        codes = summary.codes
        rejectionsByCode = Self.byCode(codes, lines: summary.firstLines)
        isStopped = summary.stop != nil
        stoppedLine = summary.stop?.line
        checked = summary.checked
    }

    private static func byCode(
        _ codes: [String: Int64], lines: [String: [Int64]]
    ) -> [Code] {
        codes.map { Code(code: $0.key, count: $0.value, firstLines: lines[$0.key] ?? []) }
            .sorted { ($1.count, $0.code) < ($0.count, $1.code) }
    }

    /// Adds another file's numbers to these, and its name.
    public mutating func add(_ other: ImportReport) {
        file += " " + other.file
        rows += other.rows
        accepted += other.accepted
        rejected += other.rejected
        blank += other.blank
        firstPosition = [firstPosition, other.firstPosition].compactMap(\.self).min()
        lastPosition = [lastPosition, other.lastPosition].compactMap(\.self).max()
        isAlreadyImported = isAlreadyImported && other.isAlreadyImported
        isRetracted = isRetracted && other.isRetracted
        retractedAt = nil
        codes.merge(other.codes, uniquingKeysWith: +)
        rejectionsByCode = Self.byCode(codes, lines: [:])
        isStopped = isStopped || other.isStopped
        stoppedLine = other.stoppedLine
        checked = nil
    }

    private enum CodingKeys: String, CodingKey {
        case file, table, rows, accepted, rejected, blank, codes, checked
        case firstPosition = "first_position"
        case lastPosition = "last_position"
        case isAlreadyImported = "already_imported"
        case isRetracted = "retracted"
        case retractedAt = "retracted_at"
        case rejectionsByCode = "rejections_by_code"
        case isStopped = "stopped"
        case stoppedLine = "stopped_line"
    }

    /// Writes the members, without the braces around them.
    public func writeMembers(to json: inout JSONWriter) {
        json.field("file", file)
        json.field("table", table)
        json.field("rows", rows)
        json.field("accepted", accepted)
        json.field("rejected", rejected)
        json.field("blank", blank)
        json.key("first_position")
        if let firstPosition { json.integer(firstPosition) } else { json.null() }
        json.key("last_position")
        if let lastPosition { json.integer(lastPosition) } else { json.null() }
        json.field("already_imported", isAlreadyImported)
        json.field("retracted", isRetracted)
        json.field("retracted_at", retractedAt)
        json.key("codes")
        json.openObject()
        for (code, count) in codes.sorted(by: { $0.key < $1.key }) { json.field(code, count) }
        json.closeObject()
        writeRejections(to: &json)
        json.field("stopped", isStopped)
        json.key("stopped_line")
        if let stoppedLine { json.integer(stoppedLine) } else { json.null() }
        if let checked {
            json.key("checked")
            json.openObject()
            json.field("rows", checked.rows)
            json.field("accepted", checked.accepted)
            json.field("rejected", checked.rejected)
            json.closeObject()
        }
    }

    private func writeRejections(to json: inout JSONWriter) {
        json.key("rejections_by_code")
        json.openArray()
        for code in rejectionsByCode {
            json.openObject()
            json.field("code", code.code)
            json.field("count", code.count)
            json.key("first_lines")
            json.openArray()
            for line in code.firstLines { json.integer(line) }
            json.closeArray()
            json.closeObject()
        }
        json.closeArray()
    }
}
