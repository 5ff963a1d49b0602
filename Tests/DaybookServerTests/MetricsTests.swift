import DaybookLog
import Foundation
import HummingbirdTesting
import TestSupport
import Testing

@testable import DaybookServer

@Suite("Metrics")
struct MetricsTests {
    /// A sample as Prometheus's own parser reads it.
    private struct Sample: Decodable, Equatable {
        let name: String
        let kind: String
        let labels: [String: String]
        let value: Double
    }

    private func parse(_ text: String) throws -> [Sample] {
        let script = """
            import json, sys
            from prometheus_client.parser import text_string_to_metric_families as parse
            json.dump([
                {"name": sample.name, "kind": family.type, "labels": sample.labels,
                 "value": sample.value}
                for family in parse(sys.stdin.read()) for sample in family.samples], sys.stdout)
            """
        let result = try runTool(try pythonPath, ["-c", script], input: Data(text.utf8))
        try #require(result.status == 0, "\(result.errorText)")
        return try JSONDecoder().decode([Sample].self, from: result.output)
    }

    @Test("Prometheus's parser reads every metric, with its labels")
    func exposition() async throws {
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 2, state: "running"),
            ProjectionStatus(name: "audit", position: 0, state: "failed"),
        ])
        try await withServer(projections: projections) { client, _, log in
            _ = try await client.append(#"[{"id":1,"job":"a"}]"#)
            let answer = try await client.get("/metrics", key: nil)
            #expect(answer.status == .ok)
            #expect(answer.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            let end = Double(log.durable.position)
            let samples = try parse(String(buffer: answer.body))
            func value(_ name: String, _ labels: [String: String] = [:]) -> Double? {
                let found = samples.filter { $0.name == name && $0.labels == labels }
                return found.count == 1 ? found[0].value : nil
            }
            #expect(value("daybook_durable_position") == end)
            #expect(value("daybook_segments") == 1 && value("daybook_log_bytes") == 10)
            #expect(value("daybook_ready") == 1 && value("daybook_postgres_connected") == 0)
            #expect(value("daybook_batches_total") == 1 && value("daybook_groups_total") == 1)
            #expect(value("daybook_queue_batches") == 0 && value("daybook_queue_bytes") == 0)
            #expect(value("daybook_open_followers") == 0)
            #expect(value("daybook_projection_position", ["projection": "jobs"]) == 2)
            #expect(value("daybook_projection_lag_events", ["projection": "audit"]) == end)
            #expect(
                value("daybook_projection_state", ["projection": "audit", "state": "failed"]) == 1)
            let counters = samples.filter { $0.kind == "counter" }.map(\.name)
            #expect(counters.allSatisfy { $0.hasSuffix("_total") } && counters.count == 7)
            #expect(value("daybook_http_connections").map { $0 >= 1 } == true)
            #expect(value("daybook_http_body_bytes") == 0 && value("daybook_http_unsent_bytes") == 0)
            #expect(
                value(
                    "daybook_http_requests_total",
                    ["route": "/v1/{table}", "method": "POST", "status": "200"]) == 1)
        }
    }

    @Test("The ages of backups and the last drill are left out until there is one")
    func backups() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, _, _ in
            func samples() async throws -> [String: Double] {
                let answer = try await client.get("/metrics", key: nil)
                let found = try parse(String(buffer: answer.body)).filter {
                    $0.name.hasPrefix("daybook_backup_") || $0.name.hasPrefix("daybook_drill_")
                }
                return Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.value) })
            }
            #expect(
                try await samples() == [
                    "daybook_backup_running": 0, "daybook_backup_failures_total": 0,
                ])
            keeper.change { status in
                status.ageSeconds = 0
                status.provenAgeSeconds = 90_000
                status.isLastDrillSound = false
                status.failureCount = 3
                status.running = BackupActivity(.backup, since: 1, progress: "")
            }
            #expect(
                try await samples() == [
                    "daybook_backup_running": 1, "daybook_backup_failures_total": 3,
                    "daybook_backup_age_seconds": 0, "daybook_backup_proven_age_seconds": 90_000,
                    "daybook_drill_last_ok": 0,
                ])
            keeper.change { status in
                status.isLastDrillSound = true
                status.running = BackupActivity(.drill, since: 1, progress: "")
            }
            let drilling = try await samples()
            #expect(drilling["daybook_backup_running"] == 0)
            #expect(drilling["daybook_drill_last_ok"] == 1)
        }
    }

    @Test("Labels and help may hold anything")
    func escapes() throws {
        var metrics = MetricsText()
        let label = "a\"b\\c\nd, {e=\"f\"}"
        metrics.metric("m", .gauge, "first\nsecond \\ \"x\"", [([("l", label)], -3)])
        let samples = try parse(metrics.text)
        #expect(samples == [Sample(name: "m", kind: "gauge", labels: ["l": label], value: -3)])
    }
}
