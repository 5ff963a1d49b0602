import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird
import Logging
import ServiceLifecycle

/// What the server is made of. The composition root fills it; tests fill it with something else.
public struct ServerParts: Sendable {
    /// Where batches go.
    public var ledger: any LedgerService
    /// The log that they end in; the server reads it and never writes.
    public var log: any LogEngine
    /// The dictionary that judges them.
    public var catalog: Catalog
    /// The ledger's key for fingerprints.
    public var fingerprintKey: FingerprintKey
    /// Who may come in by TCP.
    public var keys: any KeyAuthority
    /// How far Postgres is.
    public var projections: any ProjectionStatusSource
    /// The reports, and what answers them.
    public var reports: ServedReports
    /// What finds rejections.
    public var rejections: any RejectionSource
    /// What makes backups.
    public var backups: any BackupKeeper
    /// The ledger's key, by which proofs are signed.
    public var signingKey: SigningKey
    /// How large the log is.
    public var logSize: @Sendable () -> LogSize
    /// How many clients may follow the log at once.
    public var followerLimit = 64
    /// How many proofs are made at once: each reads the log from its batch on.
    public var proofLimit = 2
    /// How many histories of keys are being made or wait for it: one is made at a time.
    public var historyLimit = 32
    /// How many retractions are planned and written at once: each looks through the log.
    public var retractionLimit = 1
    /// How often a key may ask by TCP.
    public var limiter = RateLimiter(.default)
    /// What makes keys, for the local socket; nil for none.
    public var keyRegistry: KeyRegistry?
    /// Where the server's own log goes.
    public var logger: Logger

    /// All parts.
    public init(
        ledger: any LedgerService, log: any LogEngine, catalog: Catalog,
        fingerprintKey: FingerprintKey,
        keys: any KeyAuthority, projections: any ProjectionStatusSource, reports: ServedReports,
        rejections: any RejectionSource, backups: any BackupKeeper, signingKey: SigningKey,
        logSize: @escaping @Sendable () -> LogSize,
        logger: Logger
    ) {
        self.ledger = ledger
        self.log = log
        self.catalog = catalog
        self.fingerprintKey = fingerprintKey
        self.keys = keys
        self.projections = projections
        self.reports = reports
        self.rejections = rejections
        self.backups = backups
        self.signingKey = signingKey
        self.logSize = logSize
        self.logger = logger
    }
}

/// The HTTP server: the same routes by TCP with a key and on a local socket without.
public struct LedgerServer: Sendable {
    /// The most bytes that a body may have.
    public static let bodyByteLimit = LogLimits.bodyByteCount

    private let parts: ServerParts
    private let signal: AppendSignal
    private let feeds: Places
    private let proofs: Places
    private let histories: HistoryRoute
    private let retractions: RetractionRoute

    /// A server of these parts; nothing runs yet.
    public init(_ parts: ServerParts) {
        self.parts = parts
        signal = AppendSignal(parts.log)
        feeds = Places(limit: parts.followerLimit)
        proofs = Places(limit: parts.proofLimit)
        histories = HistoryRoute(
            log: parts.log, catalog: parts.catalog, keeper: parts.backups,
            places: Places(limit: parts.historyLimit))
        retractions = RetractionRoute(
            ledger: parts.ledger, projections: parts.projections,
            places: Places(limit: parts.retractionLimit))
    }

    /// The server that listens on a TCP address. A service: it drains when it is to stop.
    public func application(
        host: String, port: Int, onRunning: @escaping @Sendable (_ port: Int?) async -> Void
    ) -> some ApplicationProtocol {
        let router = Router(context: ServerContext.self)
        router.add(middleware: RequestMiddleware())
        addHealth(to: router)
        let guarded = router.group("v1")
            .add(middleware: KeyMiddleware(keys: parts.keys, limiter: parts.limiter))
            .add(middleware: RateLimitMiddleware(parts.limiter))
        addRoutes(to: guarded, limits: IntakeLimits())
        return Application(
            router: router,
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port) },
            logger: parts.logger)
    }

    /// The server that listens on the local socket, for the command line.
    public func localApplication(
        socketPath: String, onRunning: @escaping @Sendable () async -> Void
    ) -> some ApplicationProtocol {
        let router = Router(context: ServerContext.self)
        router.add(middleware: RequestMiddleware())
        addHealth(to: router)
        let routes = router.group("v1").add(middleware: LocalMiddleware())
        addRoutes(to: routes, limits: .local)
        let local = router.group("local/v1").add(middleware: LocalMiddleware())
        local.get("status", use: statusRoutes.localStatus)
        if let registry = parts.keyRegistry {
            let keys = KeyRoutes(registry: registry)
            local.post("keys", use: keys.create)
            local.post("keys/changes", use: keys.record)
        }
        local.post(
            "import",
            use: ImportRoute(
                ledger: parts.ledger, judges: judges(.local), dictionary: parts.catalog.version
            ).respond)
        return Application(
            router: router,
            configuration: ApplicationConfiguration(
                address: .unixDomainSocket(path: socketPath)),
            onServerRunning: { _ in await onRunning() },
            logger: parts.logger)
    }

    private var statusRoutes: StatusRoutes {
        StatusRoutes { [parts] showsPostgres in
            let ledger = parts.ledger.status
            return ServerStatus(
                head: ledger.head, dictionary: ledger.catalogVersion, hold: ledger.hold,
                size: parts.logSize(), projections: parts.projections.projections,
                postgres: showsPostgres ? parts.projections.postgres : nil,
                postgresState: parts.projections.postgresState)
        }
    }

    private func addHealth(to router: Router<ServerContext>) {
        router.get("health/live", use: statusRoutes.live)
        router.get("health/ready", use: statusRoutes.ready)
        router.get(
            "metrics",
            use: MetricsRoute(
                ledger: parts.ledger, projections: parts.projections,
                backups: parts.backups, feeds: feeds, logSize: parts.logSize
            ).respond)
    }

    private func addRejections(
        to routes: RouterGroup<ServerContext>, judges: [String: Judge]
    ) {
        let resubmitter = Resubmitter(
            ledger: parts.ledger, judges: judges, dictionary: parts.catalog.version)
        let rejections = RejectionRoutes(
            log: parts.log,
            eligible: EligibleRejections(
                source: parts.rejections, ledger: parts.ledger, resubmitter: resubmitter),
            source: parts.rejections, projections: parts.projections, catalog: parts.catalog)
        routes.get("rejections", use: rejections.list)
        routes.get("rejections/summary", use: rejections.summary)
        routes.get("rejections/:position", use: rejections.show)
        let resubmit = ResubmitRoutes(
            ledger: parts.ledger, resubmitter: resubmitter, projections: parts.projections,
            bodyByteLimit: LedgerServer.bodyByteLimit)
        routes.post("rejections/:position/resubmit", use: resubmit.resubmit)
        routes.post("rejections/:position/waive", use: resubmit.waive)
    }

    private func addRoutes(to routes: RouterGroup<ServerContext>, limits: IntakeLimits) {
        let append = AppendRoute(
            ledger: parts.ledger, judges: judges(limits), dictionary: parts.catalog.version,
            projections: parts.projections, bodyByteLimit: LedgerServer.bodyByteLimit)
        let batches = BatchRoutes(ledger: parts.ledger)
        routes.get(
            "",
            use: CatalogRoute(text: CatalogText(parts.catalog, reports: parts.reports.reports))
                .respond)
        routes.get(
            "reports/:name",
            use: ReportRoute(served: parts.reports, projections: parts.projections).respond)
        routes.get("events", use: EventRoute(log: parts.log, signal: signal, feeds: feeds).respond)
        routes.get("status", use: statusRoutes.status)
        routes.get("batches", use: batches.byKey)
        routes.get("batches/:id", use: batches.byID)
        addRejections(to: routes, judges: judges(limits))
        routes.get(
            "batches/:id/proof",
            use: ProofRoute(
                batches: batches, log: parts.log, key: parts.signingKey, places: proofs
            ).respond)
        let backups = BackupRoutes(keeper: parts.backups, catalog: parts.catalog)
        routes.get("backups", use: backups.list)
        routes.post("backups", use: backups.make)
        routes.post("retractions", use: retractions.respond)
        routes.post(":table", use: append.respond)
        routes.get(":table/:key/history", use: histories.respond)
    }

    /// A judge for every table.
    private func judges(_ limits: IntakeLimits) -> [String: Judge] {
        let judges = parts.catalog.tables.map { table in
            Judge(
                table: table, constraints: parts.catalog.constraints,
                fingerprintKey: parts.fingerprintKey, limits: limits)
        }
        return Dictionary(uniqueKeysWithValues: judges.map { ($0.table.name, $0) })
    }
}
