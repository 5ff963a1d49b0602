import DaybookBackup
import DaybookLog
import DaybookServer
import Dispatch
import Foundation
import Logging
import Postgres
import ServiceLifecycle
import Synchronization

/// The backups of a running server: when they are due, and when somebody asks by HTTP. One thing is
/// done at a time.
final class ServerBackups: BackupKeeper, Service {
    private struct State {
        var running: BackupActivity?
        var beginCount = 0
        /// What came of the last few that were asked for.
        var outcomes: [Int: Result<MadeBackup, BackupFailure>] = [:]
        var lastFailure: BackupFailure?
        var failureCount = 0
        /// What the last backup of all tables was of, should the journal not take it.
        var lastMade: (position: Position, at: Microseconds)?
    }

    let work: BackupWork
    let logger: Logger
    private let state = Mutex(State())
    /// The threads that are at work.
    private let threads = DispatchGroup()
    /// Wakes the schedule's thread.
    private let bell = DispatchSemaphore(value: 0)
    private let isStarted = Mutex(false)

    private static let outcomeCount = 8
    /// How long the end waits for what cannot be cut short, in seconds.
    private static let patienceSeconds = 10.0
    private static let niceness: Int32 = 10

    init(_ work: BackupWork, logger: Logger) {
        self.work = work
        self.logger = logger
    }

    // MARK: The service

    /// Works until the server is to stop.
    func run() async throws {
        start()
        try? await gracefulShutdown()
        await stop()
    }

    private func start() {
        isStarted.withLock { isStarted in
            precondition(!isStarted, "a service runs once")
            isStarted = true
        }
        launch("backup-schedule") { [self] in
            work.clearRemains()
            var scheduler = BackupScheduler(self, plan: work.plan)
            scheduler.run()
        }
    }

    /// Ends what is under way, leaving nothing half done, and begins nothing more.
    func stop() async {
        try? await offPool { [self] in
            work.stop()
            bell.signal()
            if threads.wait(timeout: .now() + ServerBackups.patienceSeconds) == .timedOut {
                logger.warning("a backup or drill did not end in time")
            }
        }
    }

    /// Waits so long, or until the server is to stop.
    func pause(seconds: Double) {
        guard !work.isStopping else { return }
        _ = bell.wait(timeout: .now() + seconds)
    }

    private func launch(_ name: String, _ body: @escaping @Sendable () -> Void) {
        threads.enter()
        let thread = Thread { [threads] in
            // On Linux a thread has a priority of its own; whoever appends comes first.
            setpriority(Int32(PRIO_PROCESS.rawValue), 0, ServerBackups.niceness)
            body()
            threads.leave()
        }
        thread.name = name
        thread.stackSize = 2 << 20
        thread.start()
    }

    // MARK: What is asked by HTTP

    func begin(_ order: BackupOrder) throws(BackupRefusal) -> Int {
        // Whoever ends all waits for this too: the place may be ours and the thread not there yet.
        threads.enter()
        defer { threads.leave() }
        let number = try claim(.backup)
        launch("backup") { [self] in
            let result = makeClaimed(order)
            state.withLock { state in
                state.outcomes[number] = result
                state.outcomes[number - ServerBackups.outcomeCount] = nil
                state.running = nil
            }
        }
        return number
    }

    func outcome(of number: Int) -> Result<MadeBackup, BackupFailure>? {
        state.withLock { $0.outcomes[number] }
    }

    func listing() throws(BackupFailure) -> BackupListing {
        do {
            return BackupListing(
                target: work.plan.target,
                manifests: try BackupCatalog.manifests(in: try work.storage()),
                proven: work.journal.history.provenBackups)
        } catch {
            throw failure(error)
        }
    }

    var status: BackupStatus {
        let history = work.journal.history
        let now = SystemClock.wall()
        func age(_ time: Microseconds?) -> Int64? { time.map { max(0, now - $0) / 1_000_000 } }
        var status = BackupStatus()
        status.ageSeconds = age(history.ages.made)
        status.provenAgeSeconds = age(history.ages.proven)
        status.isLastDrillSound = history.lastDrill?.isSound
        state.withLock { state in
            status.running = state.running
            status.lastFailure = state.lastFailure
            status.failureCount = state.failureCount
        }
        return status
    }

    // MARK: One at a time

    /// Takes the one place there is.
    private func claim(_ kind: BackupActivity.Kind) throws(BackupRefusal) -> Int {
        let result = state.withLock { state -> Result<Int, BackupRefusal> in
            if work.isStopping { return .failure(.stopping) }
            if let running = state.running { return .failure(.busy(running)) }
            state.beginCount += 1
            state.running = BackupActivity(kind, since: SystemClock.wall(), progress: "beginning")
            return .success(state.beginCount)
        }
        return try result.get()
    }

    /// Makes a backup if nothing else runs; nil if something does.
    func makeScheduled() -> Result<MadeBackup, BackupFailure>? {
        guard (try? claim(.backup)) != nil else { return nil }
        defer { state.withLock { $0.running = nil } }
        return makeClaimed(BackupOrder())
    }

    /// Tries the newest backup out if nothing else runs; nil if something does.
    func drillScheduled() -> Result<BackupJournal.Entry, BackupFailure>? {
        guard (try? claim(.drill)) != nil else { return nil }
        defer { state.withLock { $0.running = nil } }
        do {
            let entry = try work.drill { [self] in say($0) }
            let metadata: Logger.Metadata = [
                "backup": "\(entry.backup)", "what": "\(entry.what ?? "all is equal")",
            ]
            if entry.isSound {
                logger.info("a backup was tried out", metadata: metadata)
            } else {
                logger.error("a drill found a backup wanting", metadata: metadata)
            }
            return .success(entry)
        } catch {
            return .failure(noted(failure(error), "a backup could not be tried out"))
        }
    }

    private func makeClaimed(_ order: BackupOrder) -> Result<MadeBackup, BackupFailure> {
        let made: MadeBackup
        do {
            made = try work.make(order) { say($0) }
        } catch {
            return .failure(noted(failure(error), "no backup was made"))
        }
        logger.info(
            "a backup was made",
            metadata: [
                "backup": "\(made.name)", "target": "\(made.target)",
                "position": "\(made.position)", "rows": "\(made.rowCount)",
                "bytes": "\(made.byteCount)", "seconds": "\(made.durationSeconds)",
            ])
        if order.tables == nil {
            state.withLock { $0.lastMade = (made.position, SystemClock.wall()) }
            prune()
        }
        return .success(made)
    }

    private func prune() {
        do {
            let names = try work.prune()
            guard !names.isEmpty else { return }
            logger.info(
                "old backups were taken away",
                metadata: ["backups": "\(names.joined(separator: " "))"])
        } catch {
            _ = noted(failure(error), "old backups could not be taken away")
        }
    }

    /// The last backup of all tables in the place.
    var lastMade: (position: Position, at: Microseconds)? {
        let noted = work.journal.history.lastMade(at: work.plan.target)
        guard let known = state.withLock({ $0.lastMade }) else {
            return noted.map { ($0.position, $0.at) }
        }
        guard let noted, noted.position > known.position || noted.at > known.at else {
            return known
        }
        return (noted.position, noted.at)
    }

    private func say(_ progress: String) {
        state.withLock { state in
            guard let running = state.running else { return }
            state.running = BackupActivity(
                running.kind, since: running.since, progress: progress)
        }
    }

    // MARK: Failures

    private func noted(_ failure: BackupFailure, _ what: String) -> BackupFailure {
        guard failure.kind != .stopping else {
            logger.info("\(what): the server stops")
            return failure
        }
        state.withLock { state in
            state.lastFailure = failure
            state.failureCount += 1
        }
        logger.error("\(what)", metadata: ["why": "\(failure.reason)"])
        return failure
    }

    private func failure(_ error: any Error) -> BackupFailure {
        BackupFailure(
            kind(of: error), reason: CommandFailure(error)?.message ?? "\(error)",
            at: SystemClock.wall())
    }

    private func kind(of error: any Error) -> BackupFailure.Kind {
        // A statement that was cancelled says so in its own way.
        if work.isStopping { return .stopping }
        switch error {
        case BackupError.stopped: return .stopping
        case BackupError.busy: return .busy
        case BackupError.storage(.remote), BackupError.notAtOnePosition: return .unavailable
        case PostgresError.connectionFailed, PostgresError.connectionLost: return .unavailable
        default: return .failed
        }
    }
}
