import DaybookBackup
import DaybookLog
import DaybookSegments
import Foundation
import Postgres
import Synchronization

/// Where Postgres is: at a URL, or in a private cluster that we start.
final class PostgresPlace: Sendable {
    private enum Kind {
        case url(String)
        case embedded(PrivateCluster)
    }

    private let kind: Kind
    private let known: Mutex<String>
    /// Where a private cluster is if not in the ledger's folder, to be said at the start.
    let note: String?

    init(_ settings: Settings, ledger: LedgerID) {
        guard settings.postgresTarget == "embedded" else {
            kind = .url(settings.postgresTarget)
            known = Mutex(settings.postgresTarget)
            note = nil
            return
        }
        let folder = PostgresPlace.clusterFolder(settings, ledger: ledger)
        kind = .embedded(PrivateCluster(dataDirectory: folder))
        known = Mutex("")
        note =
            folder.hasPrefix(settings.dataFolder)
            ? nil
            : "Postgres is kept in \(folder): its user cannot reach \(settings.dataFolder)"
    }

    /// What psql takes; empty until a private cluster has answered for the first time.
    var conninfo: String { known.withLock { $0 } }

    /// A new connection; starts a private cluster that does not run. Blocks: never called on the
    /// cooperative pool.
    func connect() throws -> PostgresConnection {
        if case .embedded(let cluster) = kind {
            let running = try Blocking.wait { try await cluster.start() }
            known.withLock { $0 = running.conninfo }
        }
        let connection = try PostgresConnection(.init(conninfo: conninfo))
        if case .embedded = kind {
            // The backend of a private cluster shares our processors: appends come first.
            setpriority(
                Int32(PRIO_PROCESS.rawValue), id_t(connection.backendProcessIdentifier), 5)
        }
        return connection
    }

    /// Stops a private cluster.
    func stop() async {
        if case .embedded(let cluster) = kind { try? await cluster.stop() }
    }

    /// Where a projection stands.
    struct Checkpoint {
        let head: TreeHead
        /// Why it is paused; nil if it is not.
        let pauseReason: String?
    }

    /// The furthest checkpoint in a Postgres that runs; nil if none answers. Asked before a torn
    /// tail is cut: what Postgres has was durable.
    static func furthestCheckpoint(_ settings: Settings) -> TreeHead? {
        checkpoints(settings)?.places.values.map(\.head).max { $0.position < $1.position }
    }

    /// All checkpoints by projection; a private cluster that stands still is started to be asked.
    /// Only for whoever has the ledger's lock. Blocks.
    static func checkpointsAtRest(_ settings: Settings) -> [String: Checkpoint]? {
        if let found = checkpoints(settings) { return found.places }
        guard settings.postgresTarget == "embedded",
            let ledger = ledger(settings)
        else { return nil }
        let folder = clusterFolder(settings, ledger: ledger)
        guard access(folder, F_OK) == 0 else { return nil }
        let cluster = PrivateCluster(dataDirectory: folder)
        guard (try? Blocking.wait { try await cluster.start() }) != nil else { return nil }
        defer { _ = try? Blocking.wait { try await cluster.stop() } }
        return checkpoints(settings)?.places
    }

    /// All checkpoints by projection, in a Postgres that runs; nil if none answers.
    static func checkpoints(
        _ settings: Settings
    ) -> (conninfo: String, places: [String: Checkpoint])? {
        guard let ledger = ledger(settings),
            let conninfo = runningConninfo(settings, ledger: ledger),
            let connection = try? PostgresConnection(.init(conninfo: conninfo)),
            let rows = try? connection.query(
                """
                SELECT projection, position, tree_size, root,
                       CASE state WHEN 'paused' THEN reason END AS pause_reason
                  FROM daybook.checkpoints
                 WHERE ledger = $1::uuid
                """, [.text(ledger.description)], format: .binary)
        else { return nil }
        var places: [String: Checkpoint] = [:]
        for row in rows {
            guard let name = row.text("projection"), let position = row.int64("position"),
                let size = row.int64("tree_size"), let root = row.bytes("root"),
                root.count == Digest.byteCount
            else { continue }
            let head = TreeHead(
                ledger: ledger, size: UInt64(size), position: position,
                root: root.withUnsafeBytes { Digest($0) })
            places[name] = Checkpoint(head: head, pauseReason: row.text("pause_reason"))
        }
        return (conninfo, places)
    }

    /// The ledger of the log, which may be damaged: whose it is stands in any segment.
    private static func ledger(_ settings: Settings) -> LedgerID? {
        try? LogReader.open(folder: settings.dataFolder, acceptsDamage: true).durable.ledger
    }

    /// The conninfo of a Postgres that runs, as far as is known without asking it.
    static func conninfo(_ settings: Settings) -> String? {
        guard let ledger = ledger(settings) else { return nil }
        return runningConninfo(settings, ledger: ledger)
    }

    private static func runningConninfo(_ settings: Settings, ledger: LedgerID) -> String? {
        guard settings.postgresTarget == "embedded" else { return settings.postgresTarget }
        let folder = clusterFolder(settings, ledger: ledger)
        return PrivateCluster.running(dataDirectory: folder)?.conninfo
    }

    /// `data/postgres`, unless root's Postgres, who is another user, cannot get there.
    private static func clusterFolder(_ settings: Settings, ledger: LedgerID) -> String {
        let near = settings.dataFolder + "/postgres"
        let isReachable = geteuid() != 0 || DataFolder.isOpenToOthers(settings.dataFolder)
        return isReachable ? near : "/var/lib/daybook/\(ledger)"
    }
}
