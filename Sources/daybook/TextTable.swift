import DaybookCatalog

/// A report's answer as lines of a terminal: numbers to the right, all else to the left.
struct TextTable: CustomStringConvertible {
    let description: String

    init(_ table: ReportTable) {
        let rows = (0..<table.rowCount).map { row in
            table.columns.indices.map { column in
                TextTable.line(table.value(row: row, column: column) ?? "")
            }
        }
        let head = table.columns.map { TextTable.line($0.name) }
        let widths = head.indices.map { column in
            rows.reduce(head[column].columnCount) { max($0, $1[column].columnCount) }
        }
        let isNumber = table.columns.map { $0.form == .number || $0.type == "numeric" }
        var text = ""
        for cells in [head, widths.map { String(repeating: "─", count: $0) }] + rows {
            let padded = zip(cells, zip(widths, isNumber)).map { cell, layout in
                let space = String(repeating: " ", count: layout.0 - cell.columnCount)
                return layout.1 ? space + cell : cell + space
            }
            let line = padded.joined(separator: "  ")
            text += line[...(line.lastIndex { $0 != " " } ?? line.startIndex)] + "\n"
        }
        let count = rows.count == 1 ? "1 row" : "\(rows.count) rows"
        description = text + "(\(count))\n"
    }

    /// A cell is one line, and a terminal is sent no orders.
    static func line(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}

extension String {
    /// How many columns of a terminal the text takes.
    var columnCount: Int { reduce(0) { $0 + $1.columnCount } }
}

extension Character {
    /// Two for East Asian wide characters and pictures, none for a mark by itself, else one.
    ///
    /// Source: Unicode Standard Annex 11, the blocks of its wide and full-width characters.
    fileprivate var columnCount: Int {
        guard let first = unicodeScalars.first else { return 0 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        if first.properties.isEmojiPresentation { return 2 }
        switch first.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3,
            0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x1B000...0x1B2FF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }
}
