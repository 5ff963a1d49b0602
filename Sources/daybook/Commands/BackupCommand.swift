import ArgumentParser
import Avro
import DaybookBackup
import DaybookCatalog
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation
import Postgres

/// `daybook backup …`
struct BackupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Dump the tables as Avro files, prove them against the log, try them out.",
        discussion: """
            Example: daybook backup create && daybook backup verify data/backups

            Backups are kept in `backups` of the ledger's folder, or where --out or \
            DAYBOOK_BACKUPS says: a folder, or s3://bucket/prefix.
            """,
        subcommands: [
            BackupCreate.self, BackupList.self, BackupVerify.self, BackupDrillCommand.self,
        ])
}

/// `daybook backup create`
struct BackupCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Dump all tables at one position, while appends go on.",
        discussion: """
            Example: daybook backup create --out s3://vault/shop --with-log

            A backup is a folder `backup-POSITION-TIME` with an Avro file for every table, sorted \
            by key, and a manifest that the ledger's key has signed. It is there as a whole or \
            not at all.

            Where the log is lost, what Postgres has is saved all the same, and that it was not \
            held against a log is said.
            """)

    @Option(help: "A folder, or s3://bucket/prefix. Environment: DAYBOOK_BACKUPS.")
    var out: String?

    @Option(help: "A table; may be repeated. All tables unless given.")
    var table: [String] = []

    @Option(help: "How the files are compressed: deflate, zstandard or null.")
    var codec = "deflate"

    @Option(help: "How hard: 1 to 9 for deflate (6), 1 to 22 for zstandard (3).")
    var level: Int?

    @Flag(help: "Copy the log too, sealed segments by a hard link where that is possible.")
    var withLog = false

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard let codec = ContainerCodec(rawValue: codec) else {
            throw ValidationError("--codec is deflate, zstandard or null.")
        }
        let levels = codec == .deflate ? 1...9 : codec == .zstandard ? 1...22 : 0...0
        guard level.map({ levels.contains($0) }) ?? true else {
            throw ValidationError(
                "--level is from \(levels.lowerBound) to \(levels.upperBound) for \(codec).")
        }
    }

    func run() async throws {
        let command = self
        let target = BackupPlace.target(out, settings)
        let storage = try BackupPlace.storage(target)
        let start = ContinuousClock.now
        let isLogLost = LostLog.isLost(settings)
        let manifest: BackupManifest
        if isLogLost {
            manifest = try await offPool { try command.makeWithoutLog(into: storage) }
        } else {
            manifest = try await ReadSide.use(settings) { side in
                try command.make(
                    try side.connect(), side.catalog, into: storage,
                    log: { try side.log(reaching: $0) })
            }
        }
        try BackupPlace.journal(settings).add(
            .init(
                .made, target: target, backup: manifest.name, position: manifest.position,
                at: SystemClock.wall(), isSound: true, tables: table.isEmpty ? nil : table))
        var made = MadeBackup(
            manifest, target: target, durationSeconds: (.now - start) / .seconds(1))
        made.isHeldAgainstLog = !isLogLost
        show(made)
    }

    /// Saves what Postgres has of a ledger whose log is lost.
    private func makeWithoutLog(into storage: any BackupStorage) throws -> BackupManifest {
        guard !withLog else {
            throw CommandFailure(
                .usage, "\(settings.dataFolder) has no log to copy; leave out --with-log")
        }
        let catalog = try CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        let manifest = try LostLog.use(settings) { connection in
            try make(connection, catalog, into: storage, log: nil)
        }
        Console.endProgress()
        Console.error(
            "daybook: \(settings.dataFolder) has no log, so the backup was not held against one: "
                + "it is what Postgres has, at the position that its checkpoints say; "
                + "see docs/restore.md")
        return manifest
    }

    private func make(
        _ connection: PostgresConnection, _ catalog: Catalog, into storage: any BackupStorage,
        log: ((Position) throws -> any LogSource)?
    ) throws -> BackupManifest {
        var options = BackupMaker.Options()
        options.tables = table.isEmpty ? nil : table
        options.codec = ContainerCodec(rawValue: codec) ?? .deflate
        options.level = level
        options.logFolder = withLog ? settings.dataFolder : nil
        let maker = BackupMaker(
            connection, catalog: catalog, key: try BackupPlace.key(settings), options: options,
            log: log, clock: SystemClock.wall)
        return try maker.run(into: storage) { Console.progress($0.text) }
    }

    private func show(_ made: MadeBackup) {
        guard json else {
            let log = made.logPosition.map { ", log up to position \($0)" } ?? ""
            return Console.write(
                "\(made.target)/\(made.name): \(made.tables.count) tables, \(made.rowCount) rows "
                    + "at position \(made.position)\(log), \(made.byteCount) bytes in "
                    + "\((made.durationSeconds * 100).rounded() / 100) s\n")
        }
        Console.writeJSON { made.write(to: &$0) }
    }
}

/// `daybook backup list`
struct BackupList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the backups of a place, oldest first.",
        discussion: "Example: daybook backup list --out s3://vault/shop --json")

    @Option(help: "A folder, or s3://bucket/prefix. Environment: DAYBOOK_BACKUPS.")
    var out: String?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let target = BackupPlace.target(out, settings)
        let storage = try BackupPlace.storage(target)
        let proven = BackupPlace.journal(settings).provenBackups
        let manifests = try await offPool {
            try BackupCatalog.manifests(in: storage)
        }
        guard json else {
            for (name, manifest) in manifests {
                guard let manifest else {
                    Console.write("\(name): its manifest cannot be read\n")
                    continue
                }
                let rowCount = manifest.tables.reduce(0) { $0 + $1.rows }
                Console.write(
                    "\(name): position \(manifest.position), \(manifest.tables.count) tables, "
                        + "\(rowCount) rows\(manifest.log == nil ? "" : ", with log")"
                        + "\(proven.contains(name) ? ", proven" : "")\n")
            }
            return
        }
        let listing = BackupListing(target: target, manifests: manifests, proven: proven)
        Console.writeJSON { json in
            json.openObject()
            listing.writeMembers(to: &json)
            json.closeObject()
        }
    }
}

/// `daybook backup verify`
struct BackupVerify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Hold a backup against its manifest, and its rows against the log.",
        discussion: """
            Example: daybook backup verify data/backups/backup-2203-20261125T140300Z

            It needs the log and neither Postgres nor a server. It goes on after a bad digest or \
            signature, so that every row that is wrong is named, with the position of its event. \
            Of a folder of backups the newest is taken. Exit status: 0 if all is right, 1 if not.
            """)

    @Argument(help: "A backup, or a folder of backups; a path or an s3:// URL.")
    var backup: String?

    @Flag(help: "Check the files against the manifest only: for where the log is not.")
    var filesOnly = false

    @Option(help: "How many rows of a table are named, of each kind. All are counted.")
    var limit = 1000

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard limit >= 0 else { throw ValidationError("--limit is 0 or more.") }
    }

    func run() async throws {
        let command = self
        let (source, verification) = try await offPool {
            let source = try BackupPlace.open(command.backup, command.settings)
            return (source, try command.verify(source))
        }
        let report = BackupReport(verification: verification)
        if verification.isComparedWithLog || !verification.isSound {
            try? BackupPlace.journal(settings).add(
                .init(
                    .verified, target: source.storage.name, backup: source.name,
                    position: source.head.position, at: SystemClock.wall(),
                    isSound: verification.isSound, what: verification.summary))
        }
        if json {
            Console.writeJSON { json in
                json.openObject()
                report.writeMembers(to: &json)
                json.closeObject()
            }
        } else {
            Console.write(report.text)
        }
        guard verification.isSound else {
            throw CommandFailure(.failed, "\(source.name) is not what it should be")
        }
    }

    private func verify(_ source: BackupSource) throws -> BackupVerification {
        var log: LogReader?
        if !filesOnly {
            do {
                log = try LogReader.open(folder: settings.dataFolder)
            } catch LogError.notALedger(let folder) {
                throw CommandFailure(
                    .usage,
                    "\(folder) is no ledger to hold the backup against; say --data, or "
                        + "--files-only to check its files alone")
            }
        }
        defer { Console.endProgress() }
        return try BackupPlace.verifier(source, log: log, settings, limit: limit)
            .run(progress: BackupPlace.show)
    }
}
