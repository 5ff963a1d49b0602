import ArgumentParser
import DaybookBackup
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook restore`
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring tables to a state of the ledger, from the log or from a backup.",
        discussion: """
            Example: daybook restore --from log --at 2026-11-25T14:03:00+01:00 --into past

            Tables, and the aggregates made from them, are built beside the live ones, compared \
            with them, and swapped in together; `daybook rebuild NAME --undo` swaps back. With \
            --at the live tables are held at that state until `daybook projections resume`; with \
            --into they go to a schema of their own, and the live ones stay. What --at stands for \
            is printed first. A backup is verified before anything is touched; to reach a state \
            after it the log is replayed from there.

            --log puts a copy of the log back where it was lost.
            """)

    @Option(help: "`log`, or a backup: its folder, a folder of backups, or an s3:// URL.")
    var from: String?

    @Option(help: "A table; may be repeated. All tables unless given.")
    var table: [String] = []

    @Option(help: "A time with its offset, or a position. The log's end unless given.")
    var at: String?

    @Option(help: "A schema of its own for the restored tables.")
    var into: String?

    @Flag(help: "Build and compare, and throw the new tables away.")
    var dryRun = false

    @Flag(help: "Go on though rows would refer to rows that are not there.")
    var allowDangling = false

    @Option(help: "How long readers are waited for, in seconds.")
    var patience = 60.0

    @Option(help: "A backup made --with-log, whose log is put back. No server may run.")
    var log: String?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (from == nil) != (log == nil) else {
            throw ValidationError("Say --from log, --from BACKUP, or --log BACKUP.")
        }
        guard log == nil || (at == nil && into == nil && table.isEmpty && !allowDangling) else {
            throw ValidationError("--log puts a log back whole: it goes by itself.")
        }
        guard !(dryRun && into != nil) else {
            throw ValidationError("--dry-run and --into go one at a time.")
        }
        guard patience >= 0, patience <= 86_400 else {
            throw ValidationError("--patience is a number of seconds, up to a day.")
        }
        if let at { _ = try Self.usage { try RestoreTarget(at) } }
    }

    /// What is wrong with an option, as the parser says it.
    private static func usage<Value>(_ body: () throws -> Value) throws -> Value {
        do { return try body() } catch { throw ValidationError("--at: \(error)") }
    }

    func run() async throws {
        if let log { return try await LogRestoreRun(backup: log, command: self).run() }
        let command = self
        let report = try await ReadSide.use(settings, projects: false) { side in
            try command.restore(side)
        }
        show(report)
        guard dryRun else { return }
        guard report.projections.allSatisfy({ $0.comparison?.isEmpty ?? true }),
            report.dangling.isEmpty
        else {
            throw CommandFailure(
                .failed, "the live tables are not as restored; without --dry-run they would be")
        }
    }

    private func restore(_ side: ReadSide) throws -> Restore.Report {
        var options = Restore.Options(migrationsFolder: side.catalogFolder + "/sql/migrations")
        options.tables = table.isEmpty ? nil : table
        options.target = try at.map { try RestoreTarget($0) } ?? .head
        options.destination = into
        options.isDryRun = dryRun
        options.allowsDangling = allowDangling
        options.patienceSeconds = patience
        let source = from == "log" ? nil : try BackupPlace.open(from, settings)
        let (point, names) = try Restore.plan(
            from: source, side.catalog, options, log: try side.log(), now: SystemClock.wall())
        say(point, names, source)
        return try Restore(
            from: try source.map(prove), catalog: side.catalog, options: options,
            log: { try side.log() }, connect: { try side.connect() }, clock: SystemClock.wall,
            onProgress: { Console.progress($0.text) }
        ).run()
    }

    /// What the target stands for, before anything happens.
    private func say(_ point: RestorePoint, _ names: [String], _ source: BackupSource?) {
        let time = point.time.map { ", after the batch of \($0)" } ?? ""
        let rest = point.logEnd - point.head.position
        let from =
            source.map { "\($0.name) (position \($0.head.position)) and the log" } ?? "the log"
        Console.error(
            "restoring \(names.joined(separator: ", ")) from \(from) to position "
                + "\(point.head.position)\(time); \(rest) events of the log come after it")
    }

    /// Refuses a backup that is not what the log says.
    private func prove(_ source: BackupSource) throws -> ProvenBackup {
        defer { Console.endProgress() }
        return try BackupPlace.verifier(
            source, log: try LogReader.open(folder: settings.dataFolder), settings, limit: 10
        ).prove(progress: BackupPlace.show)
    }

    private func show(_ report: Restore.Report) {
        let what =
            into.map { "restored into the schema \($0)" }
            ?? (dryRun ? "built, compared, not swapped" : "restored and swapped in")
        guard json else {
            for projection in report.projections { Console.write(projection.text(what)) }
            for dangling in report.dangling { Console.write("note: \(dangling.text)\n") }
            if report.isHeld {
                Console.write(
                    "held at position \(report.point.head.position): `daybook projections resume "
                        + "NAME` lets each go on, `daybook rebuild NAME --undo` swaps it back\n")
            }
            return
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("position", report.point.head.position)
            json.key("time")
            if let time = report.point.time { json.string(time) } else { json.null() }
            json.field("held", report.isHeld)
            json.key("into")
            if let into { json.string(into) } else { json.null() }
            json.key("projections")
            json.openArray()
            for projection in report.projections {
                json.openObject()
                projection.writeMembers(to: &json)
                json.closeObject()
            }
            json.closeArray()
            json.key("dangling")
            json.openArray()
            for dangling in report.dangling {
                json.openObject()
                json.field("table", dangling.table)
                json.field("references", dangling.target)
                json.field("rows", dangling.rowCount)
                json.key("keys")
                json.openArray()
                for key in dangling.keys { json.string(key) }
                json.closeArray()
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}
