import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import Logging
import Postgres

/// What the projector's thread does: connects, applies what is durable, begins again when the
/// connection is lost, and stands still when log and database contradict each other.
struct ProjectionLoop: Sendable {
    let engine: any LogEngine
    let catalog: Catalog
    let options: Projector.Options
    let logger: Logger
    let board: StatusBoard
    let connect: @Sendable () throws -> PostgresConnection

    func run() {
        // Whoever appends waits for an answer; who reads the tables knows that they follow. On
        // Linux a thread has a priority of its own: setpriority(2), "C library/kernel differences".
        setpriority(Int32(PRIO_PROCESS.rawValue), 0, options.niceness)
        while !board.isStopping {
            do {
                try project()
            } catch ProjectionFault.contradiction(let reason) {
                // Postgres itself has told it: whoever asks for it need not wait.
                _ = board.set(.connected)
                halt(reason)
            } catch ProjectionFault.logContradicted(let reason) {
                _ = board.set(.connected)
                options.onLogContradicted(reason)
                halt(reason)
            } catch ProjectionFault.checkpointMoved {
                logger.notice("a checkpoint has moved, all are read again")
            } catch LogError.corrupt(let corruption) {
                let position = corruption.position
                halt("the log cannot be read from position \(position): \(corruption.what)")
            } catch let error as LogError {
                logger.error("the log cannot be read now", metadata: ["why": "\(error)"])
                pause(seconds: options.retrySeconds)
            } catch is AvroDecodingError, is FrameFault {
                halt("a record in the log is not what its schema says: run `daybook log verify`")
            } catch {
                wait(for: error)
            }
        }
    }

    /// Connects, sets up, and applies blocks until something fails or it is to stop.
    private func project() throws {
        let connection = try connect()
        // What a crash of Postgres takes back, rows and checkpoint together, is applied again; so
        // nobody has to wait for its disk.
        try connection.execute("SET synchronous_commit = off")
        try setUp(connection)
        let transcoders = TranscoderSet(catalog: catalog)
        var lastLook = ContinuousClock.now
        while !board.isStopping {
            if board.isStale || ContinuousClock.now - lastLook > .seconds(1) {
                try readAgainIfChanged(connection)
                lastLook = .now
            }
            guard let position = running.map(\.from).min() else {
                pause(seconds: 0.25)
                continue
            }
            var blocks = try engine.blocks(from: position, byteLimit: options.byteLimit)[...]
            if blocks.isEmpty {
                _ = engine.waitForEvents(from: position, timeoutSeconds: 0.25)
                try connection.checkAlive()
            }
            while !blocks.isEmpty, !board.isStopping {
                try apply(takeTransaction(from: &blocks), connection, transcoders)
            }
        }
    }

    private func setUp(_ connection: PostgresConnection) throws {
        try Migrations(folder: options.migrationsFolder, schema: "daybook").apply(on: connection)
        let setup = TableSetup(
            connection: connection, catalog: catalog, schema: options.schema, source: engine)
        for status in board.load(try setup.run(previous: board.statuses)) {
            sayStopped(status)
            try Checkpoints.note(connection, status)
        }
        if board.set(.connected) { logger.info("Postgres is there") }
    }

    /// Looks whether somebody has paused, resumed or rebuilt a projection.
    private func readAgainIfChanged(_ connection: PostgresConnection) throws {
        let entries = try Checkpoints.load(connection, ledger: engine.ledger)
        let isChanged = board.statuses.contains { status in
            guard let entry = entries[status.name] else { return false }
            switch status.state {
            case .running: return entry.state == .paused || entry.head.position != status.position
            case .paused, .failed: return entry.state == .running
            case .building:
                return entry.shape == ProjectionShape.digest(of: status.name, in: catalog)
            case .halted: return false
            }
        }
        if isChanged || board.isStale { throw ProjectionFault.checkpointMoved }
    }

    private var running: [ProjectionStep.Participant] {
        board.statuses.filter { $0.state == .running }.map {
            ProjectionStep.Participant(name: $0.name, from: $0.position)
        }
    }

    /// Takes as many blocks as a transaction holds.
    private func takeTransaction(
        from blocks: inout ArraySlice<DurableBlock>
    ) -> ArraySlice<DurableBlock> {
        var rowCount = 0
        let taken = blocks.prefix { block in
            defer { rowCount += Int(block.endPosition - block.firstPosition) }
            return rowCount < options.rowLimit
        }
        blocks = blocks[taken.endIndex...]
        return taken
    }

    /// Applies blocks in one transaction; when a projection cannot go on, without it.
    private func apply(
        _ blocks: ArraySlice<DurableBlock>, _ connection: PostgresConnection,
        _ transcoders: TranscoderSet
    ) throws {
        guard let start = blocks.first?.firstPosition, let head = blocks.last?.head else { return }
        while true {
            let participants = running
            let moving = participants.filter { $0.from < head.position }
            if moving.isEmpty { return }
            precondition(
                moving.allSatisfy { start <= $0.from },
                "no position is passed over; that none lies in a batch is the step's to see")
            do {
                try connection.transaction {
                    try Checkpoints.move(connection, moving.map { ($0.name, $0.from) }, to: head)
                    let step = ProjectionStep(
                        connection, into: .init(schema: options.schema),
                        transcoders: transcoders, participants: moving,
                        retractions: .asTheyCome(engine))
                    try step.apply(blocks)
                }
                board.move(moving.map(\.name), to: head.position)
                if moving.count == participants.count { engine.note(checkpoint: head) }
                return
            } catch ProjectionFault.cannotApply(let name, let reason) {
                for status in stop(name, reason) { try Checkpoints.note(connection, status) }
            }
        }
    }

    /// One projection cannot go on: it stands where it is, and the others do go on.
    @discardableResult
    private func stop(_ name: String, _ reason: String) -> [ProjectionStatus] {
        let stopped = board.stop(
            name, .failed, reason: ProjectionStatus.failure(of: name, reason))
        for status in stopped { sayStopped(status) }
        return stopped
    }

    private func sayStopped(_ status: ProjectionStatus) {
        logger.critical(
            "a projection stopped",
            metadata: [
                "projection": "\(status.name)", "position": "\(status.position)",
                "why": "\(status.reason ?? "")",
            ])
    }

    /// Nothing can go on: all stands until a restart, and the database is left as it is.
    private func halt(_ reason: String) {
        _ = board.stop(nil, .halted, reason: reason)
        logger.critical("all projections stopped", metadata: ["why": "\(reason)"])
        while !board.isStopping { pause(seconds: 1) }
    }

    /// Postgres could not be reached, or went away: says so once, and waits a little.
    private func wait(for error: any Error) {
        if board.set(.unreachable("\(error)")) {
            logger.warning("Postgres is not there, appends go on", metadata: ["why": "\(error)"])
        }
        pause(seconds: options.retrySeconds)
    }

    private func pause(seconds: Double) {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while !board.isStopping, ContinuousClock.now < deadline {
            Thread.sleep(forTimeInterval: 0.02)
        }
    }
}
