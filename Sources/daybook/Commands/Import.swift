import ArgumentParser
import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import DaybookServer
import Foundation

/// `daybook import TABLE FILE…`
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take files into the ledger: every row accepted or rejected, and kept.",
        discussion: """
            Example: daybook import jobs jobs.csv --header
            Example: daybook import jobs jobs.avro

            The same file again is not imported again, and an import that was cut short goes on \
            where it ended. Rejected rows are no failure: they are in the log with their reasons.

            Avro files are those of any writer, with codec null, deflate or zstandard. Their \
            fields belong to columns by name or alias; other fields are passed over.

            With --max-rejects a file that has more rejected rows is not kept at all: it is \
            judged first and appended then. --keep-good appends what comes before the row that is \
            one too many. Either way the command exits 1 and says what was wrong.
            Example: daybook import jobs jobs.csv --max-rejects 10
            Example: daybook import jobs jobs.csv --max-rejects 2.5% --keep-good

            A file may be at https://… or s3://bucket/key; it is fetched first. docs/storage.md \
            has what the environment must say.
            """)

    @Argument(help: "The table of the dictionary.")
    var table: String

    @Argument(help: "The files: paths, https:// or s3:// URLs.", completion: .file())
    var files: [String]

    @Option(
        help: """
            csv, ndjson or avro. By default the file's name says it: .avro, .ndjson, .jsonl, \
            else csv.
            """)
    var format: String?

    @Flag(help: "The first line of a CSV file names the columns.")
    var header = false

    @Flag(help: "Import a file again that was imported before.")
    var force = false

    @Option(
        help: """
            The most rejected rows of each file, such as 10, 0 or 2.5% (of the rows judged); with \
            more, nothing of the file is kept.
            """)
    var maxRejects: String?

    @Flag(help: "With --max-rejects: keep what comes before the limit is exceeded.")
    var keepGood = false

    @Option(help: "The most bytes that are fetched of a URL, such as 500M or 2G.")
    var maxDownload = "16G"

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard [nil, "csv", "ndjson", "avro"].contains(format) else {
            throw ValidationError("--format is csv, ndjson or avro.")
        }
        if header, let file = files.first(where: { format(of: $0) == .avro }) {
            throw ValidationError("--header is for CSV; the schema of \(file) names its fields.")
        }
        if let maxRejects, RejectLimit(maxRejects) == nil {
            throw ValidationError(
                "--max-rejects is a number or a share of the rows, such as 10, 0 or 2.5%; "
                    + "\"\(maxRejects)\" is neither.")
        }
        if keepGood, maxRejects == nil {
            throw ValidationError("--keep-good goes with --max-rejects, such as 10 or 2.5%.")
        }
        guard Import.byteCount(maxDownload) != nil else {
            throw ValidationError("--max-download is a number of bytes, such as 500M or 2G.")
        }
    }

    /// A number with K, M, G or T behind it, which are powers of 1024.
    private static func byteCount(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.last.flatMap { units[$0] }
        guard let number = Int64(unit == nil ? text : String(text.dropLast())), number > 0 else {
            return nil
        }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit ?? 1)
        return overflow ? nil : product
    }

    func run() async throws {
        let sources = try files.map { try ImportSource($0) }
        for case .path(let path) in sources { try check(path) }
        // A server knows its own dictionary; without one a wrong name must not make a ledger.
        if LocalClient(dataFolder: settings.dataFolder) == nil { try checkTable() }
        // Before the ledger is taken: whoever waits for it does not wait for a network.
        let files = try await fetch(sources)
        let target = try await ImportTarget.find(settings)
        var reports: [ImportReport] = []
        do {
            for file in files {
                let report = try await importFile(file, into: target)
                reports.append(report)
                if !json { show(report) }
                if report.isStopped { break }
            }
        } catch {
            Console.endProgress()
            await target.abandon()
            throw error
        }
        try await target.finish()
        if json { Console.writeJSON { write(reports, to: &$0) } }
        if let limit, let last = reports.last, last.isStopped {
            let rest = files.count - reports.count
            let unread = rest == 0 ? "" : "; \(rest) more of the files were not read"
            throw CommandFailure(.failed, limit.explanation(last) + unread)
        }
    }

    private var limit: ImportLimit? {
        maxRejects.flatMap { RejectLimit($0) }.map { ImportLimit(limit: $0, keepsGood: keepGood) }
    }

    private func fetch(_ sources: [ImportSource]) async throws -> [ImportFile] {
        let fetch = Fetch(
            byteCountMax: Import.byteCount(maxDownload) ?? 0, dataFolder: settings.dataFolder)
        defer { Console.endProgress() }
        var files: [ImportFile] = []
        for source in sources { files.append(try await fetch.file(of: source)) }
        return files
    }

    private func checkTable() throws {
        let catalog = try CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        guard catalog.table(named: table) != nil else {
            let names = catalog.tables.map(\.name).joined(separator: ", ")
            throw CommandFailure(.usage, "the dictionary has no table \(table); it has \(names)")
        }
    }

    /// A file is read twice, first for its digest; so it must be one.
    private func check(_ file: String) throws {
        let manager = FileManager.default
        guard manager.isReadableFile(atPath: file) else {
            throw CommandFailure(.usage, "\(file) cannot be read; see that it exists and is yours")
        }
        let path = URL(fileURLWithPath: file).resolvingSymlinksInPath().path
        let type = try? manager.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        guard type == .typeRegular else {
            throw CommandFailure(.usage, "\(file) is no file; save what it gives in one first")
        }
    }

    private func importFile(
        _ file: ImportFile, into target: ImportTarget
    ) async throws -> ImportReport {
        let (path, name) = (file.path, file.name)
        let found = try FileDigest(of: path)
        let byteCount = found.byteCount
        let request = ImportRequest(
            file: name, table: table, format: format(of: name), digest: found.digest,
            principal: "local:" + NSUserName(), nonce: force ? UUID().uuidString : nil)
        func body(_ what: String) -> FileChunks {
            let start = ContinuousClock.now
            return FileChunks(path: path) { count in
                let seconds = (ContinuousClock.now - start) / .seconds(1)
                let percent = byteCount == 0 ? 100 : count * 100 / byteCount
                let speed = Double(count) / 1_000_000 / max(seconds, 0.001)
                Console.progress("\(name)\(what): \(percent) %, \(Int(speed)) MB/s")
            }
        }
        defer { withExtendedLifetime(file) { Console.endProgress() } }
        guard let limit else {
            return try await target.importFile(request, byteCount: byteCount, body: body(""))
        }
        return try await limit.importFile { pass, limit in
            try await target.importFile(
                request, byteCount: byteCount, body: body(pass == .check ? ", checking" : ""),
                limit: limit, pass: pass)
        }
    }

    private func format(of name: String) -> ImportRequest.Format {
        let suffix = name.split(separator: ".").last
        switch format ?? suffix.map(String.init) {
        case "avro": return .avro
        case "ndjson", "jsonl": return .ndjson
        default: return .csv(header ? .present : .absent)
        }
    }

    /// What is said of a file that was imported before.
    private static func before(_ report: ImportReport) -> String {
        guard let time = report.retractedAt else {
            return "imported before; nothing done (--force imports it)"
        }
        let place = report.firstPosition.map { " (from position \($0))" } ?? ""
        return report.isRetracted
            ? "imported before\(place); its rows were retracted at \(time), and nothing was done: "
                + "--force imports them again"
            : "imported before\(place); some of its rows were retracted, the last at \(time), and "
                + "nothing was done: --force imports those again, and the others are duplicates"
    }

    private func show(_ report: ImportReport) {
        guard !report.isAlreadyImported else {
            Console.write("\(report.file): \(Import.before(report))\n")
            return
        }
        let place = report.firstPosition.map { ", from position \($0)" } ?? ""
        let codes = report.codes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        let reasons = codes.isEmpty ? "" : " (" + codes.joined(separator: ", ") + ")"
        if let checked = report.checked {
            Console.write(
                "\(report.file): \(checked.rows) rows for \(report.table) checked, "
                    + "\(checked.accepted) good, \(checked.rejected) rejected\(reasons)\n")
        } else {
            Console.write(
                "\(report.file): \(report.rows) rows for \(report.table), "
                    + "\(report.accepted) accepted, \(report.rejected) rejected"
                    + "\(reasons)\(place)\n")
        }
        for code in report.rejectionsByCode where !code.firstLines.isEmpty {
            let lines = code.firstLines.map { "\($0)" }.joined(separator: ", ")
            let isMore = code.count > code.firstLines.count
            let place = (code.count == 1 ? "line " : "lines ") + lines + (isMore ? ", …" : "")
            Console.write("  \(code.count) \(code.code): \(place)\n")
        }
    }

    /// One file: its report. Several: the totals, and each in `files`.
    private func write(_ reports: [ImportReport], to json: inout JSONWriter) {
        json.openObject()
        if reports.count == 1 {
            reports[0].writeMembers(to: &json)
        } else {
            var total = reports[0]
            for report in reports.dropFirst() { total.add(report) }
            total.writeMembers(to: &json)
            json.key("files")
            json.openArray()
            for report in reports {
                json.openObject()
                report.writeMembers(to: &json)
                json.closeObject()
            }
            json.closeArray()
        }
        json.closeObject()
    }
}
