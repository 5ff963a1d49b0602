import Foundation

/// Reads reports: `.sql` files of one query each, with a header that says what it answers.
public enum ReportLoader {
    /// Names that `GET /v1/reports/{name}` takes for itself, so that no parameter can have them.
    static let reservedParameters: Set<String> = ["min_position", "timeout"]

    /// Reads every `.sql` file of `folder` (usually `sql/reports`), not of its subfolders, in order
    /// of name. A folder that does not exist holds no reports.
    ///
    /// Throws `CatalogError.mistakes` with all that is wrong in any of them, and `.unreadable` if
    /// the system refuses one.
    public static func load(folder: String) throws(CatalogError) -> [Report] {
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw .unreadable(path: folder, reason: error.localizedDescription)
        }
        let diagnostics = DiagnosticList()
        var reports: [Report] = []
        for name in names.sorted() where name.hasSuffix(".sql") && !name.hasPrefix(".") {
            let path = folder.hasSuffix("/") ? folder + name : "\(folder)/\(name)"
            guard let data = FileManager.default.contents(atPath: path) else {
                throw .unreadable(path: path, reason: "the file cannot be opened")
            }
            guard let text = String(validating: data, as: UTF8.self) else {
                diagnostics.report(
                    Place(file: path, line: 1, column: 1), "the file is not UTF-8",
                    "save it in that encoding")
                continue
            }
            if let report = report(path: path, text: text, diagnostics) { reports.append(report) }
        }
        try diagnostics.throwIfAny()
        return reports
    }

    /// Reads files that are in memory; `name` is a path whose last part names the report.
    ///
    /// Throws as `load(folder:)` does.
    public static func load(
        files: [(name: String, text: String)]
    ) throws(CatalogError) -> [Report] {
        let diagnostics = DiagnosticList()
        let reports = files.compactMap { report(path: $0.name, text: $0.text, diagnostics) }
        try diagnostics.throwIfAny()
        return reports
    }

    private static func report(
        path: String, text: String, _ diagnostics: DiagnosticList
    ) -> Report? {
        let file = FileReader(name: path, diagnostics: diagnostics)
        let name = (path.split(separator: "/").last ?? "").dropLast(".sql".count)
        if !isName(name) {
            diagnostics.report(
                file.start, "`\(name)` is no name for a report",
                "name the file with lower-case letters, digits and `-`, a letter first, such as "
                    + "`hires-by-quarter.sql`")
        }
        // Both are read, so that one run names the mistakes of both.
        let header = ReportHeader(file: file, text: text)
        let query = ReportQuery(file: file, text: text, parameters: header.parameters)
        guard let query, !header.title.isEmpty else { return nil }
        return Report(
            name: String(name), file: path, title: header.title, doc: header.doc,
            parameters: header.parameters.compactMap(\.parameter), chart: header.chart,
            sql: query.sql)
    }

    /// What needs no escape in a path or on a command line.
    private static func isName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= Naming.nameByteCountMax,
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(first)
        else { return false }
        return name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
    }
}
