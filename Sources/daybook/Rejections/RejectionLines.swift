import DaybookLog
import Foundation

/// Rejections as lines of a terminal. The first page makes the columns' widths.
struct RejectionLines {
    private static let head = ["position", "table", "state", "codes", "from", "row"]
    /// So much of a row is shown, in characters.
    private static let rowCount = 60

    private var widths: [Int] = []

    /// The lines of a page, the first with the columns' names above them.
    mutating func text(of page: [ProjectedRejection]) -> String {
        var rows = page.map(RejectionLines.cells)
        if widths.isEmpty {
            let head = RejectionLines.head
            widths = head.indices.map { column in
                rows.reduce(head[column].columnCount) { max($0, $1[column].columnCount) }
            }
            rows.insert(head, at: 0)
            rows.insert(widths.map { String(repeating: "─", count: $0) }, at: 1)
        }
        return rows.map(line).joined()
    }

    private func line(_ cells: [String]) -> String {
        var text = ""
        for (column, cell) in cells.enumerated() {
            let space = String(repeating: " ", count: max(0, widths[column] - cell.columnCount))
            // Positions stand to the right, the last column needs no space behind it.
            text += column == 0 ? space + cell : cell + (column + 1 < cells.count ? space : "")
            if column + 1 < cells.count { text += "  " }
        }
        return text + "\n"
    }

    private static func cells(_ rejection: ProjectedRejection) -> [String] {
        let row = String(decoding: rejection.raw.prefix(4 * rowCount), as: UTF8.self)
        let start = row.count > rowCount ? row.prefix(rowCount - 1) + "…" : Substring(row)
        return [
            String(rejection.position), rejection.table, rejection.state.rawValue,
            codes(rejection).joined(separator: " "), place(rejection), String(start),
        ].map(TextTable.line)
    }

    /// The file and the line, or where else it came from.
    static func place(_ rejection: ProjectedRejection) -> String {
        rejection.line.map { "\(rejection.source):\($0)" } ?? rejection.source
    }

    /// The codes of a rejection, each once.
    static func codes(_ rejection: ProjectedRejection) -> [String] {
        var codes: [String] = []
        for reason in reasons(rejection) where !codes.contains(reason.code) {
            codes.append(reason.code)
        }
        return codes
    }

    /// The reasons of a rejection.
    static func reasons(_ rejection: ProjectedRejection) -> [ReasonParts] {
        (try? JSONDecoder().decode([ReasonParts].self, from: Data(rejection.reasons.utf8))) ?? []
    }

    /// One reason.
    struct ReasonParts: Decodable {
        let code: String
        let column: String?
        let message: String

        /// The column and what is wrong with it.
        var text: String { column.map { "\($0): \(message)" } ?? message }
    }
}
