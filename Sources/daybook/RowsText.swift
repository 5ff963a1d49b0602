import DaybookProjections
import DaybookServer

/// Rows that two sides do not have in common, in words and as JSON.
enum RowsText {
    /// How many rows there are, and what is wrong with them: `side` is what was held against the
    /// log.
    static func summary(_ name: String, _ differences: RowDifferences, _ side: String) -> String {
        "\(name): \(differences.found.rowCount) rows in the \(side), " + verdict(differences)
    }

    static func verdict(_ differences: RowDifferences) -> String {
        if differences.isEmpty { return "as the log says, digest \(differences.found)" }
        return "\(differences.missingCount) missing, \(differences.extraCount) extra, "
            + "\(differences.differentCount) different"
    }

    /// A line for every value that differs; `what` is what was held against the log.
    static func rows(
        _ differences: RowDifferences, columns: [String], what: String? = nil
    ) -> [String] {
        var lines = differences.missing.map {
            "  missing    \(key($0.key))\(place($0.position)): " + list(columns, $0.values)
        }
        lines += differences.extra.map {
            "  extra      \(key($0.key))\(place($0.position)): " + list(columns, $0.values)
        }
        lines += differences.different.flatMap { row in
            row.cells.map { cell in
                "  different  \(key(row.key))\(place(row.position)): \(cell.column) is "
                    + "\(quoted(cell.found))\(what.map { " in \($0)" } ?? ""), the log has "
                    + quoted(cell.expected)
            }
        }
        let named =
            differences.missing.count + differences.extra.count + differences.different.count
        if named < differences.count {
            lines.append("  and \(differences.count - named) rows more (--limit)")
        }
        return lines
    }

    private static func key(_ values: [CellValue]) -> String {
        values.map(\.description).joined(separator: ",")
    }

    private static func place(_ position: Int64?) -> String {
        position.map { " (event \($0))" } ?? ""
    }

    private static func list(_ columns: [String], _ values: [CellValue]) -> String {
        zip(columns, values).map { "\($0) \(quoted($1))" }.joined(separator: ", ")
    }

    private static func quoted(_ value: CellValue) -> String {
        guard case .text(let text) = value else { return value.description }
        return text.debugDescription
    }

    // MARK: For scripts

    /// Rows that one side lacks, as objects of an open array.
    static func write(
        _ rows: [LoneRow], of table: String, columns: [String], to json: inout JSONWriter
    ) {
        for row in rows {
            json.openObject()
            writePlace(table, row.key, row.position, to: &json)
            json.key("row")
            json.openObject()
            for (column, value) in zip(columns, row.values) {
                json.key(column)
                json.cell(value)
            }
            json.closeObject()
            json.closeObject()
        }
    }

    /// Values that differ, as objects of an open array; `foundName` names the side that was held
    /// against the log.
    static func write(
        _ rows: [ChangedRow], of table: String, foundName: String, to json: inout JSONWriter
    ) {
        for row in rows {
            for cell in row.cells {
                json.openObject()
                writePlace(table, row.key, row.position, to: &json)
                json.field("column", cell.column)
                json.key("log")
                json.cell(cell.expected)
                json.key(foundName)
                json.cell(cell.found)
                json.closeObject()
            }
        }
    }

    private static func writePlace(
        _ table: String, _ key: [CellValue], _ position: Int64?, to json: inout JSONWriter
    ) {
        json.field("table", table)
        json.key("key")
        if key.count == 1 {
            json.cell(key[0])
        } else {
            json.openArray()
            for value in key { json.cell(value) }
            json.closeArray()
        }
        json.key("position")
        if let position { json.integer(position) } else { json.null() }
    }
}

extension JSONWriter {
    fileprivate mutating func cell(_ value: CellValue) {
        switch value {
        case .null: null()
        case .integer(let value): integer(value)
        case .number(let value): number(value)
        case .boolean(let value): boolean(value)
        case .text(let text): string(text)
        }
    }
}
