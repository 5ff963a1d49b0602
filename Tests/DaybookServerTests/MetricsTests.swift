import DaybookLedger
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
            #expect(
                Set(counters) == [
                    "daybook_groups_total", "daybook_batches_total", "daybook_replays_total",
                    "daybook_rows_total", "daybook_backup_failures_total",
                    "daybook_log_read_failures_total", "daybook_snapshot_failures_total",
                    "daybook_http_connections_refused_total", "daybook_http_timeouts_total",
                    "daybook_http_requests_total",
                ])
            #expect(value("daybook_http_connections").map { $0 >= 1 } == true)
            #expect(value("daybook_http_body_bytes") == 0)
            #expect(value("daybook_http_unsent_bytes") == 0)
            #expect(
                value(
                    "daybook_http_requests_total",
                    ["route": "/v1/{table}", "method": "POST", "status": "200"]) == 1)
            #expect(value("daybook_queue_limit_bytes") ?? 0 > 1e6)
            #expect(value("daybook_snapshot_failing") == 0 && value("daybook_segments") == 1)
            for (state, expected) in [("ok", 1.0), ("clock-held", 0), ("log-corrupt", 0)] {
                #expect(value("daybook_ledger_state", ["state": state]) == expected)
            }
            for (state, expected) in [("unreachable", 1.0), ("connected", 0), ("starting", 0)] {
                #expect(value("daybook_postgres_state", ["state": state]) == expected)
            }
        }
    }

    @Test("Rows are there by table, verdict and code; only appends by HTTP have a duration")
    func rows() async throws {
        try await withServer { client, ledger, _ in
            _ = try await client.append(#"[{"id":1,"job":"a"},{"id":1},{"id":"x"}]"#)
            _ = try await client.append(#"{"id":2,"job":"b"}"#)
            _ = try await client.append("no JSON")
            _ = try await client.append("{}", to: "ghosts")
            _ = try await ledger.record([Control(kind: "test", refersTo: [], text: [])])
            let answer = try await client.get("/metrics", key: nil)
            let samples = try parse(String(buffer: answer.body))
            func value(_ name: String, _ labels: [String: String]) -> Double? {
                samples.first { $0.name == name && $0.labels == labels }?.value
            }
            for (table, verdict, count) in [
                ("jobs", "accepted", 2.0), ("jobs", "rejected", 3),
                ("departments", "accepted", 0), ("departments", "rejected", 0),
            ] {
                let labels = ["table": table, "verdict": verdict]
                #expect(value("daybook_rows_total", labels) == count, "\(labels)")
            }
            let codes = samples.filter { $0.name == "daybook_rejections_total" }
            #expect(
                Dictionary(uniqueKeysWithValues: codes.map { ($0.labels["code"], $0.value) }) == [
                    "missing_field": 2, "wrong_type": 1, "duplicate_key": 1, "malformed_batch": 1,
                ])
            #expect(codes.allSatisfy { $0.labels["table"] == "jobs" })
            #expect(value("daybook_append_seconds_count", [:]) == 3, "a batch for no table is none")
            let seconds = try #require(value("daybook_append_seconds_sum", [:]))
            #expect(seconds > 0 && seconds < 60)
            let groups = try #require(value("daybook_groups_total", [:]))
            #expect(value("daybook_group_batches_count", [:]) == groups)
            #expect(value("daybook_group_events_bucket", ["le": "+Inf"]) == groups)
            #expect(value("daybook_group_events_sum", [:]) == 6, "three, one, one, and our own")
        }
    }

    @Test("The strict parser takes it, and names, units and help are as Prometheus wants them")
    func lint() async throws {
        let script = #"""
            import re, sys
            from prometheus_client.openmetrics.parser import text_string_to_metric_families
            text, helped = sys.stdin.read(), set()
            lines = []
            for line in text.splitlines():
                # OpenMetrics names a counter's family without the suffix.
                match = re.fullmatch(r"# (HELP|TYPE) (\w+) (.+)", line)
                if match:
                    kind, name, rest = match.groups()
                    if kind == "HELP":
                        assert name not in helped and len(rest) > 10 and rest[-1] == ".", line
                        helped.add(name)
                    assert f"# TYPE {name} counter" not in text or name.endswith("_total"), name
                    line = f"# {kind} {name.removesuffix('_total')} {rest}"
                lines.append(line)
            families = list(text_string_to_metric_families("\n".join(lines) + "\n# EOF\n"))
            assert len(families) > 20, len(families)
            for family in families:
                name = family.name
                assert name + ("_total" if family.type == "counter" else "") in helped, name
                assert re.fullmatch(r"daybook(_[a-z]+)+", name), name
                assert not re.search(
                    r"_(ms|milliseconds|micros|minutes|hours|kb|mb|percent|total)$", name), name
                assert family.type in ("counter", "gauge", "histogram"), name
                for sample in family.samples:
                    assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels), sample
                if family.type != "histogram":
                    assert not re.search(r"_(count|sum|bucket)$", name), name
                    continue
                buckets = [s for s in family.samples if s.name.endswith("_bucket")]
                values = [s.value for s in buckets]
                assert values == sorted(values) and buckets[-1].labels["le"] == "+Inf", name
                bounds = [float(s.labels["le"]) for s in buckets]
                assert bounds == sorted(set(bounds)), name
                count = [s.value for s in family.samples if s.name.endswith("_count")]
                assert count == values[-1:], name
            print(sorted(f.name for f in families if f.type == "histogram"))
            """#
        let keeper = ScriptedBackups()
        keeper.change { status in
            status.ageSeconds = 0
            status.provenAgeSeconds = 90_000
            status.isLastDrillSound = false
        }
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 2, state: "running")
        ])
        try await withServer(projections: projections, backups: keeper) { client, _, _ in
            for id in 0..<9 { _ = try await client.append(#"[{"id":\#(id),"job":"a"},{}]"#) }
            let answer = try await client.get("/metrics", key: nil)
            let result = try runTool(
                try pythonPath, ["-c", script], input: Data(buffer: answer.body))
            #expect(result.status == 0, "\(result.errorText)")
            let names = ["append_seconds", "group_batches", "group_events", "sync_seconds"]
            let wanted = names.map { "'daybook_\($0)'" }.joined(separator: ", ")
            #expect(result.text == "[\(wanted)]\n")
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
