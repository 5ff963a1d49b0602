import DaybookBackup
import DaybookServer

/// `daybook restore --log BACKUP`: the log of a backup put back.
struct LogRestoreRun {
    let backup: String
    let command: RestoreCommand

    func run() async throws {
        let (backup, settings, isDryRun) = (backup, command.settings, command.dryRun)
        let outcome = try await offPool {
            let source = try BackupPlace.open(backup, settings)
            try DataFolder.make(settings.dataFolder)
            defer { Console.endProgress() }
            return try LogRestore(source, into: settings.dataFolder, clock: SystemClock.wall)
                .run(isDryRun: isDryRun) { Console.progress("\($0): \($1) bytes") }
        }
        guard command.json else {
            let done = isDryRun ? "could be put back" : "put back"
            Console.write(
                "log of ledger \(outcome.head.ledger) \(done): \(outcome.segmentCount) segments, "
                    + "\(outcome.eventCount) events up to position \(outcome.head.position), "
                    + "root \(outcome.head.root)\n")
            if let movedTo = outcome.movedTo {
                Console.write("the log that was there is in \(movedTo)\n")
            }
            return
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("ledger", outcome.head.ledger.description)
            json.field("position", outcome.head.position)
            json.field("root", outcome.head.root.description)
            json.field("segments", outcome.segmentCount)
            json.field("events", outcome.eventCount)
            json.field("put_back", !isDryRun)
            json.key("moved_to")
            if let movedTo = outcome.movedTo { json.string(movedTo) } else { json.null() }
            json.closeObject()
        }
    }
}
