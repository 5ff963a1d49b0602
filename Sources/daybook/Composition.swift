import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import DaybookProjections
import DaybookSegments
import DaybookServer
import Dispatch
import Foundation
import Logging

/// Everything wired together, in one place: catalog → log → ledger → projections → server.
///
/// Whoever opens it has the ledger's lock until `close`.
final class Composition: Sendable {
    let catalog: Catalog
    let reports: [Report]
    let log: SegmentLog
    let ledger: Ledger
    let projections: Projections
    /// By which the ledger signs.
    let signingKey: SigningKey
    /// Raised when the log has failed and the process must end.
    let failure: FailureSignal
    let logger: Logger

    private init(
        catalog: Catalog, reports: [Report], log: SegmentLog, ledger: Ledger,
        projections: Projections, signingKey: SigningKey, failure: FailureSignal, logger: Logger
    ) {
        self.catalog = catalog
        self.reports = reports
        self.log = log
        self.ledger = ledger
        self.projections = projections
        self.signingKey = signingKey
        self.failure = failure
        self.logger = logger
    }

    /// Opens a ledger, or makes a new one. Postgres is left alone until `projections.start()`.
    ///
    /// - Throws: `CommandFailure` if the dictionary does not fit what is in the log, before
    ///   anything is touched; `LogError.locked` if another process has the ledger, and whatever
    ///   else keeps it from being opened.
    static func open(_ settings: Settings, logger: Logger) throws -> Composition {
        let catalogFolder = try settings.catalogFolder()
        let catalog = try CatalogLoader.load(folder: catalogFolder + "/projections")
        let checkedPosition = try DictionaryGate.check(catalog, dataFolder: settings.dataFolder)
        let reports = try ReportLoader.load(folder: catalogFolder + "/sql/reports")
        try DataFolder.make(settings.dataFolder)
        // From here on whatever is made is its owner's alone.
        umask(0o077)
        var options = SegmentLogOptions(
            schema: try catalog.logSchema(),
            clock: SystemClock.wall)
        options.evidence = { folder in
            SnapshotWitness.head(stateFolder: folder).map {
                [Evidence(source: .snapshot, position: $0.position, root: $0.root)]
            } ?? []
        }(settings.dataFolder + "/state")
        options.askCheckpoint = { PostgresPlace.furthestCheckpoint(settings) }
        let log = try SegmentLog.open(folder: settings.dataFolder, options: options)
        // After a crash there may be more than was known to be durable.
        if log.durable.position > checkedPosition { try check(catalog, orClose: log) }
        let failure = FailureSignal()
        let key = try SigningKey(path: settings.dataFolder + "/ledger.key")
        var ledgerOptions = LedgerOptions(
            wallClock: SystemClock.wall, bootClock: SystemClock.boot, onFatal: failure.raise)
        ledgerOptions.signingKey = key.publicKey
        let ledger = try Ledger.open(
            engine: log, catalog: catalog, stateFolder: settings.dataFolder + "/state",
            options: ledgerOptions)
        let projections = Projections(
            settings, catalog: catalog, catalogFolder: catalogFolder, log: log, logger: logger,
            onLogContradicted: { [weak ledger] in ledger?.stopAppends(reason: $0) })
        let composition = Composition(
            catalog: catalog, reports: reports, log: log, ledger: ledger,
            projections: projections, signingKey: key, failure: failure, logger: logger)
        composition.sayWhatOpeningFound()
        try composition.announce(key.publicKey)
        return composition
    }

    /// Loads the catalog folder and checks it against the log, as `open` does first.
    ///
    /// - Throws: `CatalogError` or `CommandFailure` with what is wrong.
    static func checkCatalog(_ settings: Settings) throws {
        let folder = try settings.catalogFolder()
        let catalog = try CatalogLoader.load(folder: folder + "/projections")
        _ = try ReportLoader.load(folder: folder + "/sql/reports")
        _ = try DictionaryGate.check(catalog, dataFolder: settings.dataFolder)
    }

    private static func check(_ catalog: Catalog, orClose log: SegmentLog) throws {
        do {
            try DictionaryGate.check(catalog, over: log)
        } catch {
            try log.close()
            throw error
        }
    }

    /// Stops the projections, then the ledger, then the log; each takes what came before with it.
    func close() async throws {
        await projections.stop()
        ledger.close()
        try log.close()
    }

    /// What the server is made of.
    func serverParts(keys: KeyFile, backups: any BackupKeeper) -> ServerParts {
        let runner = ReportRunner { [projections] in projections.postgres }
        var parts = ServerParts(
            ledger: ledger, log: log, catalog: catalog, fingerprintKey: ledger.fingerprintKey,
            keys: keys,
            projections: projections, reports: ServedReports(reports, source: runner),
            rows: RowReader { [projections] in projections.postgres },
            rejections: RejectionReader { [projections] in projections.postgres },
            backups: backups, signingKey: signingKey, logSize: { [log] in log.sizeForStatus },
            logger: logger)
        parts.keyRegistry = keyRegistry(keys)
        return parts
    }

    /// What makes keys, and records every change of them.
    func keyRegistry(_ keys: KeyFile) -> KeyRegistry {
        KeyRegistry(file: keys, ledger: ledger, tables: catalog.tables.map(\.name))
    }

    /// What imports files into a table of the catalog.
    func importer(of tableName: String) throws -> Importer {
        guard let table = catalog.table(named: tableName) else {
            throw CommandFailure(.usage, "the dictionary has no table \(tableName)")
        }
        let judge = Judge(
            table: table, constraints: catalog.constraints, fingerprintKey: ledger.fingerprintKey,
            limits: .local)
        return Importer(ledger: ledger, judge: judge, dictionary: catalog.version)
    }

    /// Sees to it that the log names the key by which the ledger signs.
    private func announce(_ key: VerifyingKey) throws {
        if try SigningKeys.first(of: log) == key { return }
        ledger.announce(key) { [logger] result in
            if case .failure(let error) = result {
                logger.error("the signing key is not in the log", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Tells what recovery found, and sees to it that the log itself has every cut.
    private func sayWhatOpeningFound() {
        for damage in log.recovery.damage {
            logger.error(
                "a sealed segment is damaged",
                metadata: [
                    "file": "\(damage.file)", "offset": "\(damage.offset)",
                    "position": "\(damage.position)", "what": "\(damage.what)",
                ])
        }
        if let cut = log.recovery.cut {
            logger.warning(
                "a torn tail was cut",
                metadata: [
                    "segment": "\(cut.segment)", "offset": "\(cut.offset)",
                    "bytes": "\(cut.byteCount)", "kept_as": "\(cut.keptAs)",
                ])
        }
        let telling = DispatchGroup()
        for cut in log.recovery.kept { record(cut, telling) }
        // Before any batch: whoever reads what came since the start finds it there.
        telling.wait()
    }

    /// Its key is the kept file's name: a cut that the log has already is not recorded again.
    private func record(_ cut: RecoveryReport.Cut, _ telling: DispatchGroup) {
        var json = JSONWriter()
        json.openObject()
        json.field("segment", cut.segment)
        json.field("offset", cut.offset)
        json.field("byte_count", cut.byteCount)
        json.field("kept_as", cut.keptAs)
        if let asked = cut.askedPostgres { json.field("asked_postgres", asked) }
        json.closeObject()
        let control = Control(kind: "torn_tail", text: Array(json.unsafeBytes))
        let key = "torn_tail:\(cut.keptAs)"
        telling.enter()
        ledger.record([control], idempotencyKey: key, requestDigest: []) { [logger] result in
            if case .failure(let error) = result {
                logger.error("the cut is not in the log", metadata: ["error": "\(error)"])
            }
            telling.leave()
        }
    }
}

extension SegmentLog {
    var sizeForStatus: LogSize {
        let size = size
        var figures = LogSize(segmentCount: size.segments, byteCount: size.bytes)
        figures.writes = activity.writes
        figures.readFailureCount = activity.readFailureCount
        figures.damage = recovery.damage
        return figures
    }
}
