import ArgumentParser
import DaybookBackup
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook backup drill`
struct BackupDrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract: "Restore a backup beside the live tables, compare, and throw it away.",
        discussion: """
            Example: daybook backup drill

            The newest backup is held against the log, restored with the log's tail into a \
            scratch schema, and compared with the live tables at the same position. The result is \
            kept, for `backup list` and the metrics. Exit status: 0 if all is equal, 1 if not.
            """)

    @Argument(help: "A backup, or a folder of backups; a path or an s3:// URL.")
    var backup: String?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let command = self
        let (source, outcome) = try await ReadSide.use(settings) { side in
            let source = try BackupPlace.open(command.backup, command.settings)
            let drill = BackupDrill(
                source, catalog: side.catalog,
                migrationsFolder: side.catalogFolder + "/sql/migrations", schema: "public",
                segments: try LogReader.open(folder: command.settings.dataFolder),
                log: { try side.log() }, connect: { try side.connect() },
                clock: SystemClock.wall, onProgress: { Console.progress($0.text) })
            return (source, try drill.run { Console.progress("\($0): \($1)") })
        }
        try BackupPlace.journal(settings).add(
            .init(
                .drilled, target: source.storage.name, backup: source.name,
                position: source.head.position, at: SystemClock.wall(),
                isSound: outcome.isSound, what: outcome.summary))
        show(outcome)
        if let summary = outcome.summary {
            throw CommandFailure(.failed, "the drill of \(source.name) failed: \(summary)")
        }
    }

    private func show(_ outcome: BackupDrill.Outcome) {
        let report = BackupReport(verification: outcome.verification)
        guard json else {
            Console.write(report.text)
            for projection in outcome.projections {
                Console.write(projection.text("restored beside, compared, thrown away"))
            }
            return
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("ok", outcome.isSound)
            json.key("verification")
            json.openObject()
            report.writeMembers(to: &json)
            json.closeObject()
            json.key("projections")
            json.openArray()
            for projection in outcome.projections {
                json.openObject()
                projection.writeMembers(to: &json)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}
