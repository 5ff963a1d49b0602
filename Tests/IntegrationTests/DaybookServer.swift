import Foundation
import TestSupport
import Testing

/// What went wrong with a server under test, with all that it said.
struct DaybookFailure: Error, CustomStringConvertible {
    let description: String
}

/// `daybook status --json` and `GET /v1/status`; only what the tests look at.
struct LedgerStatus: Decodable {
    let durable_position: Int
    let projections: [String: Projection]
    let postgres: String?
    let postgres_state: String?

    struct Projection: Decodable {
        let position: Int
        let lag: Int
        let state: String
    }
}

/// One ledger in a folder of its own, and the server that runs on it.
final class DaybookServer {
    let folder: TemporaryFolder
    let client: HTTPClient
    /// `DAYBOOK_…`, for the server and for every command beside it.
    private(set) var environment: [String: String]
    private(set) var process: BackgroundProcess?

    /// - Parameters:
    ///   - catalog: the folder of the data dictionary; the shipped one unless given.
    ///   - postgres: a connection URL; a private cluster unless given.
    init(catalog: String? = nil, postgres: String? = nil) throws {
        folder = try TemporaryFolder()
        client = HTTPClient(port: try freePort(), key: "integration-test-key")
        environment = [
            "DAYBOOK_DATA": folder.path("data"),
            "DAYBOOK_CATALOG": catalog ?? packageRoot,
            "DAYBOOK_POSTGRES": postgres ?? "embedded",
            "DAYBOOK_LISTEN": "127.0.0.1:\(client.port)",
            "DAYBOOK_API_KEY": client.key,
        ]
    }

    deinit {
        process?.signal(SIGTERM)
        if process?.waitForExit(timeoutSeconds: 20) == nil { process?.signal(SIGKILL) }
        stopPostgresLeftBehind()
    }

    /// The data directory.
    var data: String { environment["DAYBOOK_DATA"] ?? folder.path("data") }

    /// The log's segments, oldest first.
    var segments: [String] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: "\(data)/log")
                .filter { $0.hasSuffix(".avro.lz4") }.sorted().map { "\(data)/log/\($0)" }
        }
    }

    /// Starts the server, with further options, and waits until it can append.
    func start(_ options: [String] = []) async throws { try await start(options, until: "ready") }

    /// Starts a server that takes no batches, and waits until it answers.
    func startHeld() async throws { try await start([], until: "live") }

    private func start(_ options: [String], until state: String) async throws {
        let process = try launch(options)
        try await wait("the server to be \(state)") {
            if let status = process.waitForExit(timeoutSeconds: 0) {
                throw DaybookFailure(description: "serve exited \(status)\n\(process.errorText)")
            }
            return await (try? client.get("/health/\(state)"))?.status == 200
        }
    }

    /// Starts the server, and does not wait for it.
    func launch(_ options: [String]) throws -> BackgroundProcess {
        let process = try BackgroundProcess(
            daybookBinary, ["serve"] + options, environment: environment, folder: folder.path)
        self.process = process
        return process
    }

    /// kill -9: no goodbye, no flush; its Postgres goes on without it.
    func kill() {
        process?.signal(SIGKILL)
        process?.waitForExit(timeoutSeconds: 10)
    }

    /// Asks it to stop.
    /// - Returns: its exit status.
    @discardableResult
    func stop() throws -> Int32 {
        let process = try #require(process)
        process.signal(SIGTERM)
        guard let status = process.waitForExit(timeoutSeconds: 30) else {
            throw DaybookFailure(description: "did not stop in 30 s\n\(process.errorText)")
        }
        return status
    }

    /// Takes another data dictionary at the next start.
    func use(catalog: String) { environment["DAYBOOK_CATALOG"] = catalog }

    /// Sets a variable of the environment, `DAYBOOK_…`, or takes it away, for what starts from now.
    func set(_ variable: String, _ value: String?) { environment[variable] = value }

    /// Begins elsewhere at the next start: in another data directory, with another Postgres.
    func use(data: String? = nil, postgres: String? = nil) {
        if let data { environment["DAYBOOK_DATA"] = data }
        if let postgres { environment["DAYBOOK_POSTGRES"] = postgres }
    }

    /// Runs a command of the program on this ledger. Of every import that ends well it is asserted
    /// that no row is lost.
    func run(_ arguments: [String], timeoutSeconds: Double = 120) throws -> ToolResult {
        let result = try runTool(
            daybookBinary, arguments, environment: environment, folder: folder.path,
            timeoutSeconds: timeoutSeconds)
        if arguments.first == "import", result.status == 0, !arguments.contains("--help") {
            expectNoRowLost(result.text)
        }
        return result
    }

    /// `rows = accepted + rejected`, in what an import printed: JSON, or words.
    private func expectNoRowLost(_ text: String) {
        struct Counts: Decodable {
            let rows: Int64
            let accepted: Int64
            let rejected: Int64
        }
        var counts = (try? JSONDecoder().decode(Counts.self, from: Data(text.utf8))).map {
            ($0.rows, $0.accepted, $0.rejected)
        }
        if text.contains("nothing was done") { return }
        let words = #/([0-9,]+) rows?[^,]*, ([0-9,]+) accepted, ([0-9,]+) rejected/#
        if counts == nil, let match = text.firstMatch(of: words) {
            let numbers = [match.1, match.2, match.3].compactMap {
                Int64($0.replacing(",", with: ""))
            }
            if numbers.count == 3 { counts = (numbers[0], numbers[1], numbers[2]) }
        }
        guard let (rows, accepted, rejected) = counts else {
            Issue.record("an import says how many rows it had: \(text)")
            return
        }
        #expect(rows == accepted + rejected, "\(text)")
    }

    /// Runs a command that must succeed, and reads the JSON object that it prints.
    func json<Value: Decodable>(_ arguments: [String], as type: Value.Type) throws -> Value {
        let result = try run(arguments + ["--json"])
        guard result.status == 0 else {
            throw DaybookFailure(
                description: "daybook \(arguments) exited \(result.status)\n\(result.errorText)")
        }
        return try JSONDecoder().decode(type, from: result.output)
    }

    func status() throws -> LedgerStatus { try json(["status"], as: LedgerStatus.self) }

    /// Waits until Postgres has everything that the log has.
    func waitUntilProjected(_ projections: String..., timeoutSeconds: Double = 60) async throws {
        var last = ""
        do {
            try await wait("the projections", timeoutSeconds: timeoutSeconds) {
                let answer = try await client.get("/v1/status")
                last = answer.text
                let status = try JSONDecoder().decode(LedgerStatus.self, from: answer.body)
                return (projections + ["audit"]).allSatisfy { status.projections[$0]?.lag == 0 }
            }
        } catch {
            throw DaybookFailure(description: "\(error)\n\(last)\n\(process?.errorText ?? "")")
        }
    }

    /// Asks Postgres, by the very conninfo that `status` gives.
    /// - Returns: the result as CSV without a header.
    func sql(_ query: String) throws -> String {
        let conninfo = try #require(try status().postgres)
        let result = try runTool(
            "psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "--csv", "-t", "-c", query, conninfo])
        guard result.status == 0 else {
            throw DaybookFailure(description: "\(query)\n\(result.errorText)")
        }
        return result.text
    }

    /// A private cluster outlives a server that was killed: no test may leave one behind.
    private func stopPostgresLeftBehind() {
        let lock = "\(data)/postgres/postmaster.pid"
        guard let text = try? String(contentsOfFile: lock, encoding: .utf8),
            let pid = text.split(separator: "\n").first.flatMap({ pid_t($0) })
        else { return }
        Foundation.kill(pid, SIGINT)
        for _ in 0..<200 where FileManager.default.fileExists(atPath: lock) { usleep(50_000) }
    }
}

/// Runs a test on a fresh ledger; what the server said is part of a failure.
func withDaybook(
    catalog: String? = nil, postgres: String? = nil, start: Bool = true,
    _ body: (DaybookServer) async throws -> Void
) async throws {
    let server = try DaybookServer(catalog: catalog, postgres: postgres)
    do {
        if start { try await server.start() }
        try await body(server)
    } catch {
        Issue.record("the server said:\n\(server.process?.errorText.suffix(4_000) ?? "")")
        throw error
    }
}

/// Puts a figure that was measured into the tests' own output.
func report(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

/// Looks every 50 ms until a condition holds.
/// - Throws: ``DaybookFailure`` at the timeout, or what the condition throws.
func wait(
    _ what: String, timeoutSeconds: Double = 60,
    isolation: isolated (any Actor)? = #isolation,
    until condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(timeoutSeconds)
    while !(try await condition()) {
        guard clock.now < deadline else {
            throw DaybookFailure(description: "waited \(timeoutSeconds) s for \(what)")
        }
        try await Task.sleep(for: .milliseconds(50))
    }
}
