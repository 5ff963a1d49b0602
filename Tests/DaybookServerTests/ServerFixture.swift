import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import Foundation
import Hummingbird
import HummingbirdTesting
import Logging
import Testing

@testable import DaybookServer

/// Projections that are where a test says.
struct FixedProjections: ProjectionStatusSource {
    var projections: [ProjectionStatus] = []
    let postgres = "host=/nowhere"
}

/// Keys that a test gives by their text.
struct FixedKeys: KeyAuthority {
    let callers: [String: Caller]
    func caller(presenting key: String) -> Caller? { callers[key] }
}

struct NoImports: ImportService {
    func importFile(
        _ request: ImportRequest, body: any AsyncSequence<ByteBuffer, any Error> & Sendable
    ) async throws -> ImportSummary {
        throw LedgerError.closed
    }
}

/// The parts of a server over a small dictionary and any ledger.
func serverParts(
    ledger: any LedgerService, projections: FixedProjections = FixedProjections()
) throws -> ServerParts {
    ServerParts(
        ledger: ledger, catalog: try testCatalog(),
        fingerprintKey: FingerprintKey(bytes: Array(0..<16)),
        keys: FixedKeys(callers: [
            "all": Caller(principal: "all", scopes: Set(Scope.allCases), tables: nil),
            "reader": Caller(principal: "reader", scopes: [.read], tables: nil),
            "jobs": Caller(principal: "jobs", scopes: [.append], tables: ["jobs"]),
        ]),
        projections: projections, logSize: { LogSize(segmentCount: 1, byteCount: 10) },
        importer: NoImports(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
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

/// Runs a test against a server that listens on the loopback interface.
func withServer(
    _ parts: ServerParts, _ body: @escaping @Sendable (any TestClientProtocol) async throws -> Void
) async throws {
    let server = LedgerServer(parts).application(host: "127.0.0.1", port: 0) { _ in }
    try await server.test(.live) { client in try await body(client) }
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

    func get(_ uri: String, key: String? = "all") async throws -> TestResponse {
        var fields = HTTPFields()
        fields[.apiKey] = key
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
