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
                "\(name): \(rows) rows at position \(found.position), "
                    + "\(RowsText.verdict(differences)) (\(speed) rows/s)")
            lines += RowsText.rows(differences, columns: found.columns)
        }
        if let repair {
            lines.append(
                "  repaired at position \(repair.position): \(repair.deletedRowCount) rows taken "
                    + "away, \(repair.insertedRowCount) put in from the log, compared again: equal")
        }
        if let problem { lines.append("\(name): \(problem)") }
        return lines.map { $0 + "\n" }.joined()
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
        RowsText.write(
            found.differences[keyPath: list], of: name, columns: found.columns, to: &json)
    }

    private func writeDifferent(to json: inout JSONWriter) {
        guard let found else { return }
        RowsText.write(found.differences.different, of: name, foundName: "found", to: &json)
    }
}
