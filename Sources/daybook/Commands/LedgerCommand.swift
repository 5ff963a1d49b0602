import ArgumentParser
import Avro
import DaybookBackup
import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook ledger …`
struct LedgerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger", abstract: "Begin a ledger anew.",
        discussion: "Example: daybook ledger create --from-backup vault --data shop2",
        subcommands: [LedgerCreate.self])
}

/// `daybook ledger create`
struct LedgerCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Begin a new ledger with the rows of a backup: for when the log is lost.",
        discussion: """
            Example: daybook ledger create --from-backup vault/backup-2203-20261125T140300Z \
            --data shop2

            The first events say where the rows come from: the backup, its ledger, position and \
            root. Then the rows are imported table by table, each after those that it refers to, \
            and judged as any import. Postgres must hold no tables of another ledger.
            """)

    @Option(help: "A backup, or a folder of backups; a path or an s3:// URL.")
    var fromBackup: String

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        if let present = try? LogReader.open(folder: settings.dataFolder, acceptsDamage: true) {
            throw CommandFailure(
                .usage,
                "\(settings.dataFolder) holds ledger \(present.ledger); name another folder with "
                    + "--data")
        }
        let command = self
        let source = try await offPool {
            let source = try BackupPlace.open(command.fromBackup, command.settings)
            let verification = try BackupPlace.verifier(source, log: nil, command.settings)
                .run(progress: BackupPlace.show)
            Console.endProgress()
            if let summary = verification.summary {
                throw CommandFailure(
                    .failed, "\(source.name) is not what its manifest says: \(summary)")
            }
            return source
        }
        if let found = try await offPool({ LostLog.ledgerInPostgres(command.settings) }) {
            throw CommandFailure(
                .usage,
                "Postgres holds the tables of ledger \(found); name an empty database with "
                    + "--postgres, or for the embedded one another folder with --data")
        }
        let target = try await ImportTarget.find(settings)
        guard case .own(let composition) = target else {
            throw CommandFailure(.usage, "a server runs on \(settings.dataFolder); stop it first")
        }
        do {
            let reports = try await fill(composition, from: source)
            try await target.finish()
            show(reports, composition.log.ledger, source)
        } catch {
            Console.endProgress()
            await target.abandon()
            throw error
        }
    }

    private func fill(
        _ composition: Composition, from source: BackupSource
    ) async throws -> [ImportReport] {
        let tables = try order(source, composition.catalog)
        let name = "provenance/\(source.identity)"
        _ = try await composition.ledger.record(
            [Control(kind: "provenance", text: Array(source.provenance.utf8))],
            idempotencyKey: name,
            requestDigest: Array(name.utf8).withUnsafeBytes { Digest(of: $0).bytes })
        var reports: [ImportReport] = []
        for entry in tables {
            let request = ImportRequest(
                file: "\(source.name)/\(entry.file)", table: entry.table, format: .avro,
                digest: try entry.fileDigest, principal: "local:" + NSUserName())
            let pieces = BackupFilePieces(source: source, file: entry.file)
            let summary = try await composition.importer(of: entry.table).run(
                request,
                progress: { _, rowCount in
                    Console.progress("\(entry.table): \(rowCount) of \(entry.rows) rows")
                }
            ) { try await pieces.next() }
            reports.append(ImportReport(summary))
        }
        Console.endProgress()
        return reports
    }

    /// Tables after those that they refer to.
    private func order(
        _ source: BackupSource, _ catalog: Catalog
    ) throws -> [BackupManifest.TableEntry] {
        var entries = source.manifest.tables
        var ordered: [BackupManifest.TableEntry] = []
        for entry in entries where catalog.table(named: entry.table) == nil {
            throw CommandFailure(
                .usage,
                "the dictionary has no table \(entry.table), which the backup has; name its "
                    + "catalog with --catalog")
        }
        while !entries.isEmpty {
            let waiting = Set(entries.map(\.table))
            let place =
                entries.firstIndex { entry in
                    guard let table = catalog.table(named: entry.table) else { return false }
                    return table.slots.allSatisfy { slot in
                        guard case .reference = slot.role else { return true }
                        let target = catalog.constraints[slot.constraint].table
                        return target == entry.table || !waiting.contains(target)
                    }
                } ?? 0
            ordered.append(entries.remove(at: place))
        }
        return ordered
    }

    private func show(_ reports: [ImportReport], _ ledger: LedgerID, _ source: BackupSource) {
        let rejected = reports.reduce(0) { $0 + $1.rejected }
        guard json else {
            Console.write(
                "ledger \(ledger) in \(settings.dataFolder), begun with \(source.name) of ledger "
                    + "\(source.head.ledger) at position \(source.head.position):\n")
            for report in reports {
                Console.write(
                    "  \(report.table): \(report.rows) rows, \(report.accepted) accepted, "
                        + "\(report.rejected) rejected\n")
            }
            if rejected > 0 {
                Console.error(
                    "daybook: \(rejected) rows were rejected by the dictionary; they are in the "
                        + "log with their reasons: daybook log cat --rejected")
            }
            return
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("ledger", ledger.description)
            json.field("backup", source.name)
            json.field("from_ledger", source.head.ledger.description)
            json.field("from_position", source.head.position)
            json.key("tables")
            json.openArray()
            for report in reports {
                json.openObject()
                report.writeMembers(to: &json)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}

/// A file of a backup in large pieces.
private actor BackupFilePieces {
    private let source: BackupSource
    private let file: String
    private var offset: UInt64 = 0
    private static let pieceByteCount = 1 << 20

    init(source: BackupSource, file: String) {
        self.source = source
        self.file = file
    }

    func next() async throws -> Bytes? {
        let (source, file, start) = (source, file, offset)
        let piece = try await offPool { () -> Bytes in
            var sink = ByteSink(capacity: BackupFilePieces.pieceByteCount)
            try sink.appendUninitialized(upTo: BackupFilePieces.pieceByteCount) {
                try source.storage.read(file, of: source.name, at: start, into: $0)
            }
            return sink.finish()
        }
        offset += UInt64(piece.count)
        return piece.count == 0 ? nil : piece
    }
}
