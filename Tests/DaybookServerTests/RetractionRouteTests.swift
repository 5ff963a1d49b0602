import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLedger
import DaybookLog
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@testable import DaybookServer

/// Departments, and people who refer to them.
private let trade = """
    table: departments
    key: [id]
    columns:
      - {name: id, type: integer}
      - {name: department, type: string}
    ---
    table: people
    key: [id]
    columns:
      - {name: id, type: integer}
      - {name: department_id, type: integer, references: departments}
    ---
    table: payments
    key: [account, amount]
    columns:
      - {name: account, type: string}
      - {name: amount, type: "decimal(12,2)"}
    ---
    table: readings
    key: []
    columns:
      - {name: value, type: number}
    """

extension TestClientProtocol {
    fileprivate func retract(
        _ body: String, query: String = "", key: String? = "all"
    ) async throws -> TestResponse {
        try await append(body, to: "retractions\(query)", key: key)
    }
}

@Suite("Retractions by HTTP")
struct RetractionRouteTests {
    private func withTrade(
        projections: any ProjectionStatusSource = FixedProjections(), retractionLimit: Int = 1,
        _ body:
            @escaping @Sendable (any TestClientProtocol, ScriptedLedger, WatchedLog) async throws ->
            Void
    ) async throws {
        try await withServer(
            projections: projections, retractionLimit: retractionLimit,
            catalog: try CatalogLoader.load(text: trade), body)
    }

    @Test("A batch goes: the answer has the members of the contract, and its keys are free again")
    func batch() async throws {
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "departments", position: 1_000, state: "running")
        ])
        try await withTrade(projections: projections) { client, _, log in
            let rows = #"[{"id":1,"department":"a"},{"id":2},{"id":3,"department":"c"}]"#
            let sent = try await client.append(rows, to: "departments").json
            let id = try #require(sent["batch_id"] as? String)
            let first = try #require(sent["position"] as? Int64)
            let body = #"{"batches":["\#(id)"],"note":"a \"test\""}"#

            let end = log.durable.position
            let told = try await client.retract(body, query: "?dry_run=true")
            #expect(told.status == .ok && log.durable.position == end)
            #expect(told.headers[.daybookPosition] == nil)
            let plan = try told.json
            #expect(
                Set(plan.keys) == [
                    "dry_run", "rows", "tables", "span_count", "spans", "note", "by",
                ])
            #expect(plan["dry_run"] as? Bool == true && plan["rows"] as? Int == 2)
            let unexplained = try await client.retract(
                #"{"batches":["\#(id)"]}"#, query: "?dry_run=true")
            #expect(try unexplained.status == .ok && unexplained.json["note"] is NSNull)

            let answer = try await client.retract(body, query: "?wait=projected&timeout=1")
            #expect(answer.status == .ok, "\(String(buffer: answer.body))")
            #expect(answer.headers[.daybookPosition] == "\(end + 1)")
            let json = try answer.json
            #expect(
                Set(json.keys) == [
                    "position", "batch_id", "received_at", "rows", "tables", "span_count", "spans",
                    "note", "by", "leaf", "projected",
                ])
            #expect(json["position"] as? Int64 == end && json["rows"] as? Int == 2)
            #expect(json["tables"] as? [String: Int] == ["departments": 2])
            #expect(json["span_count"] as? Int == 1)
            #expect(json["spans"] as? [[String: Int64]] == [["first": first, "last": first + 2]])
            #expect(json["note"] as? String == "a \"test\"" && json["by"] as? String == "all")
            #expect(json["projected"] as? Bool == true)
            #expect((json["received_at"] as? String)?.hasSuffix("Z") == true)
            let event = try #require(json["batch_id"] as? String)
            let found = try await client.get("/v1/batches/\(event)").json
            #expect(found["leaf"] as? String == json["leaf"] as? String)

            #expect(try await client.retract(body).problem == "nothing-left")
            let again = try await client.append(rows, to: "departments")
            #expect(try again.json["accepted"] as? Int == 2, "the keys are free")
            let history = try await client.get("/v1/departments/1/history").json
            #expect(history["state"] as? String == "present")
            #expect((history["events"] as? [Any])?.count == 2)
        }
    }

    @Test("The feed shows the event: its kind, what it refers to, the note, and by whom")
    func feed() async throws {
        try await withTrade { client, _, _ in
            let sent = try await client.append(#"{"id":1,"department":"a"}"#, to: "departments")
            let position = try #require(try sent.json["position"] as? Int64)
            _ = try await client.retract(
                #"{"rows":[{"table":"departments","key":1}],"note":"not ours"}"#)
            let events = try await client.get("/v1/events?from=\(position + 1)&verdict=control")
            let event = try events.json
            #expect(event["kind"] as? String == "retraction" && event["table"] == nil)
            #expect(event["refers_to"] as? [[Int64]] == [[position, position + 1]])
            #expect(event["text"] as? [String: String] == ["note": "not ours", "by": "all"])
            #expect(event["source"] as? String == "system")
        }
    }

    @Test("A row is known by its key: a value, or an array of them; numbers and texts are the same")
    func keys() async throws {
        try await withTrade { client, _, _ in
            let rows = (1...4).map { #"{"account":"a,b","amount":"\#($0).50"}"# }
            _ = try await client.append("[\(rows.joined(separator: ","))]", to: "payments")
            let ids = (1...2).map { #"{"id":\#($0),"department":"x"}"# }
            _ = try await client.append("[\(ids.joined(separator: ","))]", to: "departments")
            let named = [
                #"{"table":"payments","key":["a,b","1.50"]}"#,
                #"{"table":"payments","key":["a,b",2.5]}"#,
                #"{"table":"departments","key":"1"}"#, #"{"table":"departments","key":[2]}"#,
            ]
            let answer = try await client.retract(
                #"{"rows":[\#(named.joined(separator: ","))],"note":"n"}"#)
            #expect(answer.status == .ok, "\(String(buffer: answer.body))")
            #expect(
                try answer.json["tables"] as? [String: Int] == ["payments": 2, "departments": 2])
        }
    }

    @Test("Rows that others refer to stay, and those are named; or they go with them")
    func referred() async throws {
        try await withTrade { client, _, log in
            _ = try await client.append(#"{"id":1,"department":"a"}"#, to: "departments")
            let people = (1...12).map { #"{"id":\#($0),"department_id":1}"# }
            let sent = try await client.append("[\(people.joined(separator: ","))]", to: "people")
            let position = try #require(try sent.json["position"] as? Int64)
            let end = log.durable.position
            let row = #""rows":[{"table":"departments","key":1}],"note":"n""#
            for query in ["", "?dry_run=true"] {
                let answer = try await client.retract("{\(row)}", query: query)
                #expect(try answer.status == .conflict && answer.problem == "rows-referred")
                #expect(answer.headers[.contentType] == "application/problem+json")
                let json = try answer.json
                #expect(json["count"] as? Int == 12)
                let rows = try #require(json["rows"] as? [[String: Any]])
                #expect(rows.count == 10 && rows[0]["table"] as? String == "people")
                #expect(rows[0]["key"] as? [String] == ["1"])
                #expect(rows[0]["position"] as? Int64 == position)
                #expect(rows[0]["refers_to"] as? String == "departments")
            }
            #expect(log.durable.position == end)
            let answer = try await client.retract(#"{\#(row),"with_referring":true}"#)
            #expect(try answer.json["tables"] as? [String: Int] == ["departments": 1, "people": 12])
        }
    }

    @Test("An import goes by its name or its digest; a name of two is refused with both digests")
    func imports() async throws {
        try await withTrade { client, ledger, _ in
            func importFile(_ name: String, _ id: Int) async throws -> String {
                let text = Array("{\"id\":\(id),\"department\":\"x\"}\n".utf8)
                let request = ImportRequest(
                    file: name, table: "departments", format: .ndjson,
                    digest: text.withUnsafeBytes { Digest(of: $0) }, principal: "local:ann")
                let catalog = try CatalogLoader.load(text: trade)
                let judge = Judge(
                    table: try #require(catalog.table(named: "departments")),
                    constraints: catalog.constraints, fingerprintKey: ledger.fingerprintKey)
                var parts = [Bytes(text, padding: 128)]
                let summary = try await Importer(
                    ledger: ledger, judge: judge, dictionary: catalog.version
                ).run(request) { parts.popLast() }
                #expect(summary.accepted == 1)
                return "\(request.digest)"
            }
            let digests = [try await importFile("d.ndjson", 1), try await importFile("d.ndjson", 2)]
            _ = try await importFile("e.ndjson", 3)
            let both = try await client.retract(#"{"imports":["d.ndjson"],"note":"n"}"#)
            #expect(try both.status == .conflict && both.problem == "ambiguous-import")
            #expect(try both.json["digests"] as? [String] == digests)
            for name in [digests[1].uppercased(), "e.ndjson"] {
                let answer = try await client.retract(#"{"imports":["\#(name)"],"note":"n"}"#)
                #expect(answer.status == .ok, "\(String(buffer: answer.body))")
                #expect(try answer.json["rows"] as? Int == 1)
            }
        }
    }

    @Test("What is not understood, not there or not allowed is a problem, and nothing is written")
    func refusals() async throws {
        try await withTrade { client, ledger, log in
            let batch = try await client.append(#"{"id":1,"department":"a"}"#, to: "departments")
            _ = try await client.append(#"{"value":1}"#, to: "readings")
            let id = try #require(try batch.json["batch_id"] as? String)
            let genesis = try #require(try ledger.batch(at: 0)).batchID
            let end = log.durable.position
            let long = String(repeating: "x", count: Retraction.noteByteCount + 1)
            let many = Array(repeating: #""b""#, count: 1_001).joined(separator: ",")
            func named(_ what: String) -> String { #"{\#(what),"note":"n"}"# }
            func row(_ table: String, _ key: String) -> String {
                named(#""rows":[{"table":"\#(table)","key":\#(key)}]"#)
            }
            let cases: [(String, Int, String)] = [
                ("", 400, "bad-body"), ("[]", 400, "bad-body"), ("{}", 400, "bad-body"),
                (#"{"note":"n"}"#, 400, "bad-body"), (named(#""batches":[]"#), 400, "bad-body"),
                (named(#""batch":["x"]"#), 400, "bad-body"),
                (named(#""batches":[\#(many)]"#), 400, "bad-body"),
                (named(#""rows":[{"table":"jobs"}]"#), 400, "bad-body"),
                (named(#""rows":[{"table":"jobs","key":1,"x":1}]"#), 400, "bad-body"),
                (row("departments", "null"), 400, "bad-body"),
                (#"{"batches":["\#(id)"]}"#, 400, "bad-note"),
                (#"{"batches":["\#(id)"],"note":" \n"}"#, 400, "bad-note"),
                (#"{"batches":["\#(id)"],"note":"a\u0000"}"#, 400, "bad-note"),
                (#"{"batches":["\#(id)"],"note":"\#(long)"}"#, 400, "bad-note"),
                (named(#""batches":["nonsense"]"#), 404, "unknown-batch"),
                (named(#""batches":["\#(genesis)"]"#), 404, "unknown-batch"),
                (named(#""imports":["ghost.csv"]"#), 404, "unknown-import"),
                (row("ghosts", "1"), 404, "unknown-table"), (row("readings", "1"), 400, "bad-key"),
                (row("departments", #""x""#), 400, "bad-key"),
                (row("departments", "[1,2]"), 400, "bad-key"),
                (row("departments", "2"), 404, "unknown-row"),
            ]
            for (body, status, kind) in cases {
                let answer = try await client.retract(body)
                #expect(answer.status.code == status, "\(body.prefix(80))")
                #expect(try answer.problem == kind, "\(body.prefix(80))")
            }
            let body = named(#""batches":["\#(id)"]"#)
            for query in ["?dry_run=yes", "?wait=x", "?timeout=99", "?atomic=true"] {
                #expect(try await client.retract(body, query: query).problem == "bad-option")
            }
            for (key, status) in [(nil, 401), ("reader", 403), ("other", 403), ("jobs-admin", 403)]
            as [(String?, Int)] {
                #expect(try await client.retract(body, key: key).status.code == status)
            }
            #expect(log.durable.position == end)
        }
        try await withTrade(retractionLimit: 0) { client, _, _ in
            let answer = try await client.retract(#"{"batches":["x"],"note":"n"}"#)
            #expect(answer.status == .tooManyRequests && answer.headers[.retryAfter] == "2")
        }
    }

    @Test("Each of the ledger's errors has its problem")
    func problems() throws {
        let cases: [(RetractionError, Int, String)] = [
            (.tooManyPieces(200_001), 409, "too-many-pieces"),
            (.overtaken, 409, "retraction-overtaken"), (.nothingLeft, 409, "nothing-left"),
            (.ledger(.diskFull), 507, "disk-full"),
            (.ledger(.outcomeUnknown), 503, "outcome-unknown"),
        ]
        for (error, status, kind) in cases {
            #expect(RetractionProblem(error).response.status.code == status, "\(kind)")
            #expect(RetractionProblem(error).problem.kind == kind)
        }
    }
}
