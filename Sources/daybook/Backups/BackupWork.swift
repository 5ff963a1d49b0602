import DaybookBackup
import DaybookCatalog
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation
import Logging
import Postgres
import Synchronization

/// What a running server does about backups, each a call that blocks until it is done.
final class BackupWork: Sendable {
    let plan: BackupPlan
    let journal: WatchedBackupJournal
    let log: SegmentLog
    private let settings: Settings
    private let catalog: Catalog
    private let catalogFolder: String
    private let projections: Projections
    private let logger: Logger
    private let opened = Mutex<(any BackupStorage)?>(nil)
    private let stopping = Mutex<(isRaised: Bool, canceller: PostgresCanceller?)>((false, nil))

    init(
        _ plan: BackupPlan, settings: Settings, composition: Composition, catalogFolder: String
    ) {
        self.plan = plan
        self.settings = settings
        catalog = composition.catalog
        self.catalogFolder = catalogFolder
        log = composition.log
        projections = composition.projections
        logger = composition.logger
        journal = WatchedBackupJournal(BackupPlace.journal(settings))
    }

    /// The place of the backups; opened when it is first wanted.
    func storage() throws -> any BackupStorage {
        if let storage = opened.withLock({ $0 }) { return storage }
        let storage = try BackupPlace.storage(plan.target)
        opened.withLock { $0 = storage }
        return storage
    }

    // MARK: Ending

    var isStopping: Bool { stopping.withLock { $0.isRaised } }

    /// Whether a backup could be made now.
    var isPostgresThere: Bool { projections.postgresState == "connected" }

    /// Ends what is under way, at its next step; a statement of Postgres at once.
    func stop() {
        let canceller = stopping.withLock { state in
            state.isRaised = true
            return state.canceller
        }
        canceller?.cancel()
    }

    private func check() throws(BackupError) {
        if isStopping { throw .stopped }
    }

    // MARK: Making

    /// Takes away what a server that was killed has left.
    func clearRemains() {
        do {
            let count = try storage().clearRemains()
            guard count > 0 else { return }
            logger.notice(
                "backups that were never finished were taken away", metadata: ["count": "\(count)"])
        } catch {
            logger.warning(
                "the place of the backups cannot be read", metadata: ["why": "\(error)"])
        }
    }

    /// Makes a backup, notes it, and takes away what need not be kept any more.
    func make(
        _ order: BackupOrder, progress: (String) -> Void
    ) throws -> MadeBackup {
        let start = ContinuousClock.now
        let storage = try storage()
        var options = BackupMaker.Options()
        options.tables = order.tables
        if let codec = order.codec { options.codec = codec }
        options.logFolder = order.includesLog ?? plan.includesLog ? settings.dataFolder : nil
        let connection = try projections.connect()
        stopping.withLock { $0.canceller = connection.canceller }
        defer { stopping.withLock { $0.canceller = nil } }
        try check()
        let maker = BackupMaker(
            connection, catalog: catalog, key: try BackupPlace.key(settings), options: options,
            log: { [log] _ in log }, clock: SystemClock.wall)
        let manifest = try maker.run(into: storage) { step in
            try check()
            progress(step.text)
        }
        note(
            .init(
                .made, target: plan.target, backup: manifest.name, position: manifest.position,
                at: SystemClock.wall(), isSound: true, tables: order.tables))
        return MadeBackup(
            manifest, target: plan.target, durationSeconds: (.now - start) / .seconds(1))
    }

    /// Takes away the backups that need not be kept.
    ///
    /// - Returns: their names.
    func prune() throws -> [String] {
        guard let retention = plan.retention else { return [] }
        let storage = try storage()
        let candidates = try BackupCatalog.manifests(in: storage).map {
            BackupRetention.Candidate(name: $0.name, manifest: $0.manifest)
        }
        let names = retention.superfluous(
            among: candidates, of: log.ledger.description, proven: journal.history.provenBackups)
        for name in names {
            try check()
            do { try storage.remove(name) } catch { throw BackupError.storage(error) }
        }
        return names
    }

    /// Tries the newest backup out, and notes what came of it.
    func drill(progress: @escaping @Sendable (String) -> Void) throws -> BackupJournal.Entry {
        let source = try newest()
        let drill = BackupDrill(
            source, catalog: catalog, migrationsFolder: catalogFolder + "/sql/migrations",
            schema: "public", segments: log, log: { [log] in log },
            connect: { [projections] in try projections.connect() }, clock: SystemClock.wall,
            isStopping: { self.isStopping }, onProgress: { progress($0.text) })
        let outcome = try drill.run { what, done in
            try check()
            progress("\(what): \(done)")
        }
        let entry = BackupJournal.Entry(
            .drilled, target: plan.target, backup: source.name, position: source.head.position,
            at: SystemClock.wall(), isSound: outcome.isSound, what: outcome.summary)
        note(entry)
        return entry
    }

    /// The newest backup of all tables, as far as the journal knows; else the newest.
    private func newest() throws -> BackupSource {
        let storage = try storage()
        if let name = journal.history.lastMade(at: plan.target)?.backup,
            let source = try? BackupSource(name, in: storage)
        {
            return source
        }
        guard let source = try BackupSource.newest(in: storage, of: log.ledger) else {
            throw BackupError.notFound("\(plan.target) has no backup of this ledger to try out")
        }
        return source
    }

    private func note(_ entry: BackupJournal.Entry) {
        do throws(BackupError) {
            try journal.journal.add(entry)
        } catch {
            // What was done was done all the same.
            logger.error(
                "what was done about a backup is not in the journal",
                metadata: ["backup": "\(entry.backup)", "why": "\(error)"])
        }
    }
}

extension BackupMaker.Progress {
    /// How far it is, for people.
    var text: String {
        switch self {
        case .table(let name, let rowCount, let total):
            "\(name): \(rowCount) of about \(total) rows"
        case .log(let file): "log: \(file)"
        case .waiting: "waiting for the tables to stand at one position"
        }
    }
}
