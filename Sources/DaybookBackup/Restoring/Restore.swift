import DaybookCatalog
import DaybookLog
import DaybookProjections
import Foundation
import Postgres

/// Brings tables, and the aggregates made from them, to a state of the ledger: from the log, or
/// from a backup and the log after it.
///
/// All are built beside the live ones and compared with them; references are looked at; then all
/// become live in one transaction, or are moved to a schema of their own. The audit is the record
/// of what came, not a state: it stays as it is, unless it is of another past than the log.
///
/// Blocks: never called on the cooperative pool.
public final class Restore {
    /// What a restore works with.
    public struct Options: Sendable {
        /// The schema of the live tables.
        public var schema = "public"
        /// The folder of our own migrations.
        public var migrationsFolder: String
        /// The tables; nil for all.
        public var tables: [String]?
        /// The state to reach. The live tables are held at any but the head.
        public var target = RestoreTarget.head
        /// The schema into which the tables go, instead of becoming the live ones.
        public var destination: String?
        /// Whether all is built and compared, and then thrown away.
        public var isDryRun = false
        /// Whether tables become live though rows would dangle.
        public var allowsDangling = false
        /// How long readers are waited for, in seconds.
        public var patienceSeconds = 60.0
        /// How many differences from the live tables are told, of each kind.
        public var sampleCount = 10

        /// The defaults, with the folder that holds `NNNN_name.sql`.
        public init(migrationsFolder: String) {
            self.migrationsFolder = migrationsFolder
        }
    }

    /// What came of a restore.
    public struct Report: Sendable {
        /// The state that was reached.
        public let point: RestorePoint
        /// The tables and aggregates, in the order in which they were built.
        public internal(set) var projections: [RebuildReport] = []
        /// Rows that refer to nothing.
        public internal(set) var dangling: [DanglingReference] = []
        /// Whether the live tables stand still at the state, until they are resumed.
        public internal(set) var isHeld = false
    }

    /// How long a server's log may take to show what its Postgres has already, in seconds.
    private static let lateSeconds = 2.0

    private let source: BackupSource?
    private let catalog: Catalog
    private let options: Options
    private let log: () throws -> any LogSource
    private let connect: @Sendable () throws -> PostgresConnection
    private let clock: () -> Microseconds
    private let isStopping: @Sendable () -> Bool
    private let onProgress: @Sendable (RebuildProgress) -> Void

    /// A restore from a backup, or from the log if that is nil.
    ///
    /// - Parameters:
    ///   - log: The log as it is now; asked again whenever more is wanted.
    ///   - connect: A new connection to Postgres; called on several threads.
    ///   - clock: The wall clock: a time that has not come yet is no target.
    ///   - isStopping: Asked now and then whether to end.
    ///   - onProgress: Called a few times a second, on several threads.
    public init(
        from proven: ProvenBackup?, catalog: Catalog, options: Options,
        log: @escaping () throws -> any LogSource,
        connect: @escaping @Sendable () throws -> PostgresConnection,
        clock: @escaping () -> Microseconds,
        isStopping: @escaping @Sendable () -> Bool = { false },
        onProgress: @escaping @Sendable (RebuildProgress) -> Void = { _ in }
    ) {
        source = proven?.source
        self.catalog = catalog
        self.options = options
        self.log = log
        self.connect = connect
        self.clock = clock
        self.isStopping = isStopping
        self.onProgress = onProgress
    }

    /// What the target is in the log, looked up before anything is touched.
    ///
    /// - Throws: `BackupError.refused` if it is outside the log, inside a batch, or before the
    ///   backup; `LogError`.
    public func plan() throws -> (point: RestorePoint, projections: [String]) {
        try Restore.plan(from: source, catalog, options, log: try log(), now: clock())
    }

    /// The same before the backup was verified, which takes its time.
    public static func plan(
        from source: BackupSource?, _ catalog: Catalog, _ options: Options, log: any LogSource,
        now: Microseconds
    ) throws -> (point: RestorePoint, projections: [String]) {
        let names = try projectionNames(from: source, catalog, options)
        let point = try options.target.resolve(in: log, now: now)
        if let source {
            guard source.head.ledger == point.head.ledger else {
                throw BackupError.contradiction(
                    "\(source.name) is of ledger \(source.head.ledger), the log of "
                        + "\(point.head.ledger)")
            }
            guard source.head.position <= point.head.position else {
                throw BackupError.refused(
                    "\(source.name) is of position \(source.head.position), later than "
                        + "\(point.head.position): take an earlier backup, or --from log")
            }
        }
        if let destination = options.destination { try refuse(destination, live: options.schema) }
        return (point, names)
    }

    /// Does it.
    ///
    /// - Throws: `BackupError`, `RebuildError`, and what Postgres and the log throw. The live
    ///   tables are as they were then.
    public func run() throws -> Report {
        let (point, names) = try plan()
        try refuseTaken(names)
        var report = Report(point: point)
        var rebuilds: [Rebuild] = []
        for name in names {
            let rebuild = try rebuild(name, to: point, base: source)
            try rebuild.build()
            rebuilds.append(rebuild)
        }
        if try takesAuditAlong() {
            let rebuild = try rebuild(auditProjectionName, to: point, base: nil)
            try rebuild.build()
            rebuilds.append(rebuild)
        }
        report.dangling = try dangling(among: names)
        let isRefused =
            !report.dangling.isEmpty && !options.allowsDangling && options.destination == nil
        if options.isDryRun || isRefused {
            for rebuild in rebuilds { try rebuild.discard() }
            report.projections = rebuilds.map(\.report)
            if isRefused && !options.isDryRun {
                throw BackupError.dangling(report.dangling)
            }
            return report
        }
        if let destination = options.destination {
            try Rebuild.move(rebuilds, to: destination, comment: comment(point))
        } else {
            try Rebuild.swapIn(rebuilds)
            report.isHeld = isHeld
        }
        report.projections = rebuilds.map(\.report)
        return report
    }

    private var isHeld: Bool { options.destination == nil && options.target != .head }

    /// The tables, each followed by the aggregates made from it.
    private static func projectionNames(
        from source: BackupSource?, _ catalog: Catalog, _ options: Options
    ) throws(BackupError) -> [String] {
        let tables = options.tables ?? catalog.tables.map(\.name)
        var names: [String] = []
        for table in tables {
            guard catalog.table(named: table) != nil else {
                let known = catalog.tables.map(\.name).joined(separator: ", ")
                throw .refused("the dictionary has no table \(table); it has \(known)")
            }
            if let source, source.manifest.entry(of: table) == nil {
                let held = source.manifest.tables.map(\.table).joined(separator: ", ")
                throw .refused("\(source.name) has no table \(table); it has \(held)")
            }
            names.append(table)
            names += catalog.aggregates.filter { $0.table == table }.map(\.name)
        }
        return names
    }

    /// Whether the audit is of another past than the log, as after an older copy of a lost log was
    /// put back. The audit would keep the projector from going on.
    private func takesAuditAlong() throws -> Bool {
        guard options.target == .head, options.destination == nil, options.tables == nil else {
            return false
        }
        let connection = try connect()
        let deadline = ContinuousClock.now + .seconds(Restore.lateSeconds)
        while true {
            let log = try log()
            let heads = try ProjectionHead.all(connection, catalog: catalog, ledger: log.ledger)
            guard let audit = heads[auditProjectionName]?.head else { return false }
            if audit.position <= log.durable.position {
                return try log.place(of: audit.position).head != audit
            }
            if ContinuousClock.now > deadline { return true }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    private func rebuild(
        _ name: String, to point: RestorePoint, base: BackupSource?
    ) throws -> Rebuild {
        var rebuildOptions = Rebuild.Options(migrationsFolder: options.migrationsFolder)
        rebuildOptions.schema = options.schema
        rebuildOptions.isDryRun = options.isDryRun || options.destination != nil
        rebuildOptions.comparesFirst = options.destination == nil
        rebuildOptions.sampleCount = options.sampleCount
        rebuildOptions.patienceSeconds = options.patienceSeconds
        rebuildOptions.base = base
        rebuildOptions.replacesAhead = true
        if options.target != .head || options.destination != nil {
            rebuildOptions.target = point.head
        }
        if isHeld {
            let time = point.time.map { ", after the batch of \($0)" } ?? ""
            rebuildOptions.holdReason =
                "restored to position \(point.head.position)\(time), and held there: "
                + "`daybook projections resume \(name)` lets it go on"
        }
        return try Rebuild(
            name, catalog: catalog, options: rebuildOptions, source: log, connect: connect,
            isStopping: isStopping, onProgress: onProgress)
    }

    private func dangling(among names: [String]) throws -> [DanglingReference] {
        let tables = Set(names.filter { catalog.table(named: $0) != nil })
        return try ReferenceCheck(
            connection: connect(), catalog: catalog, schema: options.schema, restored: tables,
            restoredSchema: Rebuild.buildSchema, includesLive: options.destination == nil
        ).run()
    }

    private func comment(_ point: RestorePoint) -> String {
        let time = point.time.map { ", after the batch of \($0)" } ?? ""
        let from = source.map { "backup \($0.name) and the log" } ?? "the log"
        return "The tables of ledger \(point.head.ledger) at position \(point.head.position)"
            + "\(time), restored from \(from) by Daybook; not kept up to date"
    }

    /// Tables that stand where the restored ones are to go are found before the work is done.
    private func refuseTaken(_ names: [String]) throws {
        guard let destination = options.destination else { return }
        let connection = try connect()
        for name in names {
            let table = SQL.identifier(destination, name)
            let found = try connection.query(
                "SELECT to_regclass($1) IS NOT NULL", [.text(table)])
            guard found[0].bool(0) != true else {
                throw BackupError.refused(
                    "there is a table \(table) already: drop it, or name another schema")
            }
        }
    }

    private static func refuse(
        _ destination: String, live schema: String
    ) throws(BackupError) {
        let isOurs =
            destination == schema || destination.hasPrefix("daybook")
            || destination.hasPrefix("pg_") || destination == "information_schema"
        if isOurs || destination.isEmpty {
            throw .refused("\(destination) cannot be restored into; name a schema of its own")
        }
    }
}
