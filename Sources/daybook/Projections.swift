import DaybookCatalog
import DaybookLog
import DaybookProjections
import DaybookSegments
import DaybookServer
import Foundation
import Logging
import Postgres
import Synchronization

/// The projector and the Postgres that it projects into: a server of the user's, or one of our own
/// that runs while we do.
final class Projections: ProjectionStatusSource {
    private let projector: Projector
    private let place: PostgresPlace
    private let catalog: Catalog
    private let log: SegmentLog
    /// Whether Postgres was started or waited for, and so is to be let go of.
    private let isUsed = Mutex(false)

    /// How long a command waits for a Postgres that does not answer.
    private static let patienceSeconds = 30.0

    init(
        _ settings: Settings, catalog: Catalog, catalogFolder: String, log: SegmentLog,
        logger: Logger, onLogContradicted: @escaping @Sendable (String) -> Void
    ) {
        let place = PostgresPlace(settings, ledger: log.ledger)
        self.place = place
        self.catalog = catalog
        self.log = log
        var options = Projector.Options(migrationsFolder: catalogFolder + "/sql/migrations")
        options.onLogContradicted = onLogContradicted
        projector = Projector(
            engine: log, catalog: catalog, options: options, logger: logger,
            connect: { try place.connect() })
        if let note = place.note { logger.notice("\(note)") }
    }

    var end: Position { log.durable.position }

    /// Begins to project. Postgres is started or waited for on the projector's own thread.
    func start() {
        isUsed.withLock { $0 = true }
        projector.start()
    }

    /// A connection for a command beside the projector, or instead of it. Blocks.
    func connect() throws -> PostgresConnection {
        isUsed.withLock { $0 = true }
        return try place.connect()
    }

    /// Ends after the transaction under way, and stops a Postgres of our own.
    func stop() async {
        guard isUsed.withLock({ $0 }) else { return }
        await projector.stop()
        await place.stop()
    }

    /// Waits until Postgres has all that the log has; false if that cannot be now.
    func projectToEnd(progress: (_ lag: Int64) -> Void) async -> Bool {
        let end = log.durable.position
        var deadline = ContinuousClock.now + .seconds(Projections.patienceSeconds)
        while !(await projector.waitUntilApplied(end, timeoutSeconds: 0.2)) {
            let statuses = projector.statuses
            if statuses.contains(where: { $0.state != .running && $0.state != .building }) {
                return false
            }
            if projector.postgres == .connected {
                deadline = ContinuousClock.now + .seconds(Projections.patienceSeconds)
            } else if ContinuousClock.now > deadline {
                return false
            }
            progress(end - (statuses.map(\.position).min() ?? 0))
        }
        return true
    }

    /// Why Postgres does not have all of it.
    var fault: String? {
        if let reason = projector.statuses.compactMap(\.reason).first { return reason }
        guard case .unreachable(let reason) = projector.postgres else { return nil }
        return reason
    }

    var projections: [DaybookServer.ProjectionStatus] {
        let isConnected = projector.postgres == .connected
        let kept = projector.statuses.map { status in
            let isWaiting = status.state == .running && !isConnected
            return DaybookServer.ProjectionStatus(
                name: status.name, position: status.position,
                state: isWaiting ? "waiting" : status.state.rawValue, reason: status.reason)
        }
        return kept.sorted { $0.name < $1.name }
    }

    var postgres: String { place.conninfo }

    var postgresState: String {
        switch projector.postgres {
        case .starting: "starting"
        case .connected: "connected"
        case .unreachable: "unreachable"
        }
    }
}
