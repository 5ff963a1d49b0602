import ArgumentParser
import DaybookCatalog
import DaybookProjections
import DaybookServer
import Foundation

/// `daybook report`
struct ReportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Ask a report of sql/reports; without a name, list them.",
        discussion: """
            Example: daybook report hires-by-quarter --param year=2022 --format csv

            It asks Postgres itself. Without a server it holds the ledger, brings the tables to \
            the log's end, and stops what it started.
            """)

    /// How the answer is printed.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table, csv, json
    }

    @Argument(help: "The report's name: that of its file.")
    var name: String?

    @Option(help: "A parameter as NAME=VALUE; may be given several times.")
    var param: [String] = []

    @Option(help: "How to print the answer.")
    var format: Format?

    @Option(help: "The schema of the tables.")
    var schema = "public"

    @Flag(help: "Print one JSON object; the same as --format json.")
    var json = false

    @OptionGroup var settings: Settings

    func validate() throws {
        guard param.allSatisfy({ $0.contains("=") }) else {
            throw ValidationError("--param is NAME=VALUE, such as --param year=2022.")
        }
        guard !json || format == nil || format == .json else {
            throw ValidationError("--json and --format contradict each other.")
        }
    }

    func run() async throws {
        let folder = try settings.catalogFolder() + "/sql/reports"
        let reports = try ReportLoader.load(folder: folder)
        guard let name else { return try list(reports, in: folder) }
        guard let report = reports.first(where: { $0.name == name }) else {
            throw CommandFailure(
                .usage,
                "there is no report \(name) in \(folder)"
                    + (reports.isEmpty
                        ? "" : "; there are \(reports.map(\.name).joined(separator: ", "))"))
        }
        let given = param.map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (name: String(parts[0]), value: String(parts[1]))
        }
        let arguments: [ScalarValue]
        do throws(ReportArgumentError) {
            arguments = try report.arguments(given)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
        let table = try await ask(report, arguments)
        show(ReportAnswer(report: report, arguments: arguments, table: table))
    }

    private func ask(_ report: Report, _ arguments: [ScalarValue]) async throws -> ReportTable {
        let side = try await ReadSide.open(settings)
        var options = ReportRunner.Options()
        options.schema = schema
        options.connectionCount = 1
        let runner = ReportRunner(options: options) { [conninfo = side.conninfo] in conninfo }
        let result: Result<ReportTable, ReportError>
        do throws(ReportError) {
            result = .success(try await runner.run(report, arguments: arguments))
        } catch {
            result = .failure(error)
        }
        try await side.close()
        switch result {
        case .success(let table): return table
        case .failure(let error): throw CommandFailure(error, of: report)
        }
    }

    private func show(_ answer: ReportAnswer) {
        switch json ? .json : format ?? .table {
        case .json: Console.writeJSON { answer.write(to: &$0) }
        case .csv: answer.csv().withUnsafeBytes { Console.write($0) }
        case .table: Console.write(TextTable(answer.table).description)
        }
    }

    private func list(_ reports: [Report], in folder: String) throws {
        guard format != .csv else {
            throw CommandFailure(.usage, "--format csv is for a report; say which")
        }
        if json || format == .json {
            return Console.writeJSON { json in
                json.openObject()
                json.key("reports")
                CatalogText.write(reports, to: &json)
                json.closeObject()
            }
        }
        if reports.isEmpty { return Console.error("there is no report in \(folder)") }
        for report in reports {
            Console.write("\(report.name)\n    \(report.title)\n")
            for parameter in report.parameters {
                let value = parameter.defaultValue?.text(type: parameter.type)
                let doc = parameter.doc.isEmpty ? "" : ": \(parameter.doc)"
                Console.write(
                    "    --param \(parameter.name)=\(value ?? "…") (\(parameter.type))\(doc)\n")
            }
        }
    }
}

extension CommandFailure {
    /// Why a report has no answer.
    fileprivate init(_ error: ReportError, of report: Report) {
        switch error {
        case .unavailable(let why):
            self.init(
                .unreachable, "Postgres: \(why); start it, or `daybook serve`, and ask again")
        case .busy: self.init(.failed, "too many reports wait; ask again later")
        case .timedOut(let seconds):
            self.init(
                .failed, "the query of \(report.name) ran longer than \(seconds) s and was ended")
        case .tooLarge(let rowLimit):
            self.init(
                .failed, "\(report.name) gives more than \(rowLimit) rows; narrow it by --param")
        case .failed(let why): self.init(.failed, "Postgres refused the query: \(why)")
        }
    }
}
