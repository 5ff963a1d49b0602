import Avro
import DaybookLog
import Foundation
import Hummingbird
import HummingbirdTesting
import Synchronization
import Testing

@testable import DaybookServer

/// Makes no backups: a test says what comes of each, and what is there.
final class ScriptedBackups: BackupKeeper {
    private struct State {
        var orders: [BackupOrder] = []
        var outcome: Result<MadeBackup, BackupFailure>?
        var listing: Result<BackupListing, BackupFailure> = .success(
            BackupListing(target: "/backups", backups: []))
        var status = BackupStatus()
        var isStopping = false
    }

    private let state = Mutex(State())

    var orders: [BackupOrder] { state.withLock { $0.orders } }

    func change(_ body: (inout BackupStatus) -> Void) { state.withLock { body(&$0.status) } }
    func list(_ listing: Result<BackupListing, BackupFailure>) {
        state.withLock { $0.listing = listing }
    }
    func stop() { state.withLock { $0.isStopping = true } }

    /// Ends the backup that runs.
    func end(_ outcome: Result<MadeBackup, BackupFailure>) {
        state.withLock { state in
            state.outcome = outcome
            state.status.running = nil
        }
    }

    func begin(_ order: BackupOrder) throws(BackupRefusal) -> Int {
        let result = state.withLock { state -> Result<Int, BackupRefusal> in
            if state.isStopping { return .failure(.stopping) }
            if let running = state.status.running { return .failure(.busy(running)) }
            state.orders.append(order)
            state.outcome = nil
            state.status.running = BackupActivity(.backup, since: 0, progress: "jobs: 1 row")
            return .success(state.orders.count)
        }
        return try result.get()
    }

    func outcome(of number: Int) -> Result<MadeBackup, BackupFailure>? {
        state.withLock { $0.orders.count == number ? $0.outcome : nil }
    }

    func listing() throws(BackupFailure) -> BackupListing {
        try state.withLock { $0.listing }.get()
    }

    var status: BackupStatus { state.withLock { $0.status } }
}

@Suite("Backups by HTTP")
struct BackupRouteTests {
    private let made = MadeBackup(
        name: "backup-7-20261125T140300Z", target: "/backups", position: 7, root: "ab",
        time: "2026-11-25T14:03:00Z",
        tables: [.init(table: "jobs", file: "jobs.avro", rowCount: 3, byteCount: 100)],
        logPosition: 9, logByteCount: 50, durationSeconds: 0.5)

    @Test("A backup is begun and answered by 202, a second one meanwhile by 409")
    func begins() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            let answer = try await client.makeBackup()
            #expect(answer.status == .accepted)
            #expect(answer.headers[.location] == "/v1/backups")
            let json = try answer.json
            #expect(json["state"] as? String == "running" && json["what"] as? String == "backup")
            #expect(json["since"] as? String == "1970-01-01T00:00:00Z")
            let second = try await client.makeBackup()
            #expect(second.status == .conflict && second.headers[.retryAfter] == "5")
            #expect(try second.problem == "backup-running")
            #expect((try second.json["detail"] as? String)?.hasSuffix("jobs: 1 row") == true)
            #expect(keeper.orders == [BackupOrder()])
            keeper.stop()
            let last = try await client.makeBackup()
            #expect(last.status == .serviceUnavailable && last.headers[.retryAfter] != nil)
            #expect(try last.problem == "restarting")
        }
    }

    @Test("Who waits is told what was made, or that it still runs")
    func waits() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            let start = ContinuousClock.now
            let late = try await client.makeBackup("?wait=0.2")
            #expect(late.status == .accepted && ContinuousClock.now - start >= .milliseconds(200))
            keeper.end(.success(made))

            async let waiting = client.makeBackup("?wait=60")
            while keeper.orders.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
            keeper.end(.success(made))
            let answer = try await waiting
            #expect(answer.status == .created && answer.headers[.location] == "/v1/backups")
            let json = try answer.json
            #expect(json["backup"] as? String == made.name && json["position"] as? Int == 7)
            #expect(json["rows"] as? Int == 3 && json["bytes"] as? Int == 150)
            #expect(json["log_position"] as? Int == 9)
            #expect((json["tables"] as? [[String: Any]])?.first?["file"] as? String == "jobs.avro")
        }
    }

    @Test(
        "Who waits is told why it failed, and whether to come again",
        arguments: [
            (BackupFailure.Kind.unavailable, 503, "backup-unavailable", true),
            (.busy, 409, "backup-running", true), (.stopping, 503, "restarting", true),
            (.failed, 500, "backup-failed", false),
        ])
    func failures(kind: BackupFailure.Kind, status: Int, name: String, isRetried: Bool)
        async throws
    {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            async let waiting = client.makeBackup("?wait=60")
            while keeper.orders.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            keeper.end(.failure(BackupFailure(kind, reason: "the reason", at: 0)))
            let answer = try await waiting
            #expect(answer.status.code == status)
            #expect(try answer.problem == name)
            #expect((answer.headers[.retryAfter] != nil) == isRetried)
        }
    }

    @Test("The body says what is in the backup; what is not understood is refused by name")
    func orders() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            let mistakes = [
                ("", #"{"tables":["sails"]}"#, "unknown-table", "jobs"),
                ("", #"{"tables":[]}"#, "bad-body", "one at least"),
                ("", #"{"codec":"gzip"}"#, "bad-body", "zstandard"),
                ("", #"{"with_logs":true}"#, "bad-body", "with_logs"),
                ("", #"{"with_log":"yes"}"#, "bad-body", "with_log"),
                ("", "[]", "bad-body", "like"),
                ("", "{", "bad-body", "like"), ("?wait=61", "", "bad-option", "60"),
                ("?wait=x", "", "bad-option", "60"), ("?wait=-1", "", "bad-option", "60"),
                ("?weight=1", "", "bad-option", "wait"),
            ]
            for (query, body, problem, hint) in mistakes {
                let answer = try await client.makeBackup(query, body)
                #expect(answer.status == .badRequest, "\(query) \(body)")
                #expect(try answer.problem == problem)
                #expect((try answer.json["detail"] as? String)?.contains(hint) == true)
            }
            #expect(keeper.orders.isEmpty)
            let body = #" {"tables":["jobs"],"codec":"zstandard","with_log":false} "#
            #expect(try await client.makeBackup("", body).status == .accepted)
            var order = BackupOrder()
            order.tables = ["jobs"]
            order.codec = .zstandard
            order.includesLog = false
            #expect(keeper.orders == [order])
            // Last, for it ends the connection.
            let large = try await client.makeBackup("", String(repeating: " ", count: 65_537))
            #expect(large.status == .contentTooLarge)
        }
    }

    @Test("Only an admin of all tables makes and lists backups")
    func scopes() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            let cases: [(String?, Int)] = [
                (nil, 401), ("other", 403), ("reader", 403), ("jobs", 403), ("jobs-admin", 403),
            ]
            for (key, status) in cases {
                let made = try await client.makeBackup(key: key)
                let listed = try await client.get("/v1/backups", key: key)
                #expect(made.status.code == status && listed.status.code == status)
            }
            #expect(keeper.orders.isEmpty)
        }
    }

    @Test("The list has the backups, what runs and what failed last")
    func list() async throws {
        let keeper = ScriptedBackups()
        keeper.list(
            .success(
                BackupListing(
                    target: "s3://vault/shop",
                    backups: [
                        .init(name: "broken", facts: nil),
                        .init(
                            name: made.name,
                            facts: .init(
                                ledger: "l", position: 7, time: made.time, tables: ["jobs"],
                                rowCount: 3, hasLog: true, isProven: true)),
                    ])))
        try await withServer(backups: keeper) { client, _, _ in
            let idle = try await client.get("/v1/backups").json
            #expect(idle["target"] as? String == "s3://vault/shop")
            #expect(idle["running"] is NSNull && idle["last_failure"] is NSNull)
            let backups = try #require(idle["backups"] as? [[String: Any]])
            #expect(backups[0]["readable"] as? Bool == false && backups[0].count == 2)
            #expect(backups[1]["proven"] as? Bool == true && backups[1]["rows"] as? Int == 3)
            keeper.change { status in
                status.running = BackupActivity(.drill, since: 0, progress: "half")
                status.lastFailure = BackupFailure(.failed, reason: "no room", at: 1_000_000)
            }
            let busy = try await client.get("/v1/backups").json
            #expect((busy["running"] as? [String: String])?["what"] == "drill")
            let failure = try #require(busy["last_failure"] as? [String: String])
            #expect(failure == ["reason": "no room", "time": "1970-01-01T00:00:01Z"])
            keeper.list(.failure(BackupFailure(.unavailable, reason: "away", at: 0)))
            let away = try await client.get("/v1/backups")
            #expect(away.status == .serviceUnavailable)
            #expect(try away.problem == "backup-unavailable")
        }
    }
}

extension TestClientProtocol {
    fileprivate func makeBackup(
        _ query: String = "", _ body: String = "", key: String? = "all"
    ) async throws -> TestResponse {
        var fields = HTTPFields()
        fields[.apiKey] = key
        return try await execute(
            uri: "/v1/backups\(query)", method: .post, headers: fields,
            body: ByteBuffer(string: body))
    }
}
