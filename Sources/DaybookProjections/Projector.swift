import DaybookCatalog
import DaybookLog
import Foundation
import Logging
import Postgres
import Synchronization

/// Keeps the tables and the audit in Postgres in step with the log, on a thread of its own.
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
        /// A transaction holds about so many rows when there is a backlog.
        public var rowLimit = 50_000
        /// How much of the log is looked at for one transaction, in bytes of blocks.
        public var byteLimit = 4 << 20
        /// How long it waits before it tries an unreachable Postgres again.
        public var retrySeconds = 0.5

        public init(migrationsFolder: String) {
            self.migrationsFolder = migrationsFolder
        }
    }

    private let engine: any LogEngine
    private let catalog: Catalog
    private let connect: @Sendable () throws -> PostgresConnection
    private let options: Options
    private let logger: Logger
    private let shared: Mutex<Shared>

    private struct Shared {
        var statuses: [String: ProjectionStatus]
        var postgres = PostgresState.starting
        var isStopping = false
        var isRunning = false
        var finished: [CheckedContinuation<Void, Never>] = []
    }

    /// A projector of `engine`'s events. `connect` gives a new connection, and may start Postgres
    /// for that; it is called again after every loss.
    public init(
        engine: any LogEngine, catalog: Catalog, options: Options, logger: Logger,
        connect: @escaping @Sendable () throws -> PostgresConnection
    ) {
        self.engine = engine
        self.catalog = catalog
        self.options = options
        self.logger = logger
        self.connect = connect
        let names = catalog.tables.map(\.name) + [auditProjectionName]
        let statuses = names.map { ($0, ProjectionStatus(name: $0, position: 0)) }
        shared = Mutex(Shared(statuses: Dictionary(uniqueKeysWithValues: statuses)))
    }

    /// Every projection's state by name.
    public var statuses: [ProjectionStatus] {
        shared.withLock { $0.statuses.values.sorted { $0.name < $1.name } }
    }

    /// Whether Postgres is there.
    public var postgres: PostgresState { shared.withLock { $0.postgres } }

    /// Begins to project.
    public func start() {
        let isFirst = shared.withLock { shared in
            defer { shared.isRunning = true }
            return !shared.isRunning
        }
        precondition(isFirst, "a projector is started once")
        let thread = Thread { self.run() }
        thread.name = "projector"
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Ends after the transaction under way, and waits for that.
    public func stop() async {
        await withCheckedContinuation { continuation in
            let isDone = shared.withLock { shared in
                shared.isStopping = true
                if shared.isRunning { shared.finished.append(continuation) }
                return !shared.isRunning
            }
            if isDone { continuation.resume() }
        }
    }

    /// Waits until every running projection has applied all below `position`, or the time is over;
    /// whether they have.
    public func waitUntilApplied(_ position: Position, timeoutSeconds: Double) async -> Bool {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var pause = Duration.milliseconds(1)
        while !hasApplied(position) {
            if ContinuousClock.now >= deadline { return false }
            try? await Task.sleep(for: pause)
            if Task.isCancelled { return false }
            pause = min(pause * 2, .milliseconds(20))
        }
        return true
    }

    /// Whether every projection is at or beyond `position`.
    public func hasApplied(_ position: Position) -> Bool {
        shared.withLock { $0.statuses.values.allSatisfy { $0.position >= position } }
    }

    private var isStopping: Bool { shared.withLock { $0.isStopping } }

    private func run() {
        while !isStopping {
            do {
                try project()
            } catch let fault as ProjectionFault {
                halt(fault)
            } catch {
                wait(for: error)
            }
        }
        let finished = shared.withLock { shared in
            shared.isRunning = false
            return shared.finished
        }
        for continuation in finished { continuation.resume() }
    }

    /// Postgres could not be reached or went away: says so once, and waits a little.
    private func wait(for error: any Error) {
        let reason = "\(error)"
        let isNews = shared.withLock { shared in
            defer { shared.postgres = .unreachable(reason) }
            return shared.postgres != .unreachable(reason)
        }
        if isNews {
            logger.warning(
                "Postgres is not there, appends go on", metadata: ["why": "\(reason)"])
        }
        pause(options.retrySeconds)
    }

    private func pause(_ seconds: Double) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !isStopping, ContinuousClock.now < deadline { Thread.sleep(forTimeInterval: 0.02) }
    }

    /// The log and the database contradict each other, or nothing can go on: stands until a restart.
    private func halt(_ fault: ProjectionFault) {
        let (name, reason): (String?, String) =
            switch fault {
            case .cannotApply(let projection, let reason): (projection, reason)
            case .contradiction(let reason): (nil, reason)
            }
        shared.withLock { shared in
            for key in shared.statuses.keys where name == nil || name == key {
                shared.statuses[key]?.state = name == nil ? .halted : .failed
                shared.statuses[key]?.reason = reason
            }
        }
        logger.critical(
            "a projection stopped",
            metadata: ["projection": "\(name ?? "all")", "why": "\(reason)"])
        if name == nil { while !isStopping { pause(1) } }
    }

    /// Connects, sets up, and applies blocks until something fails or it is to stop.
    private func project() throws {
        let connection = try connect()
        try Migrations(folder: options.migrationsFolder, schema: "daybook").apply(on: connection)
        let setup = TableSetup(
            connection: connection, catalog: catalog, schema: options.schema,
            ledger: engine.ledger)
        let checkpoints = try setup.run()
        for (name, checkpoint) in checkpoints {
            try Checkpoints.check(checkpoint, of: name, engine: engine)
        }
        shared.withLock { shared in
            shared.postgres = .connected
            for (name, checkpoint) in checkpoints where shared.statuses[name] != nil {
                shared.statuses[name]?.position = checkpoint.position
            }
        }
        logger.info("Postgres is there", metadata: ["projections": "\(checkpoints.count)"])
        let transcoders = TranscoderSet(catalog: catalog)
        while !isStopping {
            let participants = shared.withLock { shared in
                shared.statuses.values.filter { $0.state == .running }.map {
                    ProjectionStep.Participant(name: $0.name, from: $0.position)
                }
            }
            guard let position = participants.map(\.from).min() else {
                pause(1)
                continue
            }
            let blocks = try engine.blocks(from: position, byteLimit: options.byteLimit)
            if blocks.isEmpty {
                _ = engine.waitForEvents(from: position, timeoutSeconds: 0.25)
                continue
            }
            try apply(blocks, participants, connection, transcoders)
        }
    }

    /// Applies as many of the blocks as fit a transaction.
    private func apply(
        _ blocks: [DurableBlock], _ participants: [ProjectionStep.Participant],
        _ connection: PostgresConnection, _ transcoders: TranscoderSet
    ) throws {
        var count = 0
        var rows = 0
        for block in blocks where rows < options.rowLimit {
            rows += Int(block.endPosition - block.firstPosition)
            count += 1
        }
        let taken = Array(blocks.prefix(count))
        let head = taken[count - 1].head
        let moving = participants.filter { $0.from < head.position }
        precondition(
            moving.allSatisfy { $0.from >= taken[0].firstPosition },
            "a projector never passes over a position")
        do {
            try connection.transaction {
                let step = ProjectionStep(
                    connection, schema: options.schema, transcoders: transcoders,
                    participants: moving)
                try step.apply(taken)
                try Checkpoints.move(connection, moving.map { ($0.name, $0.from) }, to: head)
            }
        } catch ProjectionFault.cannotApply(let name, let reason) {
            try stop(name, reason, at: head, connection)
            return
        }
        shared.withLock { shared in
            for participant in moving {
                shared.statuses[participant.name]?.position = head.position
            }
        }
        if moving.count == participants.count { engine.note(checkpoint: head) }
    }

    /// One projection cannot go on: it stands where it is, and the others do go on.
    private func stop(
        _ name: String, _ reason: String, at head: TreeHead, _ connection: PostgresConnection
    ) throws {
        let status = shared.withLock { shared in
            shared.statuses[name]?.state = .failed
            shared.statuses[name]?.reason =
                "\(reason); mend the cause and start the server again"
            return shared.statuses[name]
        }
        guard let status else { return }
        logger.critical(
            "a projection stopped",
            metadata: [
                "projection": "\(name)", "position": "\(status.position)", "why": "\(reason)",
            ])
        try Checkpoints.note(connection, status, head: head)
    }
}
