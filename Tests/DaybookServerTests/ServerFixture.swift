import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import DaybookSegments
import Foundation
import Hummingbird
import HummingbirdTesting
import Logging
import Synchronization
import TestSupport
import Testing

@testable import DaybookServer

/// Projections that are where a test says.
struct FixedProjections: ProjectionStatusSource {
    var projections: [ProjectionStatus] = []
    var end = Position.max
    let postgres = "host=/nowhere"
    let postgresState = "unreachable"
}

/// Keys that a test gives by their text.
struct FixedKeys: KeyAuthority {
    let callers: [String: Caller]
    func caller(presenting key: String) -> Caller? { callers[key] }
}

/// A server over a fresh ledger in a folder of its own, listening on the loopback interface.
func withServer(
    projections: any ProjectionStatusSource = FixedProjections(),
    reports: ServedReports = ServedReports([], source: ScriptedReports()),
    rows: any RowSource = ScriptedRows(),
    rejections: any RejectionSource = ScriptedRejections(),
    backups: any BackupKeeper = ScriptedBackups(),
    segmentByteCount: UInt64? = nil, followerLimit: Int = 4, proofLimit: Int = 2,
    historyLimit: Int = 4, retractionLimit: Int = 1,
    catalog: Catalog? = nil, limiter: RateLimiter? = nil, limits: ServerLimits? = nil,
    _ body:
        @escaping @Sendable (any TestClientProtocol, ScriptedLedger, WatchedLog) async throws ->
        Void
) async throws {
    let folder = try TemporaryFolder()
    let catalog = try catalog ?? testCatalog()
    let schema = try catalog.logSchema()
    let time = Mutex<Microseconds>(1_800_000_000_000_000)
    let clock: @Sendable () -> Microseconds = {
        time.withLock { time in
            time += 1000
            return time
        }
    }
    var options = SegmentLogOptions(schema: schema, clock: clock)
    if let segmentByteCount { options.segmentByteCount = segmentByteCount }
    let log = try SegmentLog.open(folder: folder.path("data"), options: options)
    let ledger = try Ledger.open(
        engine: log, catalog: catalog, stateFolder: folder.path("data/state"),
        options: LedgerOptions(wallClock: clock, bootClock: clock, onFatal: { _ in }))
    let scripted = ScriptedLedger(ledger)
    let watched = WatchedLog(log)
    var parts = ServerParts(
        ledger: scripted, log: watched, catalog: catalog, fingerprintKey: ledger.fingerprintKey,
        keys: FixedKeys(callers: [
            "all": Caller(principal: "all", scopes: Set(Scope.allCases), tables: nil),
            "other": Caller(principal: "other", scopes: [.append], tables: nil),
            "reader": Caller(principal: "reader", scopes: [.read], tables: nil),
            "jobs": Caller(principal: "jobs", scopes: [.append, .read, .audit], tables: ["jobs"]),
            "jobs-admin": Caller(
                principal: "jobs-admin", scopes: Set(Scope.allCases), tables: ["jobs"]),
        ]),
        projections: projections, reports: reports, rows: rows, rejections: rejections,
        backups: backups, signingKey: try SigningKey(seed: Array(1...32)),
        logSize: { LogSize(segmentCount: 1, byteCount: 10) },
        logger: Logger(label: "test") { label in
            JSONLogHandler(label: label, level: .critical, clock: { "" })
        })
    parts.followerLimit = followerLimit
    parts.proofLimit = proofLimit
    parts.historyLimit = historyLimit
    parts.retractionLimit = retractionLimit
    if let limiter { parts.limiter = limiter }
    if let limits { parts.limits = limits }
    let server = try LedgerServer(parts).application(host: "127.0.0.1", port: 0) { _ in }
    try await server.test(.live) { client in try await body(client, scripted, watched) }
    ledger.close()
    try log.close()
}

func testCatalog() throws -> Catalog {
    try CatalogLoader.load(files: [
        (
            "jobs.yaml",
            """
            table: jobs
            doc: Jobs
            key: [id]
            columns:
              - {name: id, type: integer, doc: Number}
              - {name: job, type: string, doc: Name}
            """
        ),
        (
            "departments.yaml",
            """
            table: departments
            doc: Departments
            key: [id]
            columns:
              - {name: id, type: integer, doc: Number}
              - {name: department, type: string, doc: Name}
            """
        ),
    ])
}

extension TestClientProtocol {
    func append(
        _ body: String, to table: String = "jobs", key: String? = "all",
        contentType: String? = "application/json", headers: [String: String] = [:]
    ) async throws -> TestResponse {
        var fields = HTTPFields()
        fields[.contentType] = contentType
        fields[.apiKey] = key
        for (name, value) in headers { fields[try #require(.init(name))] = value }
        return try await execute(
            uri: "/v1/\(table)", method: .post, headers: fields, body: ByteBuffer(string: body))
    }

    func get(
        _ uri: String, key: String? = "all", accept: String? = nil
    ) async throws -> TestResponse {
        var fields = HTTPFields()
        fields[.apiKey] = key
        fields[.accept] = accept
        return try await execute(uri: uri, method: .get, headers: fields)
    }
}

extension TestResponse {
    /// The body as another parser reads it.
    var json: [String: Any] {
        get throws {
            let object = try JSONSerialization.jsonObject(with: Data(buffer: body))
            return try #require(object as? [String: Any])
        }
    }

    /// The last part of a problem's type.
    var problem: String? {
        get throws { (try json["type"] as? String)?.split(separator: ":").last.map(String.init) }
    }
}
