import ArgumentParser
import DaybookProjections

/// `daybook verify …`
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that what is derived is what the log says; by default the tables.",
        discussion: "Example: daybook verify tables hired_employees --repair",
        subcommands: [VerifyTables.self, VerifyLog.self, VerifyBackup.self],
        defaultSubcommand: VerifyTables.self)
}

/// `daybook verify log`, which is `daybook log verify`.
struct VerifyLog: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: LogVerify.configuration.abstract,
        discussion: "Example: daybook verify log --json    (exit status 3 if anything is wrong)")

    @OptionGroup var verification: LogVerify

    func run() throws { try verification.run() }
}

/// `daybook verify backup`, which is `daybook backup verify`.
struct VerifyBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: BackupVerify.configuration.abstract,
        discussion: "Example: daybook verify backup data/backups --json")

    @OptionGroup var verification: BackupVerify

    func run() async throws { try await verification.run() }
}

/// `daybook verify tables`
struct VerifyTables: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables",
        abstract: "Compare tables and aggregates in Postgres with the log, row by row.",
        discussion: """
            Example: daybook verify tables jobs hired_employees --repair

            Each is compared at its own checkpoint, so a server may go on appending. Rows that \
            differ are named by key, with what the log says, what the table says, and the \
            position of the event. Exit status: 0 if all is as the log says, 1 if anything \
            differs.

            --repair takes just the differing rows away, puts the log's in their place, and \
            compares them again, in one transaction for which the projector waits. Exit status: \
            0 if all is as the log says afterwards.

            Sums of `number` columns depend on the order of their parts: they count as equal up \
            to a billionth.
            """)

    @Argument(help: "Tables or aggregates of the dictionary. Default: all.")
    var names: [String] = []

    @Flag(help: "Put differing rows right, by replaying just their keys from the log.")
    var repair = false

    @Option(help: "How many differing rows of a table are named, of each kind. All are counted.")
    var limit = 1000

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard limit >= 0 else { throw ValidationError("--limit is 0 or more.") }
    }

    func run() async throws {
        let command = self
        let reports = try await ReadSide.use(settings) { side in
            try command.names(in: side).map { try command.verify($0, side) }
        }
        if json { Console.writeJSON { VerifyReport.write(reports, to: &$0) } }
        let wrong = reports.filter { !$0.isSound }.map(\.name)
        guard wrong.isEmpty else {
            let advice =
                repair
                ? "; `daybook rebuild` makes a table anew"
                : "; `daybook verify tables --repair` puts rows right"
            throw CommandFailure(
                .failed, "not as the log says: \(wrong.joined(separator: ", "))\(advice)")
        }
    }

    private func names(in side: ReadSide) throws -> [String] {
        let known = side.catalog.tables.map(\.name) + side.catalog.aggregates.map(\.name)
        if let unknown = names.first(where: { !known.contains($0) }) {
            throw CommandFailure(
                .usage,
                "the dictionary has no table or aggregate \(unknown); it has "
                    + known.joined(separator: ", "))
        }
        return names.isEmpty ? known : names
    }

    /// Checks one table, and shows the outcome unless it is to be JSON.
    private func verify(_ name: String, _ side: ReadSide) throws -> VerifyReport {
        var options = DriftCheck.Options()
        options.comparison.sampleLimit = limit
        let check = DriftCheck(
            try side.connect(), catalog: side.catalog, options: options,
            log: { try side.log(reaching: $0) })
        let start = ContinuousClock.now
        var report = VerifyReport(name: name)
        let progress: RowComparison.Progress = { stage, rowCount in
            Console.progress("\(name): \(stage.words), \(rowCount) rows")
        }
        do {
            if repair {
                let (found, done) = try check.repair(name, progress: progress)
                report.found = found
                report.repair = try done?.get()
            } else {
                report.found = try check.check(name, progress: progress)
            }
        } catch let error as DriftError {
            if case .contradiction = error { throw error }
            report.problem = error.description
        }
        report.seconds = (ContinuousClock.now - start) / .seconds(1)
        Console.endProgress()
        if !json { Console.write(report.text) }
        return report
    }
}

extension RowComparison.Stage {
    fileprivate var words: String {
        switch self {
        case .readingExpected: "reading the log"
        case .readingFound: "reading the table"
        case .namingDifferences: "naming what differs"
        }
    }
}
