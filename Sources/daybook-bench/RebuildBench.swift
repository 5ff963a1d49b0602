import DaybookCatalog
import DaybookProjections
import DaybookSegments
import Foundation
import Postgres

private let roundCount = 3
private let table = "hired_employees"

/// A table made anew from the log, its key included, beside two parallel COPYs of the same rows
/// from binary files followed by ADD PRIMARY KEY, and beside pg_restore of the same table; in turns
/// on one private cluster. Then the table's aggregate from the log.
func measureRebuild(rowCount: Int) async throws {
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
    try maintenance.execute("CREATE DATABASE source")
    let bench = RebuildBench(
        log: log, catalog: catalog, conninfo: "\(server) dbname=source", folder: folder)
    _ = try bench.rebuild(table)
    try bench.writeFiles(rowCount: rowCount)
    var rounds: [(rebuilt: Double, copied: Double, restored: Double, folded: Double)] = []
    for round in 0..<(rowCount > 2_000_000 ? 1 : roundCount) {
        try maintenance.execute("CHECKPOINT")
        let rebuilt = try bench.rebuild(table)
        let folded = try bench.rebuild("hires_by_quarter")
        let target = "\(server) dbname=target\(round)"
        try maintenance.execute("CREATE DATABASE target\(round)")
        try maintenance.execute("CHECKPOINT")
        let copied = try await bench.copyHalves(into: target)
        try PostgresConnection(.init(conninfo: target)).execute("DROP TABLE \(table)")
        try maintenance.execute("CHECKPOINT")
        let restored = try seconds {
            try run("pg_restore", ["--dbname", target, folder + "/table.dump"])
        }
        try maintenance.execute("DROP DATABASE target\(round)")
        rounds.append((rebuilt, copied, restored, folded))
    }
    try await cluster.stop()
    let median = rounds.sorted { $0.rebuilt < $1.rebuilt }[rounds.count / 2]
    func rate(_ seconds: Double) -> String { Report.rate(Double(rowCount) / seconds, "rows") }
    let command = "daybook-bench rebuild --rows \(rowCount)"
    Report.row(
        "log to a new table, filled and keyed (median of \(rounds.count))",
        figure: rate(median.rebuilt),
        limit: "two parallel psql \\copy, then ADD PRIMARY KEY: " + rate(median.copied),
        ratio: median.copied / median.rebuilt, command: command)
    Report.row(
        "the same", figure: rate(median.rebuilt),
        limit: "pg_restore of the table: " + rate(median.restored),
        ratio: median.restored / median.rebuilt, command: command)
    Report.row(
        "log to the aggregate hires_by_quarter", figure: rate(median.folded),
        limit: "log to the table: " + rate(median.rebuilt),
        ratio: median.rebuilt / median.folded, command: command)
}

private struct RebuildBench: Sendable {
    let log: SegmentLog
    let catalog: Catalog
    let conninfo: String
    let folder: String

    /// Seconds to fill and index the projection's new tables, which are then swapped in.
    func rebuild(_ name: String) throws -> Double {
        var options = Rebuild.Options(migrationsFolder: "sql/migrations")
        options.comparesFirst = false
        let report = try Rebuild(
            name, catalog: catalog, options: options, source: { log },
            connect: { [conninfo] in try PostgresConnection(.init(conninfo: conninfo)) }
        ).run()
        guard report.isSwapped else { throw BenchFailure("the rebuild did not come to its end") }
        return (report.seconds[.filling] ?? 0) + (report.seconds[.indexing] ?? 0)
    }

    /// What the others load: two binary files with half of the rows each, and a dump.
    func writeFiles(rowCount: Int) throws {
        let connection = try PostgresConnection(.init(conninfo: conninfo))
        let found = try connection.query("SELECT count(*), count(DISTINCT id) FROM \(table)")
        guard found[0].int64(0) == Int64(rowCount), found[0].int64(1) == Int64(rowCount) else {
            throw BenchFailure("not every row was rebuilt")
        }
        for (half, comparison) in ["<=", ">"].enumerated() {
            let rows = "SELECT * FROM \(table) WHERE id \(comparison) \(rowCount / 2)"
            try psql(conninfo, "\\copy (\(rows)) TO '\(folder)/\(half).bin' (FORMAT binary)")
        }
        try run(
            "pg_dump",
            ["--format=custom", "--table=\(table)", "--file=\(folder)/table.dump", conninfo])
    }

    /// Seconds for two parallel COPYs into a table without a key, and the key.
    func copyHalves(into target: String) async throws -> Double {
        let connection = try PostgresConnection(.init(conninfo: target))
        guard let ddl = catalog.table(named: table)?.ddl(schema: "public") else {
            throw BenchFailure("the shipped dictionary has no \(table)")
        }
        try connection.execute(ddl.createTable)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for half in 0...1 {
                group.addTask {
                    try psql(target, "\\copy \(table) FROM '\(folder)/\(half).bin' (FORMAT binary)")
                }
            }
            try await group.waitForAll()
        }
        for key in ddl.keyStatements { try connection.execute(key) }
        return (ContinuousClock.now - start) / .seconds(1)
    }
}

private func run(_ program: String, _ arguments: [String]) throws {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw BenchFailure("\(program) failed") }
}
