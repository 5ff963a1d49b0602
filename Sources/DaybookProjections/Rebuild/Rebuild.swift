import DaybookCatalog
import DaybookLog
import Foundation
import Postgres

/// Makes one projection anew from the log, beside the live one, and swaps the two.
///
/// Rows are copied into tables without keys, keys are made, and what was appended meanwhile
/// follows. Then both are compared at one position, and renamed in one short transaction. All is
/// noted in the transaction that does it, so that a rebuild that was killed goes on; and nothing
/// goes on between this and the projector but by rows in Postgres, so it may run in any process.
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

        /// The defaults, with the folder that holds `NNNN_name.sql`.
        public init(migrationsFolder: String) {
            self.migrationsFolder = migrationsFolder
        }
    }

    let name: String
    let catalog: Catalog
    let options: Options
    let shape: String
    let tables: ProjectionTables
    let source: () throws -> any LogSource
    let connect: @Sendable () throws -> PostgresConnection
    let isStopping: @Sendable () -> Bool
    private let onProgress: @Sendable (RebuildProgress) -> Void

    /// New tables that have come so near to the live ones wait no longer: the rest is applied
    /// while the projector waits.
    private static let nearEventCount: Int64 = 20_000
    /// How long a reader is kept waiting at most, in milliseconds, when the swap asks for its lock.
    static let lockTimeoutMilliseconds = 150

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
        self.name = name
        self.catalog = catalog
        self.options = options
        self.shape = shape
        self.source = source
        self.connect = connect
        self.isStopping = isStopping
        self.onProgress = onProgress
    }

    /// Does it, or goes on with one that was cut short.
    ///
    /// - Throws: `RebuildError`, and what Postgres and the log throw. The live tables are as they
    ///   were then, and what is done is kept for the next run.
    public func run() throws -> RebuildReport {
        do {
            return try rebuild()
        } catch ProjectionFault.cannotApply(let projection, let reason) {
            throw RebuildError.refused(projection: projection, reason: reason)
        } catch ProjectionFault.contradiction(let reason) {
            throw RebuildError.contradiction(reason)
        }
    }

    private func rebuild() throws -> RebuildReport {
        let connection = try prepare()
        if let obstacle = try tables.obstacle(connection), !options.isDryRun {
            throw RebuildError.obstacle(obstacle)
        }
        var (record, isResumed) = try begin(connection)
        var report = RebuildReport(
            projection: name, position: record.head.position, rowCount: 0, wasResumed: isResumed)
        if record.phase == .filling {
            report.seconds[.filling] = try timed { try fill(record.head, connection) }
            try RebuildRecord.move(connection, name, .keys, to: record.head)
            record = try current(connection)
        }
        if record.phase == .keys {
            say(.indexing, record.head.position)
            report.seconds[.indexing] = try timed {
                report.notes += try index(record.head, connection)
            }
            record = try current(connection)
        }
        var head = record.head
        let fence = try connection.query("SELECT pg_current_xact_id()::xid::text")[0].text(0)
        try timed(.following, &report) { _ in try approach(&head, connection) }
        if options.comparesFirst {
            say(.comparing, head.position)
            try timed(.comparing, &report) { report in
                report.comparison = try compare(&head, connection)
            }
        }
        report.rowCount = try rowCount(connection)
        report.position = head.position
        if options.isDryRun {
            try discard(connection)
            return report
        }
        try timed(.following, &report) { _ in try approach(&head, connection) }
        say(.swapping, head.position)
        try timed(.swapping, &report) { report in
            try waitForOldReaders(fence: fence ?? "", connection, &report)
            try swap(&head, connection)
        }
        report.position = head.position
        report.isSwapped = true
        return report
    }

    // MARK: Beginning

    /// A connection that has the right to rebuild this projection, until it is closed.
    func prepare() throws -> PostgresConnection {
        let connection = try connect()
        try connection.execute("SET synchronous_commit = off")
        try Migrations(folder: options.migrationsFolder, schema: "daybook").apply(on: connection)
        let locked = try connection.query(
            "SELECT pg_try_advisory_lock(hashtextextended('daybook rebuild ' || $1, 0))",
            [.text(name)])
        guard locked[0].bool(0) == true else { throw RebuildError.busy(name) }
        return connection
    }

    private func begin(
        _ connection: PostgresConnection
    ) throws -> (record: RebuildRecord, isResumed: Bool) {
        let log = try source()
        if let record = try RebuildRecord.load(connection, name), record.phase != .swapped,
            record.shape == shape, record.head.ledger == log.ledger,
            try tables.tables.allSatisfy({ try exists(tables.build($0), connection) })
        {
            try Checkpoints.check(record.head, of: name, source: log)
            return (record, true)
        }
        try connection.transaction {
            try tables.create(connection)
            try RebuildRecord.begin(connection, name, shape: shape, end: log.durable)
        }
        return (try current(connection), false)
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

    private func discard(_ connection: PostgresConnection) throws {
        try connection.transaction {
            try tables.drop(connection)
            try RebuildRecord.abandon(connection, name)
        }
    }

    // MARK: Following

    /// Applies what was appended meanwhile, until little is missing.
    private func approach(_ head: inout TreeHead, _ connection: PostgresConnection) throws {
        while true {
            let log = try source()
            let live = try Checkpoints.load(connection, ledger: log.ledger)[name]
            let target =
                live.flatMap { $0.state == .running && $0.shape == shape ? $0.head.position : nil }
                ?? log.durable.position
            if head.position + Rebuild.nearEventCount >= min(target, log.durable.position) {
                return
            }
            try follow(&head, to: min(target, log.durable.position), log, connection) { work in
                try connection.transaction { try work() }
            }
        }
    }

    /// Applies events up to `target`, which is the end of a block.
    func follow(
        _ head: inout TreeHead, to target: Position, _ log: any LogSource,
        _ connection: PostgresConnection, inTransaction: (() throws -> Void) throws -> Void
    ) throws {
        let transcoders = TranscoderSet(catalog: catalog)
        while head.position < target {
            if isStopping() { throw RebuildError.stopped }
            say(.following, head.position, of: target)
            let blocks = try log.blocks(from: head.position, byteLimit: 4 << 20)
                .prefix { $0.endPosition <= target }
            guard let first = blocks.first, let last = blocks.last else {
                throw RebuildError.contradiction("position \(target) is not the end of a block")
            }
            precondition(first.firstPosition == head.position, "no position is passed over")
            try inTransaction {
                let step = ProjectionStep(
                    connection, into: ProjectionTables.destination, transcoders: transcoders,
                    participants: [.init(name: name, from: head.position)])
                try step.apply(blocks)
                try RebuildRecord.move(connection, name, .following, to: last.head)
            }
            head = last.head
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

    private func timed(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    private func timed(
        _ phase: RebuildProgress.Phase, _ report: inout RebuildReport,
        _ body: (inout RebuildReport) throws -> Void
    ) rethrows {
        let start = ContinuousClock.now
        try body(&report)
        report.seconds[phase, default: 0] += (ContinuousClock.now - start) / .seconds(1)
    }
}
