import DaybookLedger
import DaybookLog
import Foundation
import Hummingbird
import HummingbirdTesting
import Testing

@testable import DaybookServer

@Suite("Appending by HTTP")
struct AppendRouteTests {
    @Test("One good row among bad ones is 200, and each bad one comes back as it was sent")
    func mixed() async throws {
        try await withServer { client, ledger, log in
            let first = log.durable.position
            let bad = #"{ "id":2, "name":"\u00e9 \"x\"" , "n": 1.50 }"#
            let answer = try await client.append(#"[{"id":1,"job":"Cooper"}, \#(bad) ]"#)
            #expect(answer.status == .ok)
            #expect(answer.headers[.contentType] == "application/json")
            #expect(answer.headers[.daybookPosition] == "\(first + 2)")
            let json = try answer.json
            #expect(json["table"] as? String == "jobs" && json["position"] as? Int64 == first)
            #expect(json["rows"] as? Int == 2 && json["accepted"] as? Int == 1)
            let rejected = try #require(json["rejected"] as? [[String: Any]])
            #expect(rejected.count == 1)
            #expect(rejected[0]["index"] as? Int == 1)
            #expect(rejected[0]["position"] as? Int64 == first + 1)
            #expect(rejected[0]["row"] as? [String: AnyHashable] != nil)
            #expect(String(buffer: answer.body).contains(#""row":"# + bad), "byte for byte")
            let reasons = try #require(rejected[0]["reasons"] as? [[String: Any]])
            #expect(reasons.first?["code"] as? String == "unknown_field")
            let minimal = try await client.append(
                "[\(bad)]", to: "jobs?return=minimal", contentType: nil)
            #expect(minimal.status == .badRequest)
            let row = try #require(try minimal.json["rejected"] as? [[String: Any]])
            #expect(row[0]["row"] == nil && row[0]["reasons"] != nil)
            #expect(ledger.submissions.map(\.principal) == ["all", "all"])
            #expect(ledger.submissions.map(\.source) == ["http", "http"])
        }
    }

    @Test("No good row is 400, a problem with the same members beside")
    func refused() async throws {
        try await withServer { client, _, _ in
            let answer = try await client.append(#"[{"id":1}]"#)
            #expect(answer.status == .badRequest)
            #expect(answer.headers[.contentType] == "application/problem+json")
            #expect(try answer.problem == "rows-rejected")
            #expect(try answer.json["status"] as? Int == 400)
            #expect(try answer.json["accepted"] as? Int == 0)
            let raw = try await client.append("not json")
            let rejected = try #require(try raw.json["rejected"] as? [[String: Any]])
            #expect(rejected[0]["row"] as? String == "not json")
        }
    }

    @Test("CSV and NDJSON come in too; bytes that are no UTF-8 come back in base 64")
    func otherForms() async throws {
        try await withServer { client, ledger, _ in
            let csv = try await client.append("1,Cooper\n2\n", contentType: "text/csv")
            #expect(csv.status == .ok)
            let short = try #require(try csv.json["rejected"] as? [[String: Any]])
            #expect(short[0]["row"] as? String == "2")
            let named = try await client.append(
                "job,id\nSmith,3\n", contentType: "text/csv; header=present")
            #expect(try named.json["accepted"] as? Int == 1)
            let unknown = try await client.append(
                "job,nr\nSmith,3\n", contentType: "text/csv; header=present")
            #expect(unknown.status == .badRequest)
            #expect(try unknown.problem == "bad-header")
            let lines = try await client.append(
                "{\"id\":11,\"job\":\"a\"}\n{\"id\":12,\"job\":\"b\"}\n",
                contentType: "application/x-ndjson")
            #expect(try lines.json["accepted"] as? Int == 2)
            var fields: HTTPFields = [.contentType: "text/csv"]
            fields[.apiKey] = "all"
            let latin = try await client.execute(
                uri: "/v1/jobs", method: .post, headers: fields,
                body: ByteBuffer(bytes: Array("4,Caf".utf8) + [0xE9, 0x0A]))
            let rejected = try #require(try latin.json["rejected"] as? [[String: Any]])
            let encoded = try #require(rejected[0]["row_base64"] as? String)
            #expect(Data(base64Encoded: encoded) == Data(Array("4,Caf".utf8) + [0xE9]))
            #expect(rejected[0]["row"] == nil)
            #expect(ledger.submissions.map(\.firstLine) == [1, 1, 1, 1])
        }
    }

    @Test("Who may not, or what is not understood, never reaches the ledger")
    func refusals() async throws {
        try await withServer { client, ledger, _ in
            let row = #"{"id":1,"job":"Cooper"}"#
            #expect(try await client.append(row, key: nil).status == .unauthorized)
            #expect(try await client.append(row, key: "stranger").status == .unauthorized)
            #expect(try await client.append(row, key: "reader").status == .forbidden)
            let elsewhere = try await client.append(row, to: "departments", key: "jobs")
            #expect(elsewhere.status == .forbidden)
            #expect(try await client.append(row, to: "ghosts").status == .notFound)
            let letter = try await client.append(row, contentType: "text/plain")
            #expect(letter.status == .unsupportedMediaType)
            let latin = try await client.append(row, contentType: "text/csv; charset=latin1")
            #expect(latin.status == .unsupportedMediaType)
            for option in ["atomic=yes", "timeout=61", "wait=long", "atomc=true"] {
                let answer = try await client.append(row, to: "jobs?\(option)")
                #expect(answer.status == .badRequest, "\(option)")
                #expect(try answer.problem == "bad-option")
            }
            let long = String(repeating: "k", count: 256)
            let keyed = try await client.append(row, headers: ["Idempotency-Key": long])
            #expect(keyed.status == .badRequest)
            #expect(try await client.get("/v1/nowhere/at/all").status == .notFound)
            #expect(ledger.submissions.isEmpty)
        }
    }

    @Test("Bearer is as good as x-api-key")
    func bearer() async throws {
        try await withServer { client, _, _ in
            let answer = try await client.append(
                #"{"id":1,"job":"Cooper"}"#, key: nil, headers: ["Authorization": "bearer all"])
            #expect(answer.status == .ok)
        }
    }

    @Test("A retry is known by table, options, type and body, and by nothing else")
    func digests() async throws {
        let row = #"{"id":1,"job":"Cooper"}"#
        try await withServer { client, ledger, _ in
            for table in ["jobs", "jobs?return=minimal", "jobs?atomic=false"] {
                _ = try await client.append(row, to: table)
            }
            _ = try await client.append(row, contentType: "Application/JSON; charset=UTF-8")
            _ = try await client.append(row, to: "jobs?atomic=true")
            _ = try await client.append(row, contentType: "application/x-ndjson")
            _ = try await client.append(row + " ")
            _ = try await client.append(row, to: "departments")
            let digests = ledger.submissions.map(\.requestDigest)
            #expect(digests.count == 8 && Set(digests.prefix(4)).count == 1)
            #expect(Set(digests).count == 5)
            #expect(ledger.submissions.map(\.isAtomic).filter { $0 }.count == 1)
        }
    }

    @Test("HEAD is answered as GET, and never with a body, errors too")
    func head() async throws {
        try await withServer { client, _, _ in
            for (uri, key, status) in [
                ("/v1", "all", 200), ("/v1", nil, 401), ("/v1/jobs?x=1", "all", 400),
                ("/nowhere", "all", 404), ("/v1/retractions", "all", 405), ("/metrics", nil, 200),
            ] as [(String, String?, Int)] {
                var fields = HTTPFields()
                fields[.apiKey] = key
                let answer = try await client.execute(uri: uri, method: .head, headers: fields)
                #expect(answer.status.code == status, "\(uri)")
                #expect(answer.body.readableBytes == 0)
                #expect(answer.headers[.xContentTypeOptions] == "nosniff")
                #expect(answer.headers[.cacheControl] == "no-store")
                #expect(answer.headers[.contentLength].flatMap(Int.init) ?? 0 > 0, "\(uri)")
            }
        }
    }

    @Test("A parameter that a route does not know is refused by its name, on every route")
    func unknownParameters() async throws {
        try await withServer { client, _, _ in
            let batch = try await client.append(#"{"id":1,"job":"a"}"#)
            let id = try #require(try batch.json["batch_id"] as? String)
            for path in [
                "/v1", "/v1/status", "/v1/batches/\(id)", "/v1/batches/\(id)/proof", "/v1/jobs",
                "/v1/jobs/1", "/v1/jobs/1/history", "/v1/rejections", "/v1/rejections/1",
                "/v1/events", "/v1/backups", "/v1/batches",
            ] {
                let answer = try await client.get("\(path)?form_size=1")
                #expect(answer.status == .badRequest, "\(path)")
                #expect(String(buffer: answer.body).contains("form_size"), "\(path)")
            }
        }
    }

    @Test("A compressed body is 415, and says what is taken; one that says it is plain is taken")
    func compressed() async throws {
        try await withServer { client, ledger, _ in
            let row = #"{"id":1,"job":"a"}"#
            let plain = try await client.append(row, headers: ["Content-Encoding": "identity"])
            #expect(plain.status == .ok)
            let answer = try await client.append(row, headers: ["Content-Encoding": "gzip"])
            #expect(answer.status == .unsupportedMediaType)
            #expect(try answer.problem == "unsupported-encoding")
            #expect(answer.headers[.acceptEncoding] == "identity")
            #expect(ledger.submissions.count == 1)
        }
    }

    @Test("A body over the limit is 413 though it is neither read nor even sent to its end")
    func tooLarge() async throws {
        try await withServer { client, ledger, _ in
            let body = String(repeating: " ", count: ServerLimits().bodyByteCount + 1)
            let answer = try await client.append(body)
            #expect(answer.status == .contentTooLarge)
            #expect(answer.headers[.connection] == "close")
            #expect(ledger.submissions.isEmpty)
        }
    }

    @Test(
        "What the ledger cannot do is answered in its own words",
        arguments: [
            (LedgerError.queueFull(retryAfterSeconds: 7), 503, "queue-full", "7"),
            (.idempotencyConflict(batchID: "x"), 422, "idempotency-conflict", nil),
            (.diskFull, 507, "disk-full", nil),
            (.outcomeUnknown, 503, "outcome-unknown", "5"),
            (.log(.syncFailed(file: "f", code: 5)), 503, "outcome-unknown", "5"),
            (
                .log(.corrupt(Corruption(file: "f", offset: 1, position: 2, what: "w"))), 503,
                "log-corrupt", "3600"
            ),
            (.clockHeld(jumpSeconds: 9), 503, "clock-held", "60"),
            (.contradicted("it is shorter"), 503, "log-contradicted", "3600"),
            (.closed, 503, "restarting", "1"),
        ] as [(LedgerError, Int, String, String?)])
    func failures(error: LedgerError, status: Int, kind: String, retryAfter: String?) async throws {
        try await withServer { client, ledger, _ in
            ledger.fail(with: error)
            let answer = try await client.append(#"{"id":1,"job":"Cooper"}"#)
            #expect(answer.status.code == status)
            #expect(try answer.problem == kind)
            #expect(answer.headers[.retryAfter] == retryAfter)
            #expect(answer.headers[.requestID] != nil)
        }
    }

    @Test("wait=projected says whether the rows were in Postgres in time")
    func waiting() async throws {
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 1000, state: "running"),
            ProjectionStatus(name: "departments", position: 0, state: "waiting"),
        ])
        try await withServer(projections: projections) { client, _, _ in
            let row = #"{"id":1,"job":"Cooper"}"#
            let inTime = try await client.append(row, to: "jobs?wait=projected")
            #expect(try inTime.json["projected"] as? Bool == true)
            let late = try await client.append(
                #"{"id":1,"department":"Maps"}"#, to: "departments?wait=projected&timeout=0.02")
            #expect(late.status == .ok)
            #expect(try late.json["projected"] as? Bool == false)
            let unasked = try await client.append(row)
            #expect(try unasked.json["projected"] == nil)
        }
    }

    @Test("Status shows the projections and their lag, and never the conninfo")
    func status() async throws {
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 0, state: "waiting")
        ])
        try await withServer(projections: projections) { client, _, log in
            let json = try await client.get("/v1/status").json
            let end = log.durable.position
            #expect(json["durable_position"] as? Int64 == end && json["segments"] as? Int == 1)
            let jobs = try #require(
                (json["projections"] as? [String: [String: Any]])?["jobs"])
            #expect(jobs["lag"] as? Int64 == end && jobs["state"] as? String == "waiting")
            #expect(json["postgres"] == nil)
            #expect(try await client.get("/v1/status", key: nil).status == .unauthorized)
            #expect(try await client.get("/health/live", key: nil).status == .ok)
            #expect(try await client.get("/health/ready", key: nil).status == .ok)
        }
    }

    @Test("The same key gives the same bytes again and appends nothing; another body is 422")
    func replay() async throws {
        try await withServer { client, _, log in
            let body = #"[{"id":1,"job":"Cooper"},{"id":"x"},{"id":1,"job":"Smith"}]"#
            let keyed = ["Idempotency-Key": "a/1"]
            let first = try await client.append(body, headers: keyed)
            #expect(first.status == .ok && first.headers[.idempotencyReplayed] == nil)
            let end = log.durable.position
            let again = try await client.append(body, headers: keyed)
            #expect(again.status == .ok && again.headers[.idempotencyReplayed] == "true")
            #expect(Array(again.body.readableBytesView) == Array(first.body.readableBytesView))
            let other = try await client.append(#"{"id":2,"job":"Smith"}"#, headers: keyed)
            #expect(other.status == .unprocessableContent)
            #expect(log.durable.position == end)
            let stranger = try await client.append(
                #"{"id":2,"job":"Smith"}"#, key: "other", headers: keyed)
            #expect(stranger.status == .ok, "another principal's key is another key")
            let found = try await client.get("/v1/batches?idempotency_key=a/1")
            #expect(found.status == .ok)
            let id = try #require(try first.json["batch_id"] as? String)
            #expect(try found.json["batch_id"] as? String == id)
            let byID = try await client.get("/v1/batches/\(id)")
            #expect(Array(byID.body.readableBytesView) == Array(found.body.readableBytesView))
            #expect(try await client.get("/v1/batches?idempotency_key=b").status == .notFound)
            #expect(try await client.get("/v1/batches/nonsense").status == .notFound)
            #expect(try await client.get("/v1/batches/\(id)", key: nil).status == .unauthorized)
        }
    }

    @Test("The same rows without a key are duplicates, and atomic=true takes all or none")
    func duplicates() async throws {
        try await withServer { client, _, _ in
            let row = #"{"id":1,"job":"Cooper"}"#
            #expect(try await client.append(row).status == .ok)
            let again = try await client.append(row)
            #expect(again.status == .badRequest)
            let rejected = try #require(try again.json["rejected"] as? [[String: Any]])
            let reasons = try #require(rejected[0]["reasons"] as? [[String: Any]])
            #expect(reasons.map { $0["code"] as? String } == ["duplicate_key"])
            let atomic = try await client.append(
                #"[{"id":2,"job":"Smith"},{"id":1,"job":"Cooper"}]"#, to: "jobs?atomic=true")
            #expect(atomic.status == .badRequest)
            #expect(try atomic.json["accepted"] as? Int == 0)
            #expect(try await client.append(#"{"id":2,"job":"Smith"}"#).status == .ok)
        }
    }
}
