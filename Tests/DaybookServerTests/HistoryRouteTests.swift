import DaybookCatalog
import DaybookLedger
import DaybookLog
import Foundation
import HummingbirdTesting
import Testing

@testable import DaybookServer

@Suite("Histories by HTTP")
struct HistoryRouteTests {
    private func events(_ answer: TestResponse) throws -> [[String: Any]] {
        try #require(try answer.json["events"] as? [[String: Any]])
    }

    /// Takes a row back, as one of the ledger's own events.
    private func retract(_ ledger: ScriptedLedger, _ position: Position) async throws -> Receipt {
        try await ledger.record([
            Control(
                kind: "retraction", refersTo: [position..<(position + 1)],
                text: Array(#"{"note":"sent twice","by":"ann"}"#.utf8))
        ])
    }

    @Test("A history has the members of the contract")
    func members() async throws {
        try await withServer { client, _, log in
            let bad = try await client.append(#"[{"id":3},{"id":4,"job":"d"}]"#)
            let rejected = try #require(try bad.json["position"] as? Int64)
            let sent = try await client.append(
                #"{"id":3,"job":"c \"x\""}"#, to: "rejections/\(rejected)/resubmit",
                headers: ["Idempotency-Key": "k"])
            #expect(sent.status == .ok, "\(String(buffer: sent.body))")
            let answer = try await client.get("/v1/jobs/3/history")
            #expect(answer.status == .ok && answer.headers[.contentType] == "application/json")
            #expect(answer.headers[.daybookPosition] == "\(log.durable.position)")
            let json = try answer.json
            #expect(Set(json.keys) == ["table", "key", "state", "events", "next"])
            #expect(json["table"] as? String == "jobs" && json["key"] as? Int == 3)
            #expect(json["state"] as? String == "present" && json["next"] is NSNull)
            let event = try #require(try events(answer).first)
            #expect(
                Set(event.keys) == [
                    "position", "batch_id", "index", "table", "source", "line", "received_at",
                    "principal", "format", "idempotency_key", "request_digest", "dictionary",
                    "leaf", "row", "corrected", "retraction", "backups",
                ])
            #expect(event["row"] as? NSDictionary == ["id": 3, "job": "c \"x\""])
            #expect(event["position"] as? Int64 == (try sent.json["position"] as? Int64))
            #expect(event["leaf"] as? String == (try sent.json["leaf"] as? String))
            #expect(event["principal"] as? String == "all" && event["line"] is NSNull)
            #expect(event["source"] as? String == "resubmission")
            #expect(event["idempotency_key"] as? String == "k")
            #expect((event["request_digest"] as? String)?.count == 64)
            #expect(event["retraction"] is NSNull)
            let corrected = try #require(event["corrected"] as? [String: Any])
            #expect(corrected["position"] as? Int64 == rejected)
            let reasons = try #require(corrected["reasons"] as? [[String: String]])
            #expect(reasons.first?["code"] == "missing_field" && reasons[0]["message"] != nil)
            #expect((event["backups"] as? [Any])?.isEmpty == true)
        }
    }

    @Test("What was taken back says so; its values take the scope audit, as rejected bytes do")
    func retracted() async throws {
        try await withServer { client, ledger, _ in
            let bad = try await client.append(#"[{"id":"hunter2","job":"a"}]"#, key: "jobs")
            let rejected = try #require(try bad.json["position"] as? Int64)
            let sent = try await client.append(
                #"{"id":3,"job":"secret"}"#, to: "rejections/\(rejected)/resubmit", key: "jobs")
            let position = try #require(try sent.json["position"] as? Int64)
            let path = "/v1/jobs/3/history"
            for isRetracted in [false, true] {
                if isRetracted { _ = try await retract(ledger, position) }
                let state = isRetracted ? "retracted" : "present"
                for key in ["all", "jobs"] {
                    let text = String(buffer: try await client.get(path, key: key).body)
                    #expect(text.contains("hunter2") && text.contains("secret"), "\(key)")
                    #expect(text.contains(#""state":"\#(state)""#))
                }
                let read = try await client.get(path, key: "reader")
                let text = String(buffer: read.body)
                #expect(read.status == .ok && !text.contains("hunter2"))
                #expect(text.contains("secret") != isRetracted)
                let event = try #require(try events(read).first)
                #expect(event["request_digest"] is NSNull)
                #expect(event["principal"] as? String == "jobs")
                guard isRetracted else { continue }
                #expect(event["row"] is NSNull)
                let retraction = try #require(event["retraction"] as? [String: Any])
                #expect(retraction["note"] as? String == "sent twice")
                #expect(retraction["by"] as? String == "ann")
                #expect(retraction["position"] as? Int64 == position + 1)
            }
        }
    }

    @Test("A history is for whoever may read the table, and says what is not there")
    func refusals() async throws {
        try await withServer { client, _, _ in
            _ = try await client.append(#"{"id":1,"job":"a"}"#)
            let cases: [(String, String?, Int, String)] = [
                ("jobs/1", nil, 401, "unauthorized"), ("jobs/1", "other", 403, "forbidden"),
                ("departments/1", "jobs", 403, "forbidden"),
                ("ghosts/1", "all", 404, "unknown-table"),
                ("reports/1", "all", 404, "unknown-table"), ("jobs/2", "all", 404, "not-found"),
                ("jobs/x", "all", 400, "bad-key"), ("jobs/1,2", "all", 400, "bad-key"),
                ("jobs/%FF", "all", 400, "bad-key"),
            ]
            for (path, key, status, kind) in cases {
                let answer = try await client.get("/v1/\(path)/history", key: key)
                #expect(answer.status.code == status, "\(path)")
                #expect(try answer.problem == kind, "\(path)")
            }
            for query in ["limit=3", "after=-1", "after=x", "timeout=999"] {
                let answer = try await client.get("/v1/jobs/1/history?\(query)")
                #expect(try answer.problem == "bad-option", "\(query)")
            }
            let after = try await client.get("/v1/jobs/1/history?after=99&min_position=7")
            #expect(try events(after).isEmpty && after.json["state"] as? String == "present")
            #expect(try await client.get("/v1/jobs/1/history", key: "jobs").status == .ok)
        }
        try await withServer(historyLimit: 0) { client, _, _ in
            let answer = try await client.get("/v1/jobs/1/history")
            #expect(answer.status.code == 429 && answer.headers[.retryAfter] == "5")
        }
    }

    @Test("A key of several columns is a,b; a comma or slash of a value is percent-encoded")
    func composite() async throws {
        let text = """
            table: payments
            key: [account, day]
            columns:
              - {name: account, type: string}
              - {name: day, type: date}
            ---
            table: notes
            key: [name]
            columns:
              - {name: name, type: string}
            """
        try await withServer(catalog: try CatalogLoader.load(text: text)) { client, _, _ in
            let rows = ["ab", "a,b", "a/b ✓"].map { #"{"account":"\#($0)","day":"2024-01-02"}"# }
            _ = try await client.append("[\(rows.joined(separator: ","))]", to: "payments")
            _ = try await client.append(#"[{"name":"x,y"},{"name":"%"}]"#, to: "notes")
            for (path, account) in [
                ("ab,2024-01-02", "ab"), ("ab%2C2024-01-02", "ab"), ("a%2Cb,2024-01-02", "a,b"),
                ("a%2Fb%20%E2%9C%93,2024-01-02", "a/b ✓"),
            ] {
                let answer = try await client.get("/v1/payments/\(path)/history")
                #expect(answer.status == .ok, "\(path)")
                let key = try answer.json["key"] as? [String]
                #expect(key == [account, "2024-01-02"], "\(path)")
            }
            for path in ["x,y", "x%2Cy", "%25"] {
                #expect(try await client.get("/v1/notes/\(path)/history").status == .ok, "\(path)")
            }
            for path in ["ab", "ab,2024-01-02,", "a,b,2024-01-02", "ab,2024-13-02"] {
                let answer = try await client.get("/v1/payments/\(path)/history")
                #expect(answer.status == .badRequest, "\(path)")
            }
        }
    }

    @Test("Backups that hold a row have its table, and were made after it and before it went")
    func backups() async throws {
        let keeper = ScriptedBackups()
        try await withServer(backups: keeper) { client, ledger, log in
            let sent = try await client.append(#"{"id":1,"job":"a"}"#)
            let position = try #require(try sent.json["position"] as? Int64)
            let taken = try await retract(ledger, position).position
            _ = try await client.append(#"{"id":2,"job":"b"}"#)
            let own = log.ledger.description
            func backup(
                _ name: String, _ position: Position, _ tables: [String] = ["jobs"],
                ledger: String? = nil
            ) -> BackupListing.Backup {
                .init(
                    name: name,
                    facts: .init(
                        ledger: ledger ?? own, position: position, time: "t", tables: tables,
                        rowCount: 1, hasLog: true, isProven: true))
            }
            let listed = [
                backup("before", position), backup("first", position + 1),
                backup("last", taken), backup("after", taken + 1),
                backup("other-table", taken, ["departments"]),
                backup("other-ledger", taken, ledger: "x"), .init(name: "broken", facts: nil),
                backup("of the future", log.durable.position + 1),
            ]
            keeper.list(.success(.init(target: "/backups", backups: listed)))
            func held(_ id: Int) async throws -> [[String: Any]]? {
                let answer = try await client.get("/v1/jobs/\(id)/history", key: "reader")
                #expect(!String(buffer: answer.body).contains("/backups"))
                return try events(answer).first?["backups"] as? [[String: Any]]
            }
            let found = try #require(try await held(1))
            #expect(found.map { $0["backup"] as? String } == ["first", "last"])
            #expect(Set(found[0].keys) == ["backup", "position", "time", "with_log", "proven"])
            #expect(try #require(try await held(2)).isEmpty)

            keeper.list(.failure(.init(.unavailable, reason: "no /mnt/vault", at: 0)))
            for (key, isTold) in [("all", true), ("reader", false), ("jobs-admin", false)] {
                let answer = try await client.get("/v1/jobs/1/history", key: key)
                #expect(answer.status == .ok)
                #expect(try events(answer)[0]["backups"] is NSNull)
                let reason = try #require(try answer.json["backups_unknown"] as? String)
                #expect(reason.contains("/mnt/vault") == isTold, "\(key)")
            }
        }
    }
}
