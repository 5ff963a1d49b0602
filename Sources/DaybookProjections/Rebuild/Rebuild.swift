import DaybookCatalog
import DaybookLog
import Foundation
import Postgres

/// Makes one projection anew, beside the live one, and swaps the two.
///
/// Rows are copied into tables without keys, keys are made, and what was appended meanwhile
/// follows. Then both are compared at one position, and renamed in one short transaction. All is
/// noted in the transaction that does it, so that a rebuild that was killed goes on; and nothing
/// goes on between this and the projector but by rows in Postgres, so it may run in any process.
///
/// The rows come from the log, or from a base and the log after it; they are brought to the log's
/// end, or to an earlier state and held there.
///
/// Blocks: never called on the cooperative pool.
public final class Rebuild {
    /// What a rebuild works with.
    public struct Options: Sendable {
        /// The schema of the dictionary's tables.
        public var schema = "public"
        /// The folder of our own migrations.
        public var migrationsFolder: String
        /// How many connections copy at the same time.
        public var connectionCount = 2
        /// How many rows are copied in a transaction, about: enough that a commit costs little, few
        /// enough that all connections are busy until the end.
        public var pieceRowCount = 50_000
        /// Whether the new tables are compared, and not swapped.
        public var isDryRun = false
        /// Whether the new tables are compared with the live ones.
        public var comparesFirst = true
        /// How many differences are told of each kind.
        public var sampleCount = 10
        /// How long readers are waited for, in seconds.
        public var patienceSeconds = 60.0
        /// Rows to begin with; nil begins with the log's first event.
        public var base: (any RowBase)?
        /// The state that is to be built; nil is the log's end, whatever that is by then.
        public var target: TreeHead?
        /// Whether live tables that are further than the log's end are swapped away, as after an
        /// older copy of a lost log was put back; refused otherwise.
        public var replacesAhead = false
        /// Why the projection is to stand still once it is swapped in; nil lets it go on.
        public var holdReason: String?

        /// The defaults, with the folder that holds `NNNN_name.sql`.
        public init(migrationsFolder: String) {
            self.migrationsFolder = migrationsFolder
        }
    }

    /// The projection.
    public let name: String
    let catalog: Catalog
    let options: Options
    let shape: String
    let tables: ProjectionTables
    let source: () throws -> any LogSource
    let connect: @Sendable () throws -> PostgresConnection
    let isStopping: @Sendable () -> Bool
    private let onProgress: @Sendable (RebuildProgress) -> Void
    /// What was done so far.
    public internal(set) var report: RebuildReport
    /// What `build` has brought about; nil before.
    var built: Built?
    /// Where the live tables are if that is further than the log's end, and they are to go.
    var aheadPosition: Position?

    /// New tables that are done.
    struct Built {
        /// Holds the right to rebuild the projection.
        let connection: PostgresConnection
        /// Everything below is in the new tables.
        var head: TreeHead
        /// A transaction's number: those that began before it do not see all new rows.
        let fence: String
    }

    /// How long a reader is kept waiting at most, in milliseconds, when the swap asks for its lock.
    static let lockTimeoutMilliseconds = 150

    /// How long a server's log may take to show what its Postgres has already, and a rebuild that
    /// ended to let go of its lock, in seconds.
    static let lateSeconds = 2.0

    /// A rebuild of the projection `name`.
    ///
    /// - Parameters:
    ///   - source: The log as it is now; asked again whenever more is wanted.
    ///   - connect: A new connection to Postgres; called on several threads.
    ///   - isStopping: Asked between transactions whether to end.
    ///   - onProgress: Called a few times a second, on several threads.
    /// - Throws: `RebuildError.unknownProjection`.
    public init(
        _ name: String, catalog: Catalog, options: Options,
        source: @escaping () throws -> any LogSource,
        connect: @escaping @Sendable () throws -> PostgresConnection,
        isStopping: @escaping @Sendable () -> Bool = { false },
        onProgress: @escaping @Sendable (RebuildProgress) -> Void = { _ in }
    ) throws(RebuildError) {
        tables = try ProjectionTables(name, catalog: catalog, schema: options.schema)
        guard let shape = ProjectionShape.digest(of: name, in: catalog) else {
            throw .unknownProjection(name, known: ProjectionShape.names(of: catalog))
        }
        precondition(
            options.base == nil || name != auditProjectionName, "the audit is made of events only")
        self.name = name
        self.catalog = catalog
        self.options = options
        self.shape = shape
        self.source = source
        self.connect = connect
        self.isStopping = isStopping
        self.onProgress = onProgress
        report = RebuildReport(projection: name, position: 0, rowCount: 0, wasResumed: false)
    }

    /// Does it, or goes on with one that was cut short.
    ///
    /// - Throws: `RebuildError`, and what Postgres and the log throw. The live tables are as they
    ///   were then, and what is done is kept for the next run.
    public func run() throws -> RebuildReport {
        try build()
        if options.isDryRun {
            try discard()
        } else {
            try Rebuild.swapIn([self])
        }
        return report
    }

    /// Builds the new tables and compares them, and leaves the live ones as they are.
    ///
    /// - Throws: as `run`.
    public func build() throws {
        try translatingFaults { try buildBeside() }
    }

    private func buildBeside() throws {
        let connection = try prepare()
        if let obstacle = try tables.obstacle(connection), !options.isDryRun {
            throw RebuildError.obstacle(obstacle)
        }
        var (record, isResumed) = try begin(connection)
        report = RebuildReport(
            projection: name, position: record.head.position, rowCount: 0, wasResumed: isResumed)
        if record.phase == .filling {
            try timed(.filling) { try fill(record.head, connection) }
            try RebuildRecord.move(connection, name, .keys, to: record.head)
            record = try current(connection)
        }
        if record.phase == .keys {
            say(.indexing, record.head.position)
            try timed(.indexing) { report.notes += try index(record.head, connection) }
            record = try current(connection)
        }
        var head = record.head
        let fence = try connection.query("SELECT pg_current_xact_id()::xid::text")[0].text(0)
        try timed(.following) { try approach(&head, connection) }
        if options.comparesFirst {
            say(.comparing, head.position)
            try timed(.comparing) { report.comparison = try compare(&head, connection) }
        }
        report.rowCount = try rowCount(connection)
        report.position = head.position
        built = Built(connection: connection, head: head, fence: fence ?? "")
    }

    /// Drops the new tables.
    public func discard() throws {
        guard let built else { preconditionFailure("tables are built before they are dropped") }
        try built.connection.transaction {
            try tables.drop(built.connection)
            try RebuildRecord.abandon(built.connection, name)
        }
        self.built = nil
    }

    /// What projectors call a fault is an error of whoever asked for a rebuild.
    func translatingFaults<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch ProjectionFault.cannotApply(let projection, let reason) {
            throw RebuildError.refused(projection: projection, reason: reason)
        } catch let fault as ProjectionFault {
            guard let reason = fault.contradiction else { throw fault }
            throw RebuildError.contradiction(reason)
        }
    }

    // MARK: Beginning

    /// A connection that has the right to rebuild this projection, until it is closed.
    func prepare() throws -> PostgresConnection {
        let connection = try connect()
        try connection.execute("SET synchronous_commit = off")
        try Migrations(folder: options.migrationsFolder, schema: "daybook").apply(on: connection)
        // The connection of one that has just ended has the lock until its backend is gone.
        let deadline = ContinuousClock.now + .seconds(Rebuild.lateSeconds)
        while true {
            let locked = try connection.query(
                "SELECT pg_try_advisory_lock(hashtextextended('daybook rebuild ' || $1, 0))",
                [.text(name)])
            if locked[0].bool(0) == true { return connection }
            guard ContinuousClock.now < deadline else { throw RebuildError.busy(name) }
            Thread.sleep(forTimeInterval: 0.05)
        }
    }

    private func begin(
        _ connection: PostgresConnection
    ) throws -> (record: RebuildRecord, isResumed: Bool) {
        let log = try source()
        let end = options.target ?? log.durable
        precondition(
            end.position >= options.base?.head.position ?? 0, "a base is not later than the target")
        if let record = try RebuildRecord.load(connection, name),
            goesOn(record, to: end, ledger: log.ledger),
            try tables.tables.allSatisfy({ try exists(tables.build($0), connection) })
        {
            try Checkpoints.check(record.head, of: name, source: log)
            return (record, true)
        }
        try connection.transaction {
            try tables.create(connection)
            try RebuildRecord.begin(
                connection, name, shape: shape, source: madeFrom, end: end)
        }
        return (try current(connection), false)
    }

    /// What the new tables are made from, as it stands in the rebuild's record.
    private var madeFrom: String { options.base?.identity ?? "log" }

    /// Whether a rebuild that was cut short was on the way to the same tables.
    private func goesOn(_ record: RebuildRecord, to end: TreeHead, ledger: LedgerID) -> Bool {
        // Which rows of a base were copied is not noted.
        if options.base != nil, record.phase == .filling { return false }
        return record.phase != .swapped && record.shape == shape && record.source == madeFrom
            && record.head.ledger == ledger && record.head.position <= end.position
    }

    private func current(_ connection: PostgresConnection) throws -> RebuildRecord {
        guard let record = try RebuildRecord.load(connection, name) else {
            throw RebuildError.contradiction("the rebuild of \(name) was forgotten by somebody")
        }
        return record
    }

    private func index(
        _ head: TreeHead, _ connection: PostgresConnection
    ) throws -> [String] {
        do {
            return try connection.transaction {
                let notes = try tables.index(connection)
                try RebuildRecord.move(connection, name, .following, to: head)
                return notes
            }
        } catch let error as PostgresError {
            guard case .server(let refusal) = error, !error.isTransient else { throw error }
            throw RebuildError.refused(projection: name, reason: refusal.description)
        }
    }

    // MARK: Telling

    func say(_ phase: RebuildProgress.Phase, _ position: Position, of total: Position? = nil) {
        onProgress(
            RebuildProgress(
                projection: name, phase: phase, eventCount: position,
                eventCountTotal: total ?? position, seconds: 0, eventCountBefore: 0))
    }

    func say(_ progress: RebuildProgress) { onProgress(progress) }

    func exists(_ table: String, _ connection: PostgresConnection) throws -> Bool {
        try connection.query("SELECT to_regclass($1) IS NOT NULL", [.text(table)])[0].bool(0)
            == true
    }

    private func rowCount(_ connection: PostgresConnection) throws -> Int64 {
        try tables.tables.reduce(0) { sum, table in
            let rows = try connection.query("SELECT count(*) FROM \(tables.build(table))")
            return sum + (rows[0].int64(0) ?? 0)
        }
    }

    func timed<Value>(
        _ phase: RebuildProgress.Phase, _ body: () throws -> Value
    ) rethrows -> Value {
        let start = ContinuousClock.now
        defer {
            report.seconds[phase, default: 0] += (ContinuousClock.now - start) / .seconds(1)
        }
        return try body()
    }
}
