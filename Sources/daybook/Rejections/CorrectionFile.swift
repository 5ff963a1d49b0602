import DaybookIntake
import Foundation

/// Rows that somebody corrected in an export of rejections: CSV with the rejections' positions.
///
/// The column `position` says which rejection a row is for. The export's own columns are passed
/// over; all others are the table's, and so is the second of two that have the same name.
struct CorrectionFile {
    struct Row: Sendable {
        /// Line of the file, from 1.
        let line: Int
        let position: Int64
        /// The row as CSV with a header.
        let csv: Data
    }

    let rows: [Row]

    private static let byteCountMax = 1 << 30

    /// Reads the whole file.
    ///
    /// - Throws: `CommandFailure` that says what is wrong with it, and on which line.
    init(path: String) throws(CommandFailure) {
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw CommandFailure(.usage, "\(path): \(error.localizedDescription)")
        }
        guard data.count <= CorrectionFile.byteCountMax else {
            throw CommandFailure(.usage, "\(path) is larger than 1 GiB; split it")
        }
        var layout: Layout?
        var rows: [Row] = []
        do {
            try data.withUnsafeBytes { bytes in
                try CSVRecords.forEach(in: bytes) { line, fields in
                    if let layout {
                        rows.append(try layout.row(fields, line: line))
                    } else {
                        layout = try Layout(fields)
                    }
                }
            }
        } catch let failure as CommandFailure {
            throw CommandFailure(failure.status, "\(path), \(failure.message)")
        } catch {
            throw CommandFailure(.usage, "\(path), \(error)")
        }
        guard !rows.isEmpty else {
            throw CommandFailure(
                .usage, "\(path) has no rows; `daybook rejections export` makes such a file")
        }
        self.rows = rows
    }

    /// Which fields are what.
    private struct Layout {
        private let count: Int
        private let position: Int
        private let columns: [Int]
        private let header: String

        init(_ names: [String]) throws(CommandFailure) {
            guard let position = names.firstIndex(of: "position") else {
                throw CommandFailure(
                    .usage,
                    "line 1: there is no column position; the file is one that `daybook "
                        + "rejections export --format csv --table T` wrote, corrected")
            }
            let columns = names.indices.filter { index in
                !RejectionExport.columns.contains(names[index])
                    || names[..<index].contains(names[index])
            }
            guard !columns.isEmpty else {
                throw CommandFailure(
                    .usage,
                    "line 1: there are no columns of the table; export with --table T to have them")
            }
            count = names.count
            self.position = position
            self.columns = columns
            header = columns.map { CorrectionFile.quoted(names[$0]) }.joined(separator: ",")
        }

        func row(_ fields: [String], line: Int) throws(CommandFailure) -> Row {
            guard fields.count == count else {
                throw CommandFailure(
                    .usage, "line \(line): \(fields.count) fields, the first line has \(count)")
            }
            guard let number = Int64(fields[position]), number >= 0 else {
                throw CommandFailure(
                    .usage, "line \(line): \(fields[position]) is no position of a rejection")
            }
            let values = columns.map { CorrectionFile.quoted(fields[$0]) }.joined(separator: ",")
            return Row(
                line: line, position: number, csv: Data("\(header)\n\(values)\n".utf8))
        }
    }

    private static func quoted(_ text: String) -> String {
        guard text.utf8.contains(where: { ",\"\r\n".utf8.contains($0) }) else { return text }
        return "\"" + text.replacing("\"", with: "\"\"") + "\""
    }
}
