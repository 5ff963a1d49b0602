import DaybookBackup
import DaybookLedger
import DaybookLog
import DaybookProjections
import DaybookSegments
import Foundation
import Postgres
import TestSupport

@testable import LedgerWorld

/// What tests of backups do with a world.
extension World {
    /// The ledger's key in these tests.
    func signingKey() throws -> SigningKey { try SigningKey(path: folder.path("ledger.key")) }

    /// The folder of its backups.
    var backups: FolderStorage { FolderStorage(path: folder.path("backups")) }

    /// Makes a backup; each has a second of its own, so their names differ.
    func backUp(change: (inout BackupMaker.Options) -> Void = { _ in }) throws -> BackupSource {
        var options = BackupMaker.Options()
        options.patienceSeconds = 1
        change(&options)
        let count = try backups.backups().count
        let maker = BackupMaker(
            try PostgresConnection(.init(conninfo: conninfo)), catalog: catalog,
            key: try signingKey(), options: options, log: { [log] _ in log },
            clock: { Int64(1_600_000_000 + count) * 1_000_000 })
        let manifest = try maker.run(into: backups)
        return try BackupSource(manifest.name, in: backups)
    }

    /// What holds a backup against itself and the log.
    func verifier(_ source: BackupSource) throws -> BackupVerifier {
        BackupVerifier(
            source, log: log, catalog: catalog,
            trustedKey: try signingKey().publicKey)
    }

    /// Restores from a backup, or from the log.
    @discardableResult
    func restore(
        from source: BackupSource?, change: (inout Restore.Options) -> Void
    ) throws -> Restore.Report {
        var options = Restore.Options(migrationsFolder: packageRoot + "/sql/migrations")
        options.patienceSeconds = 5
        change(&options)
        return try Restore(
            from: try source.map { try verifier($0).prove() }, catalog: catalog,
            options: options, log: { [log] in log },
            connect: { [conninfo] in try PostgresConnection(.init(conninfo: conninfo)) },
            clock: { .max / 2 }
        ).run()
    }
}
