import DaybookLog
import Foundation
import HummingbirdTesting
import Synchronization
import TestSupport
import Testing

@testable import DaybookServer

/// Answers questions about rejections with what a test says, and remembers what was asked.
final class ScriptedRejections: RejectionSource {
    private struct State {
        var filters: [RejectionFilter] = []
        var after: Position?
        var limit = 0
    }

    private let page: RejectionPage
    private let failure: RejectionSourceError?
    private let state = Mutex(State())

    init(
        _ rejections: [ProjectedRejection] = [], next: Position? = nil,
        failure: RejectionSourceError? = nil
    ) {
        page = RejectionPage(rejections: rejections, next: next)
        self.failure = failure
    }

    var filters: [RejectionFilter] { state.withLock(\.filters) }
    var after: Position? { state.withLock(\.after) }
    var limit: Int { state.withLock(\.limit) }

    func page(
        _ filter: RejectionFilter, after: Position?, limit: Int
    ) async throws(RejectionSourceError) -> RejectionPage {
        if let failure { throw failure }
        state.withLock { state in
            state.filters.append(filter)
            (state.after, state.limit) = (after, limit)
        }
        return page
    }

    func summary(
        _ filter: RejectionFilter
    ) async throws(RejectionSourceError) -> RejectionSummary {
        if let failure { throw failure }
        state.withLock { $0.filters.append(filter) }
        var summary = RejectionSummary()
        summary.states = [.open: 2, .waived: 1]
        summary.codes = [.init("missing_field", .init(count: 3, open: 2))]
        summary.sources = [.init("http", .init(count: 1, open: 1))]
        summary.otherSources = .init(sources: 2, count: .init(count: 2, open: 1))
        summary.ages = [.older: .init(count: 3, open: 2)]
        return summary
    }

    func life(
        of position: Position, root: Position
    ) async throws(RejectionSourceError) -> RejectionLife {
        if let failure { throw failure }
        return RejectionLife(
            state: .waived, retries: [70, 80],
            closing: .init(
                state: .waived, position: 90, batchID: "b", receivedAt: 0, principal: "p",
                note: "gone"))
    }
}

@Suite("Rejections by HTTP")
struct RejectionRouteTests {
    static func rejection(_ position: Position, raw: [UInt8]) -> ProjectedRejection {
        ProjectedRejection(
            position: position, batchID: "01a203d9-4b6b-7c9f-91b7-3bad03fd5ffb", table: "jobs",
            source: "csv:a.csv", line: 7, receivedAt: 1_800_000_000_000_000, principal: "local:x",
            format: "csv", state: .open,
            reasons: #"[{"code": "missing_field", "column": "job", "message": "m"}]"#, raw: raw,
            rawLength: Int64(raw.count))
    }

    @Test("A rejection has the members of the contract; bytes that are no text are in base 64")
    func members() async throws {
        var closed = Self.rejection(12, raw: [0xFF, 0x41])
        closed.line = nil
        closed.rawLength = 90
        closed.retryOf = 5
        closed.state = .corrected
        closed.closing = .init(
            state: .corrected, position: 30, batchID: "b", receivedAt: 0, principal: "p", note: nil)
        let source = ScriptedRejections(
            [Self.rejection(9, raw: Array("7,\"x\"".utf8)), closed], next: 12)
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 3, state: "running"),
            ProjectionStatus(name: "audit", position: 44, state: "running"),
        ])
        try await withServer(projections: projections, rejections: source) { client, _, _ in
            let answer = try await client.get("/v1/rejections")
            #expect(answer.status == .ok && answer.headers[.daybookPosition] == "44")
            let json = try answer.json
            #expect(json["next"] as? Int == 12)
            let rejections = try #require(json["rejections"] as? [[String: Any]])
            #expect(
                Set(rejections[0].keys) == [
                    "position", "batch_id", "table", "source", "line", "received_at", "principal",
                    "state", "reasons", "raw",
                ])
            #expect(rejections[0]["raw"] as? String == "7,\"x\"")
            #expect(rejections[0]["received_at"] as? String == "2027-01-15T08:00:00Z")
            let reasons = try #require(rejections[0]["reasons"] as? [[String: String]])
            #expect(reasons == [["code": "missing_field", "column": "job", "message": "m"]])
            #expect(rejections[1]["raw"] == nil && rejections[1]["line"] is NSNull)
            #expect(rejections[1]["raw_base64"] as? String == "/0E=")
            #expect(rejections[1]["raw_length"] as? Int == 90)
            #expect(rejections[1]["retry_of"] as? Int == 5)
            let end = try #require(rejections[1]["closed"] as? [String: Any])
            #expect(end["state"] as? String == "corrected" && end["position"] as? Int == 30)
        }
    }

    @Test("Every filter reaches the source, and a page has 100 rejections unless somebody says")
    func filters() async throws {
        let source = ScriptedRejections()
        let batch = "01a203d9-4b6b-7c9f-91b7-3bad03fd5ffb"
        try await withServer(rejections: source) { client, _, _ in
            let query =
                "table=jobs&code=too_long&column=job&state=waived&source=csv:a%20b.csv"
                + "&principal=local:x&batch=\(batch)&since=2027-01-15T09:00:00%2B01:00"
                + "&until=2027-01-15T08:00:01Z"
            let first = try await client.get("/v1/rejections?\(query)")
            #expect(first.status == .ok && source.after == nil && source.limit == 100)
            let second = try await client.get("/v1/rejections?\(query)&after=7&limit=1000")
            #expect(second.status == .ok && source.after == 7 && source.limit == 1000)
            let summary = try await client.get("/v1/rejections/summary?\(query)")
            #expect(summary.status == .ok)
            var wanted = RejectionFilter()
            wanted.tables = ["jobs"]
            wanted.code = "too_long"
            wanted.column = "job"
            wanted.state = .waived
            wanted.source = "csv:a b.csv"
            wanted.principal = "local:x"
            wanted.batch = batch
            wanted.since = 1_800_000_000_000_000
            wanted.until = 1_800_000_001_000_000
            let filters: [RejectionFilter] = [wanted, wanted, wanted]
            #expect(source.filters == filters)
        }
    }

    @Test(
        "What is not understood is a 400 that says what there is",
        arguments: [
            ("colour=red", "principal, batch, since, until, eligible, limit, after, min_position"),
            ("code=missing", "malformed_batch, malformed_row"),
            ("state=closed", "open, corrected, waived"),
            ("since=2027-01-15T08:00:00", "with an offset"),
            ("until=yesterday", "with an offset"), ("limit=0", "from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"), ("after=-1", "a position"), ("batch=7", "a UUID"),
        ])
    func mistakes(query: String, part: String) async throws {
        try await withServer { client, _, _ in
            let answer = try await client.get("/v1/rejections?\(query)")
            #expect(answer.status == .badRequest)
            let detail = try #require(try answer.json["detail"] as? String)
            #expect(detail.contains(part), "\(detail)")
        }
    }

    @Test("Rejections take the scope audit, and a key for some tables sees these alone")
    func scopes() async throws {
        let source = ScriptedRejections()
        try await withServer(rejections: source) { client, _, _ in
            for path in ["", "/summary", "/0"] {
                let path = "/v1/rejections\(path)"
                #expect(try await client.get(path, key: nil).status == .unauthorized)
                #expect(try await client.get(path, key: "reader").status == .forbidden)
            }
            for path in ["/v1/rejections", "/v1/rejections/summary"] {
                #expect(try await client.get(path, key: "jobs").status == .ok)
                let other = try await client.get("\(path)?table=departments", key: "jobs")
                #expect(other.status == .forbidden)
                #expect(try await client.get("\(path)?table=ghosts").status == .notFound)
            }
            #expect(source.filters.map(\.tables) == [["jobs"], ["jobs"]])
        }
    }

    @Test("A summary has every state and every age, and what the sources beyond the first have")
    func summary() async throws {
        try await withServer { client, _, _ in
            let json = try await client.get("/v1/rejections/summary").json
            #expect(json["total"] as? Int == 3 && json["open"] as? Int == 2)
            #expect(json["corrected"] as? Int == 0 && json["waived"] as? Int == 1)
            let codes = try #require(json["by_code"] as? [[String: Any]])
            #expect(codes[0]["code"] as? String == "missing_field")
            #expect(codes[0]["count"] as? Int == 3 && codes[0]["open"] as? Int == 2)
            let others = try #require(json["other_sources"] as? [String: Int])
            #expect(others == ["sources": 2, "count": 2, "open": 1])
            let ages = try #require(json["by_age"] as? [[String: Any]])
            #expect(
                ages.map { $0["age"] as? String } == [
                    "under 1 hour", "under 1 day", "under 7 days", "under 30 days", "older",
                ])
            #expect(ages.map { $0["count"] as? Int } == [0, 0, 0, 0, 3])
        }
    }

    @Test("One rejection comes from the log, with its request, and its life from Postgres")
    func show() async throws {
        try await withServer { client, _, _ in
            let body = #"[{"id": 1, "job": "Smith"}, {"id": "x"}]"#
            let appended = try await client.append(body, headers: ["Idempotency-Key": "k7"]).json
            let rejected = try #require(appended["rejected"] as? [[String: Any]])
            let position = try #require(rejected[0]["position"] as? Int)
            let json = try await client.get("/v1/rejections/\(position)").json
            #expect(json["position"] as? Int == position && json["index"] as? Int == 1)
            #expect(json["raw"] as? String == #"{"id": "x"}"# && json["table"] as? String == "jobs")
            #expect(json["idempotency_key"] as? String == "k7")
            #expect((json["request_digest"] as? String)?.count == 64)
            #expect((json["dictionary"] as? String)?.isEmpty == false)
            #expect(json["state"] as? String == "waived" && json["retries"] as? [Int] == [70, 80])
            let end = try #require(json["closed"] as? [String: Any])
            #expect(end["note"] as? String == "gone")
            let reasons = try #require(json["reasons"] as? [[String: Any]])
            #expect(reasons.map { $0["code"] as? String } == ["missing_field", "wrong_type"])

            let accepted = try await client.get("/v1/rejections/\(position - 1)")
            #expect(accepted.status == .notFound)
            let detail = try #require(try accepted.json["detail"] as? String)
            #expect(detail.contains("an accepted row of table jobs"), "\(detail)")
            let beyond = try await client.get("/v1/rejections/999")
            #expect(beyond.status == .notFound)
            let beyondText = try #require(try beyond.json["detail"] as? String)
            #expect(beyondText.contains("the log ends"), "\(beyondText)")
            #expect(try await client.get("/v1/rejections/x").status == .notFound)
            #expect(try await client.get("/v1/rejections/1?limit=2").status == .badRequest)

            let other = try await client.append(#"{"id": 3}"#, to: "departments").json
            let hidden = try #require(other["rejected"] as? [[String: Any]])
            let place = try #require(hidden[0]["position"] as? Int)
            let refused = try await client.get("/v1/rejections/\(place)", key: "jobs")
            #expect(refused.status == .notFound)
            let silence = try #require(try refused.json["detail"] as? String)
            #expect(!silence.contains("departments"), "\(silence)")
        }
    }

    @Test("Without Postgres lists are 503, and one rejection has what the log has")
    func away() async throws {
        let source = ScriptedRejections(failure: .unavailable("gone"))
        try await withServer(rejections: source) { client, _, _ in
            for path in ["/v1/rejections", "/v1/rejections/summary"] {
                let answer = try await client.get(path)
                #expect(answer.status == .serviceUnavailable)
                #expect(answer.headers[.retryAfter] == "5")
            }
            let appended = try await client.append(#"{"id": "x"}"#).json
            let rejected = try #require(appended["rejected"] as? [[String: Any]])
            let position = try #require(rejected[0]["position"] as? Int)
            let json = try await client.get("/v1/rejections/\(position)").json
            #expect(json["state"] is NSNull && json["retries"] is NSNull)
            #expect(json["raw"] as? String == #"{"id": "x"}"#)
        }
    }

    @Test("min_position is waited for by the audit alone")
    func position() async throws {
        let projections = FixedProjections(projections: [
            ProjectionStatus(name: "jobs", position: 3, state: "running"),
            ProjectionStatus(name: "audit", position: 44, state: "running"),
        ])
        try await withServer(projections: projections) { client, _, _ in
            #expect(try await client.get("/v1/rejections?min_position=44").status == .ok)
            let behind = try await client.get("/v1/rejections?min_position=45&timeout=0")
            #expect(behind.status == .serviceUnavailable)
        }
    }
}
