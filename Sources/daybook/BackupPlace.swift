import DaybookBackup
import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookSegments
import Foundation

/// Where the backups of a ledger are, and what goes with them.
enum BackupPlace {
    /// The place that was asked for, or the usual one: a path or a URL.
    static func target(_ given: String?, _ settings: Settings) -> String {
        let target =
            given ?? Settings.environment("BACKUPS") ?? settings.dataFolder + "/backups"
        return target.contains("://")
            ? target : URL(fileURLWithPath: target).standardizedFileURL.path
    }

    /// The storage that a target names.
    static func storage(_ target: String) throws -> any BackupStorage {
        do {
            return try BackupTarget.storage(
                target, environment: ProcessInfo.processInfo.environment)
        } catch {
            throw BackupError.storage(error)
        }
    }

    /// The backup that `given` names: its own folder, or a folder of backups, of which the newest
    /// is taken; nil is the usual folder.
    static func open(_ given: String?, _ settings: Settings) throws -> BackupSource {
        let target = target(given, settings)
        let trimmed = target.hasSuffix("/") ? String(target.dropLast()) : target
        if given != nil, let slash = trimmed.lastIndex(of: "/") {
            let name = String(trimmed[trimmed.index(after: slash)...])
            let parent = String(trimmed[..<slash])
            if !name.isEmpty, !parent.hasSuffix(":/") {
                let storage = try storage(parent.isEmpty ? "/" : parent)
                do {
                    return try BackupSource(name, in: storage)
                } catch BackupError.notFound {
                    // Then it may be a folder of backups.
                }
            }
        }
        let ledger = try? LogReader.open(folder: settings.dataFolder, acceptsDamage: true).ledger
        guard let newest = try BackupSource.newest(in: try storage(trimmed), of: ledger) else {
            throw BackupError.notFound(
                "\(trimmed) is no backup, and has none of this ledger; see `daybook backup list`")
        }
        return newest
    }

    /// The ledger's signing key; it is made where there is none.
    static func key(_ settings: Settings) throws -> SigningKey {
        try SigningKey(path: settings.dataFolder + "/ledger.key")
    }

    /// The ledger's public key, if this is where it signs.
    static func trustedKey(_ settings: Settings) -> VerifyingKey? {
        let path = settings.dataFolder + "/ledger.key"
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try? SigningKey(path: path).publicKey
    }

    static func journal(_ settings: Settings) -> BackupJournal {
        BackupJournal(path: settings.dataFolder + "/backups.json")
    }

    /// What holds a backup against itself and, if it is at hand, the ledger's log.
    static func verifier(
        _ source: BackupSource, log: (any SegmentedLog)?, _ settings: Settings,
        limit: Int = 1000
    ) -> BackupVerifier {
        let catalog = try? CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        var options = BackupVerifier.Options()
        options.comparison.sampleLimit = limit
        return BackupVerifier(
            source, log: log, catalog: catalog, trustedKey: trustedKey(settings),
            options: options)
    }

    /// Shows how far a verification is.
    static func show(_ what: String, _ done: Int64) { Console.progress("\(what): \(done)") }
}
