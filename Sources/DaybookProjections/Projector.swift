import DaybookCatalog
import DaybookLog
import Foundation
import Logging
import Postgres

/// Keeps the tables, the aggregates and the audit in Postgres in step with the log, on threads of
/// its own; makes those anew, beside the old ones, whose definition has changed.
///
/// It waits for Postgres as long as it takes, and catches up when it is there. Rows and checkpoints
/// commit together, so an event is applied exactly once whatever is killed when. It asserts that it
/// never passes over a position.
public final class Projector: Sendable {
    /// What a projector works with.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables.
        public var schema = "public"
        /// The folder of our own migrations.
        public var migrationsFolder: String
        /// A transaction takes no further block when it has so many rows.
        public var rowLimit = 200_000
        /// How much of the log is read at a time, in bytes of blocks.
        public var byteLimit = 16 << 20
        /// How long it waits before it tries an unreachable Postgres again.
        public var retrySeconds = 0.5
        /// How far the projector stands behind appends where both want the processor.
        public var niceness: Int32 = 5
        /// Told, once, why the log has not what the database was made from: nothing should be
        /// appended to it any more.
        public var onLogContradicted: @Sendable (_ reason: String) -> Void = { _ in }

        /// The defaults, with the folder that holds `NNNN_name.sql`.
        public init(migrationsFolder: String) {
            self.migrationsFolder = migrationsFolder
        }
    }

    private let loop: ProjectionLoop
    private let builder: BuilderLoop
    private let board: StatusBoard

    /// A projector of `engine`'s events. `connect` gives a new connection, and may start Postgres
    /// for that; it is called again after every loss.
    public init(
        engine: any LogEngine, catalog: Catalog, options: Options, logger: Logger,
        connect: @escaping @Sendable () throws -> PostgresConnection
    ) {
        board = StatusBoard(ProjectionShape.names(of: catalog))
        loop = ProjectionLoop(
            engine: engine, catalog: catalog, options: options, logger: logger, board: board,
            connect: connect)
        builder = BuilderLoop(
            engine: engine, catalog: catalog, options: options, logger: logger, board: board,
            connect: connect)
    }

    /// Every projection's state, in order of name.
    public var statuses: [ProjectionStatus] { board.statuses }

    /// Whether Postgres is there.
    public var postgres: PostgresState { board.postgres }

    /// Begins to project.
    public func start() {
        board.begin(threadCount: 2)
        start("projector") { [loop] in loop.run() }
        start("builder") { [builder] in builder.run() }
    }

    private func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread { [board] in
            body()
            board.endThread()
        }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Ends after the transaction under way, and waits for that.
    public func stop() async { await board.stopAndWait() }

    /// Waits until the projections `names` (all, if none are given) have applied all below
    /// `position`, or the time is over; whether they have. One that has stopped never will.
    public func waitUntilApplied(
        _ position: Position, by names: [String]? = nil, timeoutSeconds: Double
    ) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var pause = Duration.milliseconds(1)
        while true {
            let behind = statuses.filter {
                $0.position < position && names?.contains($0.name) ?? true
            }
            if behind.isEmpty { return true }
            let isHopeless = behind.contains { $0.state != .running && $0.state != .building }
            if isHopeless || ContinuousClock.now >= deadline { return false }
            try? await Task.sleep(for: pause)
            if Task.isCancelled { return false }
            pause = min(pause * 2, .milliseconds(20))
        }
    }

    /// Whether every projection is at or beyond `position`.
    public func hasApplied(_ position: Position) -> Bool {
        statuses.allSatisfy { $0.position >= position }
    }
}
