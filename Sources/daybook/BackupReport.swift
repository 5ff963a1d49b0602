import DaybookBackup
import DaybookProjections
import DaybookServer

/// What `backup verify` says, for people and for scripts.
struct BackupReport {
    let verification: BackupVerification

    /// A line for the backup and one for every table and problem, then one for every row.
    var text: String {
        let head = verification.head
        var lines = [
            "\(verification.backup): ledger \(head.ledger), position \(head.position), "
                + "\(verification.files.count) files"
        ]
        lines += verification.problems.map { "  \($0.file): \($0.what)" }
        for table in verification.tables {
            guard let differences = table.differences else { continue }
            lines.append("  " + RowsText.summary(table.table, differences, "backup"))
            lines += RowsText.rows(differences, columns: table.columns, what: "the backup")
                .map { "  " + $0 }
        }
        if !verification.isComparedWithLog {
            lines.append("  not compared with the log")
        } else if verification.isSound {
            lines.append("  files, signature and content are right")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    /// The members of its object, without the braces around them.
    func writeMembers(to json: inout JSONWriter) {
        json.field("ok", verification.isSound)
        json.field("backup", verification.backup)
        json.field("position", verification.head.position)
        json.field("compared_with_log", verification.isComparedWithLog)
        json.key("files")
        json.openArray()
        for file in verification.files { json.string(file) }
        json.closeArray()
        json.key("problems")
        json.openArray()
        for problem in verification.problems {
            json.openObject()
            json.field("file", problem.file)
            json.field("what", problem.what)
            json.closeObject()
        }
        json.closeArray()
        json.key("tables")
        json.openArray()
        for table in verification.tables {
            guard let differences = table.differences else { continue }
            json.openObject()
            json.field("table", table.table)
            json.field("rows", differences.found.rowCount)
            json.field("rows_in_log", differences.expected.rowCount)
            json.field("digest", differences.found.description)
            json.field("missing", differences.missingCount)
            json.field("extra", differences.extraCount)
            json.field("different", differences.differentCount)
            json.closeObject()
        }
        json.closeArray()
        for (list, rows) in [("missing", \RowDifferences.missing), ("extra", \.extra)] {
            json.key(list)
            json.openArray()
            for table in verification.tables {
                guard let differences = table.differences else { continue }
                RowsText.write(
                    differences[keyPath: rows], of: table.table, columns: table.columns, to: &json)
            }
            json.closeArray()
        }
        json.key("different")
        json.openArray()
        for table in verification.tables {
            guard let differences = table.differences else { continue }
            RowsText.write(
                differences.different, of: table.table, foundName: "backup", to: &json)
        }
        json.closeArray()
    }
}
