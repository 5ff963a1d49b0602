import DaybookCatalog
import DaybookLog
import Foundation
import Logging
import Postgres

/// What the builder's thread does: makes the projections anew that the dictionary has changed, one
/// after the other, while the projector keeps the others and readers read the old tables.
struct BuilderLoop: Sendable {
    let engine: any LogEngine
    let catalog: Catalog
    let options: Projector.Options
    let logger: Logger
    let board: StatusBoard
    let connect: @Sendable () throws -> PostgresConnection

    func run() {
        setpriority(Int32(PRIO_PROCESS.rawValue), 0, options.niceness)
        while !board.isStopping {
            guard let name = board.statuses.first(where: { $0.state == .building })?.name else {
                Thread.sleep(forTimeInterval: 0.05)
                continue
            }
            do {
                try build(name)
            } catch let error as RebuildError {
                handle(error, name)
            } catch {
                // Postgres went away, or the log cannot be read now: it goes on from where it was.
                Thread.sleep(forTimeInterval: options.retrySeconds)
            }
        }
    }

    private func build(_ name: String) throws {
        var rebuildOptions = Rebuild.Options(migrationsFolder: options.migrationsFolder)
        rebuildOptions.schema = options.schema
        rebuildOptions.comparesFirst = false
        logger.notice("a projection is built anew", metadata: ["projection": "\(name)"])
        let report = try Rebuild(
            name, catalog: catalog, options: rebuildOptions, source: { [engine] in engine },
            connect: connect, isStopping: { [board] in board.isStopping }
        ).run()
        board.noteChange()
        logger.notice(
            "a projection is built anew and swapped in",
            metadata: [
                "projection": "\(name)", "rows": "\(report.rowCount)",
                "position": "\(report.position)", "notes": "\(report.notes)",
            ])
        // The projector reads the new checkpoint before it says that it runs.
        while !board.isStopping, board.isStale { Thread.sleep(forTimeInterval: 0.01) }
    }

    private func handle(_ error: RebuildError, _ name: String) {
        switch error {
        case .busy, .stopped, .readersInTheWay:
            logger.warning(
                "a projection waits to be built",
                metadata: ["projection": "\(name)", "why": "\(error)"])
            Thread.sleep(forTimeInterval: options.retrySeconds)
        default:
            let reason = ProjectionStatus.failure(of: name, "\(error)")
            let stopped = board.stop(name, .failed, reason: reason)
            // If that cannot be written down now, the projector finds it running and it is tried
            // again.
            if let connection = try? connect() {
                for status in stopped { try? Checkpoints.note(connection, status) }
            }
            logger.critical(
                "a projection stopped", metadata: ["projection": "\(name)", "why": "\(error)"])
        }
    }
}
