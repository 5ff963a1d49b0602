import DaybookProjections
import DaybookServer

/// What `verify tables` says of one table, for people and for scripts.
struct VerifyReport {
    let name: String
    /// Nil if the table could not be compared.
    var found: DriftCheck.Outcome?
    /// What was done about it, if anything.
    var repair: DriftCheck.Repair?
    /// Why the table could not be compared or repaired.
    var problem: String?
    var seconds = 0.0

    /// Whether the table is as the log says, or is so now.
    var isSound: Bool {
        problem == nil && (repair != nil || found?.differences.isEmpty == true)
    }

    init(name: String) { self.name = name }

    // MARK: For people

    /// One line for the table, then one for every value that differs.
    var text: String {
        var lines: [String] = []
        if let found {
            let differences = found.differences
            let rows = differences.found.rowCount
            let speed = Int(Double(rows) / max(seconds, 0.001))
            lines.append(
                "\(name): \(rows) rows at position \(found.position), \(summary(differences))"
                    + " (\(speed) rows/s)")
            lines += differences.missing.map {
                "  missing    \(key($0.key))\(place($0.position)): "
                    + list(found.columns, $0.values)
            }
            lines += differences.extra.map {
                "  extra      \(key($0.key))\(place($0.position)): "
                    + list(found.columns, $0.values)
            }
            lines += differences.different.flatMap { row in
                row.cells.map { cell in
                    "  different  \(key(row.key))\(place(row.position)): \(cell.column) is "
                        + "\(quoted(cell.found)), the log has \(quoted(cell.expected))"
                }
            }
            let named =
                differences.missing.count + differences.extra.count
                + differences.different.count
            if named < differences.count {
                lines.append("  and \(differences.count - named) rows more (--limit)")
            }
        }
        if let repair {
            lines.append(
                "  repaired at position \(repair.position): \(repair.deletedRowCount) rows taken "
                    + "away, \(repair.insertedRowCount) put in from the log, compared again: equal")
        }
        if let problem { lines.append("\(name): \(problem)") }
        return lines.map { $0 + "\n" }.joined()
    }

    private func summary(_ differences: RowDifferences) -> String {
        if differences.isEmpty { return "as the log says, digest \(differences.found)" }
        return "\(differences.missingCount) missing, \(differences.extraCount) extra, "
            + "\(differences.differentCount) different"
    }

    private func key(_ values: [CellValue]) -> String {
        values.map(\.description).joined(separator: ",")
    }

    private func place(_ position: Int64?) -> String {
        position.map { " (event \($0))" } ?? ""
    }

    private func list(_ columns: [String], _ values: [CellValue]) -> String {
        zip(columns, values).map { "\($0) \(quoted($1))" }.joined(separator: ", ")
    }

    private func quoted(_ value: CellValue) -> String {
        guard case .text(let text) = value else { return value.description }
        return text.debugDescription
    }

    // MARK: For scripts

    /// All tables' reports as one object.
    static func write(_ reports: [VerifyReport], to json: inout JSONWriter) {
        json.openObject()
        json.field("ok", reports.allSatisfy(\.isSound))
        json.key("tables")
        json.openArray()
        for report in reports { report.writeSummary(to: &json) }
        json.closeArray()
        for (list, rows) in [("missing", \RowDifferences.missing), ("extra", \.extra)] {
            json.key(list)
            json.openArray()
            for report in reports { report.write(rows, to: &json) }
            json.closeArray()
        }
        json.key("different")
        json.openArray()
        for report in reports { report.writeDifferent(to: &json) }
        json.closeArray()
        json.closeObject()
    }

    private func writeSummary(to json: inout JSONWriter) {
        json.openObject()
        json.field("table", name)
        json.field("ok", isSound)
        if let found {
            let differences = found.differences
            json.field("position", found.position)
            json.field("rows", differences.found.rowCount)
            json.field("rows_in_log", differences.expected.rowCount)
            json.field("digest", differences.found.description)
            json.field("digest_of_log", differences.expected.description)
            json.field("missing", differences.missingCount)
            json.field("extra", differences.extraCount)
            json.field("different", differences.differentCount)
            json.key("seconds")
            json.number(seconds)
        }
        if let repair {
            json.key("repair")
            json.openObject()
            json.field("position", repair.position)
            json.field("deleted", repair.deletedRowCount)
            json.field("inserted", repair.insertedRowCount)
            json.closeObject()
        }
        if let problem { json.field("problem", problem) }
        json.closeObject()
    }

    private func write(_ list: KeyPath<RowDifferences, [LoneRow]>, to json: inout JSONWriter) {
        guard let found else { return }
        for row in found.differences[keyPath: list] {
            json.openObject()
            writePlace(row.key, row.position, to: &json)
            json.key("row")
            json.openObject()
            for (column, value) in zip(found.columns, row.values) {
                json.key(column)
                json.cell(value)
            }
            json.closeObject()
            json.closeObject()
        }
    }

    private func writeDifferent(to json: inout JSONWriter) {
        for row in found?.differences.different ?? [] {
            for cell in row.cells {
                json.openObject()
                writePlace(row.key, row.position, to: &json)
                json.field("column", cell.column)
                json.key("log")
                json.cell(cell.expected)
                json.key("found")
                json.cell(cell.found)
                json.closeObject()
            }
        }
    }

    private func writePlace(_ key: [CellValue], _ position: Int64?, to json: inout JSONWriter) {
        json.field("table", name)
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
