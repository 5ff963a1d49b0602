import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Hostile clients") struct Hostile {
        /// What the attacker's script prints.
        private struct Report: Decodable {
            struct Attack: Decodable {
                let peak_mb: Int
                let honest: Int
            }
            let attacks: Int
            let honest_appends: Int
            let honest_failure_count: Int
            let peak_mb: Int
            let by_attack: [String: Attack]
        }

        @Test("Fault 36 and its kin: a clear 4xx or a rejection, bounded memory, others append on")
        func attacks() async throws {
            try await withDaybook { daybook in
                try await daybook.waitUntilProjected("jobs")
                let pid = try #require(daybook.process).pid
                let result = try runTool(
                    try pythonPath,
                    [
                        "\(packageRoot)/Tests/IntegrationTests/scripts/hostile.py",
                        "--port", "\(daybook.client.port)", "--pid", "\(pid)",
                        "--key", daybook.client.key, "--slow", "200", "--big", "\(128 << 20)",
                    ], timeoutSeconds: 240)
                #expect(result.status == 0, "\(result.text)\n\(result.errorText)")
                let found = try JSONDecoder().decode(Report.self, from: result.output)
                report("hostile clients: \(result.text)")
                #expect(found.attacks >= 100)
                // What the limits add up to: bodies and answers, twice at most, and the rest.
                #expect(found.peak_mb < 1_000)
                // It appended in every attack that lasted, and was hardly ever sent away.
                #expect(found.honest_failure_count * 100 <= found.honest_appends)
                for name in ["slow_bodies", "slow_heads", "slow_readers"] {
                    #expect((found.by_attack[name]?.honest ?? 0) > 20, "\(name)")
                }
                // Everything is as it was, and every row of the honest client is there once.
                try await daybook.waitUntilProjected("jobs", timeoutSeconds: 120)
                let rows = try daybook.sql(
                    "SELECT count(*), count(DISTINCT id) FROM jobs WHERE job = 'Honest'")
                #expect(rows == "\(found.honest_appends),\(found.honest_appends)\n")
                let batches = try daybook.sql(
                    "SELECT count(*) FROM daybook.batches WHERE rows <> accepted + rejected")
                #expect(batches == "0\n")
            }
        }

        @Test("Connections beyond the limit are told so, and room is made when others go")
        func tooManyConnections() async throws {
            try await withDaybook(start: false) { daybook in
                try await daybook.start(["--max-connections", "3"])
                let script = """
                    import socket, sys, time
                    port = int(sys.argv[1])
                    open = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
                    time.sleep(1)
                    refused = []
                    for one in open:
                        one.setblocking(False)
                        try: refused.append(one.recv(4096))
                        except BlockingIOError: refused.append(b"")
                    print(sum(b" 503 " in text and b"too-many-connections" in text
                              for text in refused))
                    """
                let port = "\(daybook.client.port)"
                let result = try runTool(try pythonPath, ["-c", script, port])
                var refused = Int(result.text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
                #expect((3...4).contains(refused), "\(result.text) \(result.errorText)")
                // The server may not have seen yet that the others went.
                try await wait("room") {
                    let status = try await daybook.client.get("/health/live").status
                    if status == 503 { refused += 1 }
                    return status == 200
                }
                let metrics = try await daybook.client.get("/metrics").text
                #expect(metrics.contains("\ndaybook_http_connections_refused_total \(refused)"))
            }
        }

        @Test("A client that asks before it sends a body is told to go on")
        func expectContinue() async throws {
            try await withDaybook { daybook in
                let result = try runTool(
                    "curl",
                    [
                        "-sv", "--expect100-timeout", "20", "-H", "Expect: 100-continue",
                        "-H", "x-api-key: \(daybook.client.key)", "-m", "10",
                        "-d", #"{"id":1,"job":"a"}"#,
                        "-H", "content-type: application/json",
                        "http://127.0.0.1:\(daybook.client.port)/v1/jobs",
                    ])
                #expect(result.status == 0 && result.text.contains(#""accepted":1"#))
                #expect(result.errorText.contains("100 Continue"))
            }
        }

        @Test("SIGTERM lets a request that waits have its answer, takes no other, and ends with 0")
        func drains() async throws {
            let postgres = try PostgresCluster()
            try await withDaybook(postgres: postgres.url) { daybook in
                let client = daybook.client
                async let waiting = client.send(
                    "POST", "/v1/jobs?wait=projected&timeout=5",
                    headers: ["content-type": "application/json"],
                    body: Data(#"{"id":1,"job":"a"}"#.utf8))
                try await wait("the row to be in the log") {
                    try daybook.status().durable_position > 1
                }
                let process = try #require(daybook.process)
                process.signal(SIGTERM)
                let answer = try await waiting
                #expect(answer.status == 200 && answer.text.contains(#""projected":false"#))
                #expect(process.waitForExit(timeoutSeconds: 20) == 0)
                let another = HTTPClient(port: client.port, key: client.key)
                await #expect(throws: (any Error).self) { try await another.get("/health/live") }
            }
        }
    }
}
