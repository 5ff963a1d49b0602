import ArgumentParser
import DaybookBackup
import DaybookLedger
import DaybookSegments
import DaybookServer

/// `daybook why`
struct Why: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Say where the row of a key came from, and what became of it: from the log.",
        discussion: """
            Example: daybook why hired_employees 4535

            A key of several columns is given as one argument a column, in the dictionary's order: \
            daybook why payments NORDIC AB-1. Before a negative number put --.

            It reads the log and nothing else, beside a running server or without one, and says \
            who sent the row, when, in which batch, from which file and line, what it corrected, \
            which backups hold it, and whether it was taken back. Exit status 1: no such row was \
            ever accepted. The same over HTTP: GET /v1/TABLE/KEY/history.
            """)

    @Argument(help: "The table.")
    var table: String

    @Argument(help: "The key's values.")
    var key: [String]

    @Option(help: "Only events behind this position: to go on after a hundred.")
    var after: Int64?

    @Option(
        help: """
            The backups to look among: a folder, or s3://bucket/prefix. Environment: \
            DAYBOOK_BACKUPS.
            """)
    var backups: String?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard after ?? 0 >= 0 else { throw ValidationError("--after is a position, 0 or more.") }
    }

    func run() async throws {
        let command = self
        let (history, ledger) = try await offPool { try command.history() }
        let isThere = history.presence != .absent
        let backups = isThere ? try await offPool { command.listing() } : .listed([])
        if json {
            try Console.writeJSON { (json) throws(EventTextError) in
                try json.write(history, backups: backups, ledger: ledger, for: .auditor)
            }
        } else if isThere {
            Console.write(try HistoryLines(history, backups: backups, ledger: ledger).text)
        }
        guard isThere else {
            let name = ([table] + history.key.values).joined(separator: " ")
            throw CommandFailure(
                .failed,
                "no row \(name) was ever accepted; see whether one was rejected: "
                    + "daybook rejections list --table \(table)")
        }
    }

    /// Beside a running server all that it has acknowledged is seen: its head file says so much.
    private func history() throws -> (KeyHistory, ledger: String) {
        let log = try LogReader.open(folder: settings.dataFolder)
        guard let catalog = try PastCatalogs.inForce(of: log, segmentStarts: log.segmentStarts)
        else {
            throw CommandFailure(
                .failed,
                "\(settings.dataFolder) has no dictionary that this program reads; start the "
                    + "ledger once")
        }
        let asked: AskedKey
        do throws(KeyFault) {
            asked = try AskedKey(key, of: table, in: catalog)
        } catch {
            throw CommandFailure(.usage, error.description)
        }
        let history = try KeyHistory(of: asked, by: catalog, in: log, after: after)
        return (history, log.ledger.description)
    }

    private func listing() -> HistoryBackups {
        do {
            let target = BackupPlace.target(backups, settings)
            let manifests = try BackupCatalog.manifests(in: try BackupPlace.storage(target))
            let proven = BackupPlace.journal(settings).provenBackups
            return .listed(
                BackupListing(target: target, manifests: manifests, proven: proven).backups)
        } catch {
            return .unknown(reason: CommandFailure(error)?.message ?? "\(error)")
        }
    }
}
