import ArgumentParser
import DaybookLedger
import DaybookLog
import DaybookServer
import Foundation

/// `daybook rejections`
struct RejectionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejections",
        abstract: "Look at rows that were refused, send them again, let them go.",
        subcommands: [
            RejectionsList.self, RejectionsShow.self, RejectionsSummary.self,
            RejectionsExport.self, RejectionsResubmit.self, RejectionsWaive.self,
        ],
        defaultSubcommand: RejectionsList.self)
}

/// `daybook rejections list`
struct RejectionsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List rejections in the order of their positions.",
        discussion: "Example: daybook rejections list --table jobs --code missing_field --json")

    @OptionGroup(title: "Which ones") var which: RejectionFilterOptions

    @Option(help: "At most so many; all unless given.")
    var limit: Int?

    @Option(help: "Only those behind this position.")
    var after: Int64?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard limit ?? 1 > 0 else { throw ValidationError("--limit is a number, 1 or more.") }
        guard after ?? 0 >= 0 else { throw ValidationError("--after is a position, 0 or more.") }
    }

    func run() async throws {
        let filter = try which.filter()
        try await RejectionSide.use(settings) { side in
            var lines = RejectionLines()
            var object = RejectionObject()
            var count = 0
            let next = try await side.forEachPage(
                filter, after: after, limit: limit ?? .max
            ) { page in
                count += page.count
                if json {
                    object.text(of: page).withUnsafeBytes { Console.write($0) }
                } else if !page.isEmpty {
                    Console.write(lines.text(of: page))
                }
            }
            if json {
                return object.end(next: next).withUnsafeBytes { Console.write($0) }
            }
            let more = next.map { "; go on with --after \($0)" } ?? ""
            Console.write("(\(count) rejection\(count == 1 ? "" : "s")\(more))\n")
        }
    }
}

/// `daybook rejections summary`
struct RejectionsSummary: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "summary",
        abstract: "Count rejections by code, table, source and age.",
        discussion: "Example: daybook rejections summary --state open")

    @OptionGroup(title: "Which ones") var which: RejectionFilterOptions

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let filter = try which.filter()
        let summary = try await RejectionSide.use(settings) { side in
            if let table = filter.tables?.first { _ = try side.table(named: table) }
            return try await side.source.summary(filter)
        }
        guard !json else { return Console.writeJSON { $0.write(summary) } }
        let states = RejectionState.allCases.map { "\(summary.states[$0] ?? 0) \($0.rawValue)" }
        Console.write(
            "\(summary.total) rejections: \(states.joined(separator: ", "))\n")
        show("code", summary.codes)
        show("table", summary.tables)
        var sources = summary.sources
        if let others = summary.otherSources {
            sources.append(.init("(\(others.sources) other sources)", others.count))
        }
        show("source", sources)
        show(
            "age",
            RejectionSummary.Age.allCases.compactMap { age in
                summary.ages[age].map { .init(age.rawValue, $0) }
            })
    }

    private func show(_ what: String, _ counts: [RejectionSummary.Named]) {
        if counts.isEmpty { return }
        Console.write("\nby \(what):\n")
        let names = counts.map { TextTable.line($0.name) }
        let width = names.map(\.columnCount).max() ?? 0
        for (name, named) in zip(names, counts) {
            let space = String(repeating: " ", count: width - name.columnCount)
            Console.write("  \(name)\(space)  \(named.count.count), \(named.count.open) open\n")
        }
    }
}

/// `daybook rejections export`
struct RejectionsExport: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write rejections to a file, for a spreadsheet or a program.",
        discussion: """
            Example: daybook rejections export --table jobs --state open --out refused.csv

            As CSV, and with --table, each row has the table's columns behind its own: correct \
            them there, and feed the file back with `daybook rejections resubmit --file`.
            """)

    /// What the file is.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case csv, json
    }

    @OptionGroup(title: "Which ones") var which: RejectionFilterOptions

    @Option(help: "What the file is.")
    var format = Format.csv

    @Option(help: "Where it goes; standard output unless given.")
    var out: String?

    @OptionGroup var settings: Settings

    @Flag(help: "The same as --format json.")
    var json = false

    func run() async throws {
        let filter = try which.filter()
        try await RejectionSide.use(settings) { side in
            let table = try which.table.map { try side.table(named: $0) }
            let file = try ExportFile(out)
            do {
                if json || format == .json {
                    var object = RejectionObject()
                    let next = try await side.forEachPage(filter) { page in
                        try file.write(object.text(of: page))
                    }
                    try file.write(object.end(next: next))
                } else {
                    let export = RejectionExport(cells: table.map(RowCells.init))
                    try file.write(export.head())
                    _ = try await side.forEachPage(filter) { page in
                        try file.write(export.lines(page))
                    }
                }
                try file.finish()
            } catch {
                file.abandon()
                throw error
            }
        }
    }
}
