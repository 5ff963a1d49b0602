import DaybookBackup
import DaybookLog
import DaybookProjections
import DaybookSegments
import Foundation
import Postgres

/// The Postgres of a ledger whose log is lost: what it has can still be saved.
enum LostLog {
    /// Whether the folder has no log at all; one that is damaged is another matter.
    static func isLost(_ settings: Settings) -> Bool {
        let path = settings.dataFolder + "/log"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.allSatisfy { !$0.hasSuffix(".avro.lz4") }
    }

    /// The ledger whose tables the Postgres has in which a new ledger is to begin; nil if it has
    /// none, or does not answer. Blocks.
    static func ledgerInPostgres(_ settings: Settings) -> LedgerID? {
        try? use(settings) { try ProjectionHead.ledger($0) }
    }

    /// Runs `body` on a connection. A private cluster that stands still is started for it, and
    /// stopped after. Blocks.
    ///
    /// - Throws: `CommandFailure` with `usage` if there is no such Postgres either.
    static func use<Value>(
        _ settings: Settings, _ body: (PostgresConnection) throws -> Value
    ) throws -> Value {
        guard settings.postgresTarget == "embedded" else {
            let connection = try PostgresConnection(.init(conninfo: settings.postgresTarget))
            try DataFolder.make(settings.dataFolder)
            return try body(connection)
        }
        let folder = settings.dataFolder + "/postgres"
        guard FileManager.default.fileExists(atPath: folder + "/PG_VERSION") else {
            throw CommandFailure(
                .usage,
                "\(settings.dataFolder) has neither a log nor a Postgres; say where they are with "
                    + "--data and --postgres")
        }
        if let running = PrivateCluster.running(dataDirectory: folder) {
            return try body(PostgresConnection(.init(conninfo: running.conninfo)))
        }
        let lock = try DirectoryLock(folder: settings.dataFolder)
        defer { withExtendedLifetime(lock) {} }
        let cluster = PrivateCluster(dataDirectory: folder)
        let running = try Blocking.wait { try await cluster.start() }
        defer { _ = try? Blocking.wait { try await cluster.stop() } }
        return try body(PostgresConnection(.init(conninfo: running.conninfo)))
    }
}
