import Avro
import DaybookCatalog
import DaybookLog
import DaybookSegments
import Foundation
import Logging
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import DaybookProjections

/// A log in a folder of its own, a dictionary, and a database of its own.
final class World: Sendable {
    static let jobs = """
        table: jobs
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: job, type: string}
        """
    static let notes = """
        table: notes
        key: []
        columns:
          - {name: note, type: string, optional: true}
        """

    let folder: TemporaryFolder
    let log: SegmentLog
    let catalog: Catalog
    let conninfo: String

    /// One row of a batch.
    enum Row {
        case accepted((inout ByteSink) -> Void)
        case rejected(Rejection)

        static func job(_ id: Int64, _ name: String = "Smith") -> Row {
            .accepted { sink in
                sink.append(long: id)
                sink.append(string: name)
            }
        }

        static func note(_ text: String?) -> Row {
            .accepted { sink in
                sink.append(long: text == nil ? 0 : 1)
                if let text { sink.append(string: text) }
            }
        }
    }

    init(_ dictionary: [String] = [jobs, notes]) async throws {
        folder = try TemporaryFolder()
        catalog = try World.catalog(dictionary)
        let schema = try LogSchema(recordSchemas: catalog.tables.map(\.avroSchema))
        log = try SegmentLog.open(
            folder: folder.path("data"),
            options: SegmentLogOptions(schema: schema, clock: { 1_000_000 }))
        conninfo = try await TestCluster.freshDatabase()
    }

    private init(_ other: World, catalog: Catalog, log: SegmentLog, conninfo: String) {
        folder = other.folder
        self.catalog = catalog
        self.log = log
        self.conninfo = conninfo
    }

    /// The same log and database after the dictionary has become another.
    func adopting(_ dictionary: [String]) throws -> World {
        let catalog = try World.catalog(dictionary)
        try log.roll(to: LogSchema(recordSchemas: catalog.tables.map(\.avroSchema)))
        return World(self, catalog: catalog, log: log, conninfo: conninfo)
    }

    /// The same database, and a new log of the same dictionary.
    func withLog(_ name: String) throws -> World {
        let log = try SegmentLog.open(
            folder: folder.path(name),
            options: SegmentLogOptions(schema: log.schema, clock: { 1_000_000 }))
        return World(self, catalog: catalog, log: log, conninfo: conninfo)
    }

    /// The same log, and another database.
    func withDatabase(_ conninfo: String) -> World {
        World(self, catalog: catalog, log: log, conninfo: conninfo)
    }

    static func catalog(_ dictionary: [String]) throws -> Catalog {
        try CatalogLoader.load(
            files: dictionary.enumerated().map { ("\($0.offset).yaml", $0.element) })
    }

    /// Appends one block of batches, each of one table's rows.
    func append(
        _ batches: [(table: String, rows: [Row])],
        change: (inout BatchFacts) -> Void = { _ in }
    ) throws {
        var builder = BlockBuilder(schema: log.schema)
        var position = log.durable.position
        var time = log.lastReceivedAt
        for (table, rows) in batches {
            time += 1_000_000
            var facts = BatchFacts(
                position: position, receivedAt: time, clock: time, id: World.batchID(position),
                source: "http", principal: "tester", dictionary: catalog.version, table: table,
                format: "json")
            change(&facts)
            let branch = try #require(log.schema.branch(of: table))
            let rejectionBranch = log.schema.rejectionBranch
            let rejectedCount = rows.count { if case .rejected = $0 { true } else { false } }
            let leaf = builder.append(
                facts, rowCount: rows.count, rejectedCount: rejectedCount
            ) { sink in
                for row in rows {
                    switch row {
                    case .accepted(let write):
                        sink.append(long: Int64(branch))
                        write(&sink)
                    case .rejected(let rejection):
                        sink.append(rejection: rejection, branch: rejectionBranch)
                    }
                }
            }
            try #require(leaf != nil)
            position += Position(rows.count)
        }
        _ = try log.append(builder)
    }

    /// Appends one of the ledger's own events, alone in its block.
    func append(_ control: Control) throws {
        var builder = BlockBuilder(schema: log.schema)
        let (position, time) = (log.durable.position, log.lastReceivedAt + 1_000_000)
        let facts = BatchFacts(
            position: position, receivedAt: time, clock: time, id: World.batchID(position),
            source: "system", principal: "system", dictionary: catalog.version, table: "",
            format: "control")
        let branch = log.schema.controlBranch
        let leaf = builder.append(facts, rowCount: 1, rejectedCount: 0) {
            $0.append(control: control, branch: branch)
        }
        try #require(leaf != nil)
        _ = try log.append(builder)
    }

    /// Takes back the accepted rows in the ranges.
    func retract(_ spans: [Range<Position>]) throws {
        var rows = RetractedRows()
        rows.add(spans)
        try append(Retraction(note: "a test", principal: "tester").control(of: rows.spans))
    }

    /// Appends a block of jobs whose ids are their positions.
    func appendJobs(_ count: Int) throws {
        let start = log.durable.position
        try append([("jobs", (0..<Int64(count)).map { .job(start + $0) })])
    }

    static func batchID(_ position: Position) -> String {
        let digits = String(position, radix: 16)
        let padded = String(repeating: "0", count: 12 - digits.count) + digits
        return "0190a000-0000-7000-8000-" + padded
    }

    /// A projector into the database, or to where `conninfo` leads.
    func projector(
        conninfo: String? = nil, rowLimit: Int = 50_000, retrySeconds: Double = 0.01,
        connect: (@Sendable () throws -> PostgresConnection)? = nil,
        onLogContradicted: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Projector {
        var options = Projector.Options(migrationsFolder: packageRoot + "/sql/migrations")
        options.rowLimit = rowLimit
        options.retrySeconds = retrySeconds
        options.onLogContradicted = onLogContradicted
        var logger = Logger(label: "projector")
        logger.logLevel = .critical
        logger.handler = SwiftLogNoOpLogHandler()
        let target = conninfo ?? self.conninfo
        return Projector(
            engine: log, catalog: catalog, options: options, logger: logger,
            connect: connect ?? {
                try PostgresConnection(.init(conninfo: target, applicationName: "projector"))
            })
    }

    /// Projects all that is in the log as far as that goes, and stops.
    @discardableResult
    func projectAll(rowLimit: Int = 50_000) async -> Projector {
        let projector = projector(rowLimit: rowLimit)
        projector.start()
        let end = log.durable.position
        let deadline = ContinuousClock.now + .seconds(30)
        func isOnTheWay(_ status: ProjectionStatus) -> Bool {
            status.state == .building || status.state == .running && status.position < end
        }
        while projector.statuses.contains(where: isOnTheWay),
            ContinuousClock.now < deadline
        {
            try? await Task.sleep(for: .milliseconds(2))
        }
        await projector.stop()
        return projector
    }

    func psql(_ sql: String) throws -> String {
        try LedgerWorld.psql(conninfo, sql)
    }

    /// Asserts that the table `jobs` holds every job of the log once, as `appendJobs` made them,
    /// that the audit holds every batch, and that all checkpoints are the log's head.
    func expectExactlyOnce(sourceLocation: SourceLocation = #_sourceLocation) throws {
        var jobs: [Position] = []
        var batches: [Position] = []
        var position: Position = 0
        while position < log.durable.position {
            for block in try log.blocks(from: position, byteLimit: 1 << 20) {
                try block.forEachBatch { reader in
                    batches.append(reader.facts.position)
                    guard reader.facts.table == "jobs" else { return }
                    jobs += (0..<Int64(reader.rowCount)).map { reader.facts.position + $0 }
                }
                position = block.endPosition
            }
        }
        let inTable = try psql("SELECT id, ledger_position FROM jobs ORDER BY ledger_position")
        #expect(
            inTable == jobs.map { "\($0)|\($0)" }.joined(separator: "\n"),
            sourceLocation: sourceLocation)
        let inAudit = try psql("SELECT position FROM daybook.batches ORDER BY 1")
        #expect(
            inAudit == batches.map(String.init).joined(separator: "\n"),
            sourceLocation: sourceLocation)
        let head = log.durable
        let checkpoints = try psql(
            "SELECT DISTINCT replace(ledger::text, '-', ''), position, tree_size,"
                + " encode(root, 'hex'), state FROM daybook.checkpoints")
        #expect(
            checkpoints
                == "\(log.ledger)|\(head.position)|\(head.size)|\(head.root)|running",
            sourceLocation: sourceLocation)
    }
}
