import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Logging
import NIOHTTPTypes
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
    /// What reads the tables' rows.
    public var rows: any RowSource
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
    /// What is taken from the network at most.
    public var limits = ServerLimits()
    /// Whether metrics and the interface's description are for holders of keys only.
    public var guardsMetrics = false
    /// Certificate and key by which connections are secured; nil for plain HTTP.
    public var tls: TLSConfiguration?
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
        rows: any RowSource, rejections: any RejectionSource, backups: any BackupKeeper,
        signingKey: SigningKey,
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
        self.rows = rows
        self.rejections = rejections
        self.backups = backups
        self.signingKey = signingKey
        self.logSize = logSize
        self.logger = logger
    }
}

/// The HTTP server: the same routes by TCP with a key and on a local socket without.
public struct LedgerServer: Sendable {
    private let parts: ServerParts
    private let signal: AppendSignal
    private let appendDurations = Durations()
    private let feeds: Places
    private let proofs: Places
    private let connections: OpenConnections
    private let budgets: ServerBudgets
    private let requests = RequestCounts()
    private let bodies: BodyReceiver
    private let histories: HistoryRoute
    private let retractions: RetractionRoute

    /// A server of these parts; nothing runs yet.
    public init(_ parts: ServerParts) {
        precondition(
            parts.limits.bodyByteCount <= LogLimits.bodyByteCount, "a body fits a record")
        self.parts = parts
        signal = AppendSignal(parts.log)
        feeds = Places(limit: parts.followerLimit)
        proofs = Places(limit: parts.proofLimit)
        connections = OpenConnections(limit: parts.limits.connectionCount)
        budgets = ServerBudgets(parts.limits)
        bodies = BodyReceiver(byteLimit: parts.limits.bodyByteCount, budget: budgets.bodies)
        histories = HistoryRoute(
            log: parts.log, catalog: parts.catalog, keeper: parts.backups,
            places: Places(limit: parts.historyLimit))
        retractions = RetractionRoute(
            ledger: parts.ledger, projections: parts.projections,
            bodies: bodies.limited(to: RetractionOptions.bodyByteLimit),
            places: Places(limit: parts.retractionLimit))
    }

    /// The server that listens on a TCP address. A service: it drains when it is to stop.
    ///
    /// - Throws: what NIOSSL finds wrong with the certificate or its key.
    public func application(
        host: String, port: Int, onRunning: @escaping @Sendable (_ port: Int?) async -> Void
    ) throws -> some ApplicationProtocol {
        let router = Router(context: ServerContext.self)
        router.add(middleware: RequestMiddleware(isSecure: parts.tls != nil))
        let gates: [any MiddlewareProtocol<Request, Response, ServerContext>] = [
            KeyMiddleware(keys: parts.keys, limiter: parts.limiter),
            RateLimitMiddleware(parts.limiter), AnswerMiddleware(answers: budgets.answers),
        ]
        EndpointRouter(gates: gates, requests: requests)
            .add(endpoints(limits: IntakeLimits()), to: router)
        let plain = HTTPServerBuilder.http1(configuration: channelConfiguration)
        return Application(
            router: router,
            server: try parts.tls.map { try .tls(plain, tlsConfiguration: $0) } ?? plain,
            configuration: ApplicationConfiguration(address: .hostname(host, port: port)),
            onServerRunning: { channel in await onRunning(channel.localAddress?.port) },
            logger: parts.logger)
    }

    private var channelConfiguration: HTTP1Channel.Configuration {
        let limits = parts.limits
        let (connections, budgets) = (connections, budgets)
        return HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ConnectionGuard(limits: limits, connections: connections, budgets: budgets)
            ],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headByteCount, maxHeaderListSize: limits.headByteCount,
                maxHeaderFieldCount: limits.headFieldCount))
    }

    /// The server that listens on the local socket, for the command line.
    public func localApplication(
        socketPath: String, onRunning: @escaping @Sendable () async -> Void
    ) -> some ApplicationProtocol {
        let router = Router(context: ServerContext.self)
        router.add(middleware: RequestMiddleware(isSecure: false))
        EndpointRouter(gates: [LocalMiddleware()], requests: RequestCounts())
            .add(endpoints(limits: .local), to: router)
        let local = router.group("local/v1").add(middleware: LocalMiddleware())
        local.get("status", use: statusRoutes.localStatus)
        local.post(
            "clock/confirm", use: ClockRoute(ledger: parts.ledger, logger: parts.logger).confirm)
        if let registry = parts.keyRegistry {
            let keys = KeyRoutes(registry: registry, bodies: bodies)
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

    /// All that the server answers, with the description of it.
    func endpoints(limits: IntakeLimits) -> [Endpoint] {
        let access: Endpoint.Access = parts.guardsMetrics ? .keyHolders : .everyone
        let metrics = MetricsRoute(
            ledger: parts.ledger, projections: parts.projections, backups: parts.backups,
            feeds: feeds, connections: connections, budgets: budgets, requests: requests,
            appends: appendDurations, logSize: parts.logSize)
        var endpoints: [Endpoint] = [
            .live(statusRoutes.live), .ready(statusRoutes.ready), .metrics(access, metrics.respond),
        ]
        endpoints += ownEndpoints + rejectionEndpoints(judges(limits)) + tableEndpoints(limits)
        // It describes itself too, and needs no handler for that.
        let described = endpoints + [.openAPI(access) { _, _ in Response(status: .ok) }]
        let document = OpenAPIDocument(
            endpoints: described, catalog: parts.catalog, reports: parts.reports.reports)
        endpoints.append(.openAPI(access, OpenAPIRoute(document).respond))
        return endpoints
    }

    private var ownEndpoints: [Endpoint] {
        let batches = BatchRoutes(ledger: parts.ledger)
        let proof = ProofRoute(
            batches: batches, log: parts.log, key: parts.signingKey, places: proofs)
        let backups = BackupRoutes(
            keeper: parts.backups, catalog: parts.catalog,
            bodies: bodies.limited(to: BackupRequest.bodyByteLimit))
        let catalog = CatalogRoute(text: CatalogText(parts.catalog, reports: parts.reports.reports))
        return [
            .catalog(catalog.respond), .status(statusRoutes.status),
            .report(ReportRoute(served: parts.reports, projections: parts.projections).respond),
            .events(EventRoute(log: parts.log, signal: signal, feeds: feeds).respond),
            .batchByKey(batches.byKey), .batch(batches.byID), .proof(proof.respond),
            .backups(backups.list), .makeBackup(backups.make), .retract(retractions.respond),
        ]
    }

    private func rejectionEndpoints(_ judges: [String: Judge]) -> [Endpoint] {
        let resubmitter = Resubmitter(
            ledger: parts.ledger, judges: judges, dictionary: parts.catalog.version)
        let rejections = RejectionRoutes(
            log: parts.log,
            eligible: EligibleRejections(
                source: parts.rejections, ledger: parts.ledger, resubmitter: resubmitter),
            source: parts.rejections, projections: parts.projections, catalog: parts.catalog)
        let resubmit = ResubmitRoutes(
            ledger: parts.ledger, resubmitter: resubmitter, projections: parts.projections,
            bodies: bodies)
        return [
            .rejections(rejections.list), .rejectionSummary(rejections.summary),
            .rejection(rejections.show), .resubmit(resubmit.resubmit), .waive(resubmit.waive),
        ]
    }

    private func tableEndpoints(_ limits: IntakeLimits) -> [Endpoint] {
        let append = AppendRoute(
            ledger: parts.ledger, judges: judges(limits), dictionary: parts.catalog.version,
            projections: parts.projections, bodies: bodies, durations: appendDurations)
        let rows = RowRoutes(
            source: parts.rows, projections: parts.projections, catalog: parts.catalog)
        return [
            .append(append.respond), .rows(rows.list), .row(rows.one),
            .history(histories.respond),
        ]
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
