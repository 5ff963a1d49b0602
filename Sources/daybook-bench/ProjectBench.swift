import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog
import DaybookProjections
import DaybookSegments
import Foundation
import Logging
import Postgres

private let rowsPerBatch = 1_000
private let batchesPerBlock = 8
private let roundCount = 3

/// Hires from the log into their table, with its key and the audit, beside psql's COPY of
/// the same rows as a binary file into the same table. Both in turns on one private cluster.
func measureProjection(rowCount: Int) async throws {
    let folder = NSTemporaryDirectory() + "/daybook-bench-\(getpid())"
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o755])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let catalog = try CatalogLoader.load(folder: "projections")
    let log = try makeHireLog(folder: folder, catalog: catalog, rowCount: rowCount)
    let cluster = PrivateCluster(dataDirectory: folder + "/postgres")
    let server = try await cluster.start().conninfo
    let maintenance = try PostgresConnection(.init(conninfo: server))
    var rates: [(projected: Double, copied: Double)] = []
    for round in 0..<roundCount {
        try maintenance.execute("CREATE DATABASE bench\(round)")
        let conninfo = "\(server) dbname=bench\(round)"
        let projected = try await project(log, catalog, into: conninfo)
        let connection = try PostgresConnection(.init(conninfo: conninfo))
        let found = try connection.query("SELECT count(*), count(DISTINCT id) FROM hired_employees")
        guard found[0].int64(0) == Int64(rowCount), found[0].int64(1) == Int64(rowCount) else {
            throw BenchFailure("not every row was projected")
        }
        let file = folder + "/hires.bin"
        try psql(conninfo, "\\copy hired_employees TO '\(file)' (FORMAT binary)")
        try connection.execute("TRUNCATE hired_employees; CHECKPOINT")
        let copied = try seconds {
            try psql(conninfo, "\\copy hired_employees FROM '\(file)' (FORMAT binary)")
        }
        try connection.execute("CHECKPOINT")
        rates.append((Double(rowCount) / projected, Double(rowCount) / copied))
    }
    try await cluster.stop()
    let (projected, copied) = rates.sorted { $0.projected < $1.projected }[roundCount / 2]
    Report.row(
        "log to table with its key, and audit (median of \(roundCount))",
        figure: Report.rate(projected, "rows"),
        limit: "psql \\copy of the same rows, binary: " + Report.rate(copied, "rows"),
        ratio: projected / copied, command: "daybook-bench project --rows \(rowCount)")
}

/// A log of so many hires, in batches and blocks as a busy server writes them.
func makeHireLog(
    folder: String, catalog: Catalog, rowCount: Int
) throws -> SegmentLog {
    let schema = try LogSchema(recordSchemas: catalog.tables.map(\.avroSchema))
    let log = try SegmentLog.open(
        folder: folder, options: SegmentLogOptions(schema: schema, clock: { 1_000_000 }))
    let judge = try makeHireJudge()
    var generator = HireGenerator()
    var position: Position = 0
    while position < rowCount {
        var builder = BlockBuilder(schema: schema, capacity: 1 << 20)
        for _ in 0..<batchesPerBlock where position < rowCount {
            let rows = (0..<rowsPerBatch).map { row in
                let hire = generator.hire(Int(position) + row + 1)
                return "{\"id\":\(hire[0]),\"name\":\"\(hire[1])\",\"datetime\":\"\(hire[2])\","
                    + "\"department_id\":\(hire[3]),\"job_id\":\(hire[4])}"
            }
            let body = Bytes(Array("[\(rows.joined(separator: ","))]".utf8), padding: 64)
            let batch = judge.judgeJSON(body)
            guard batch.rows.allSatisfy(\.isCandidate) else {
                throw BenchFailure("a row was refused")
            }
            let number = String(position, radix: 16)
            let digits = String(repeating: "0", count: 12 - number.count) + number
            let facts = BatchFacts(
                position: position, receivedAt: position + 1, clock: position + 1,
                id: "0190a000-0000-7000-8000-\(digits)", source: "http", principal: "bench",
                dictionary: catalog.version, table: "hired_employees", format: "json")
            // A run of candidates is a run of rows, branches included.
            _ = builder.append(facts, rowCount: rowsPerBatch, rejectedCount: 0) { sink in
                batch.encoded.withUnsafeBytes { sink.append(raw: $0) }
            }
            position += Position(rowsPerBatch)
        }
        _ = try log.append(builder)
    }
    return log
}

/// Seconds from the moment when the tables are there to the moment when all rows are.
private func project(
    _ log: SegmentLog, _ catalog: Catalog, into conninfo: String
) async throws -> Double {
    let projector = Projector(
        engine: log, catalog: catalog, options: .init(migrationsFolder: "sql/migrations"),
        logger: Logger(label: "projector", factory: { _ in SwiftLogNoOpLogHandler() })
    ) { try PostgresConnection(.init(conninfo: conninfo)) }
    projector.start()
    while projector.postgres != .connected { try await Task.sleep(for: .milliseconds(1)) }
    var isDone = false
    let elapsed = await ContinuousClock().measure {
        isDone = await projector.waitUntilApplied(log.durable.position, timeoutSeconds: 600)
    }
    await projector.stop()
    guard isDone else { throw BenchFailure("the projector stopped: \(projector.statuses)") }
    return elapsed / .seconds(1)
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure(body) / .seconds(1)
}

func psql(_ conninfo: String, _ command: String) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", conninfo, "-c", command]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchFailure("psql failed") }
}
