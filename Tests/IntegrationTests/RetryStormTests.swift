import Foundation
import TestSupport
import Testing

/// What `scripts/retries.py` is to send.
private struct StormPlan: Encodable {
    let port: Int
    var connections = 64
    let seed: Int
    let requests: [Request]

    struct Request: Encodable {
        let name: String
        let count: Int
        var path = "/v1/readings"
        var headers: [String: String]
        var body: String
    }
}

/// One answer, and how often it was given.
private struct StormAnswer: Decodable {
    let status: Int
    let replayed: String?
    let position: String?
    let body: String
    let count: Int
}

extension DaybookServer {
    fileprivate func storm(_ requests: [StormPlan.Request]) throws -> [String: [StormAnswer]] {
        let seed = Int.random(in: 0..<1_000_000)
        let plan = StormPlan(port: client.port, seed: seed, requests: requests)
        let result = try runTool(
            pythonPath, ["\(packageRoot)/Tests/IntegrationTests/scripts/retries.py"],
            input: JSONEncoder().encode(plan), timeoutSeconds: 120)
        guard result.status == 0 else {
            throw DaybookFailure(description: "seed \(seed): \(result.errorText)")
        }
        return try JSONDecoder().decode([String: [StormAnswer]].self, from: result.output)
    }

    fileprivate func eventCount(from position: Int) throws -> Int {
        try run(["log", "cat", "--from", "\(position)"]).text.split(separator: "\n").count
    }
}

extension [StormAnswer] {
    fileprivate var total: Int { map(\.count).reduce(0, +) }
    fileprivate var bodies: Set<String> { Set(map(\.body)) }
    fileprivate var statuses: Set<Int> { Set(map(\.status)) }

    /// How many were not replays.
    fileprivate var firstCount: Int { filter { $0.replayed == nil }.total }
}

extension Integration {
    @Suite("Retries from many connections") struct RetryStorm {
        static let good = #"{"sensor":"s1","at":"2024-01-01T00:00:00Z","value":1.5}"#
        static let bad = #"{"sensor":"s2","at":"soon","value":1.5}"#

        private func request(
            _ name: String, count: Int, key: String, principal: String, rows: [String] = [good, bad]
        ) -> StormPlan.Request {
            StormPlan.Request(
                name: name, count: count,
                headers: [
                    "x-api-key": principal, "idempotency-key": key,
                    "content-type": "application/json",
                ],
                body: "[\(rows.joined(separator: ","))]")
        }

        /// Asserts that all answers are one, which was given once without being a replay.
        private func expectOne(
            _ answers: [StormAnswer], count: Int, isFirst: Bool = true,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws -> String {
            #expect(answers.total == count, sourceLocation: sourceLocation)
            #expect(answers.statuses == [200], sourceLocation: sourceLocation)
            #expect(answers.bodies.count == 1, sourceLocation: sourceLocation)
            #expect(Set(answers.map(\.position)).count == 1, sourceLocation: sourceLocation)
            #expect(answers.firstCount == (isFirst ? 1 : 0), sourceLocation: sourceLocation)
            #expect(
                Set(answers.map(\.replayed)).subtracting([nil, "true"]).isEmpty,
                sourceLocation: sourceLocation)
            return try #require(answers.first?.body, sourceLocation: sourceLocation)
        }

        @Test("Fault 26: 1,000 retries at once are one append, equal answers, a restart later too")
        func oneAppend() async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: OtherTrade.catalog(in: folder)) { daybook in
                let other = try daybook.run(["keys", "create", "other", "--scope", "append"]).text
                    .trimmingCharacters(in: .newlines)
                let first = try daybook.status().durable_position
                let mine = request("mine", count: 1_000, key: "k", principal: daybook.client.key)
                let theirs = request("theirs", count: 250, key: "k", principal: other)
                let answers = try daybook.storm([mine, theirs])
                let mineBody = try expectOne(answers["mine"] ?? [], count: 1_000)
                let theirBody = try expectOne(answers["theirs"] ?? [], count: 250)
                #expect(mineBody != theirBody, "another principal's key is another key")
                #expect(try daybook.eventCount(from: first) == 4)

                // The key with anything else is a conflict, whoever waits beside it.
                var changed: [StormPlan.Request] = []
                for name in ["table", "option", "type", "body", "mine"] {
                    var request = self.request(
                        name, count: 50, key: "k", principal: daybook.client.key)
                    switch name {
                    case "table": request.path = "/v1/payments"
                    case "option": request.path += "?atomic=true"
                    case "type": request.headers["content-type"] = "application/x-ndjson"
                    case "body": request.body += " "
                    default: break
                    }
                    changed.append(request)
                }
                let conflicts = try daybook.storm(changed)
                for name in ["table", "option", "type", "body"] {
                    let answers = conflicts[name] ?? []
                    #expect(answers.total == 50 && answers.statuses == [422], "\(name)")
                    #expect(answers.allSatisfy { $0.body.contains("idempotency-conflict") })
                }
                #expect(
                    try expectOne(conflicts["mine"] ?? [], count: 50, isFirst: false) == mineBody)
                #expect(try daybook.eventCount(from: first) == 4)

                daybook.kill()
                try await daybook.start()
                let later = try daybook.storm([mine, theirs])
                let laterMine = later["mine"] ?? []
                #expect(try expectOne(laterMine, count: 1_000, isFirst: false) == mineBody)
                let laterTheirs = later["theirs"] ?? []
                #expect(try expectOne(laterTheirs, count: 250, isFirst: false) == theirBody)
                #expect(try daybook.eventCount(from: first) == 4)
                try await daybook.waitUntilProjected("readings")
                #expect(try daybook.sql("SELECT count(*) FROM readings") == "2\n")
            }
        }

        @Test("Of two bodies that race for one key one wins; the other is a conflict every time")
        func race() async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: OtherTrade.catalog(in: folder)) { daybook in
                let first = try daybook.status().durable_position
                var wins: [String: Int] = [:]
                for round in 0..<20 {
                    let key = daybook.client.key
                    let answers = try daybook.storm([
                        request("a", count: 40, key: "r\(round)", principal: key),
                        request(
                            "b", count: 40, key: "r\(round)", principal: key,
                            rows: [Self.good, Self.good]),
                    ])
                    let winner = answers["a"]?.statuses == [200] ? "a" : "b"
                    wins[winner, default: 0] += 1
                    _ = try expectOne(answers[winner] ?? [], count: 40)
                    let loser = answers[winner == "a" ? "b" : "a"] ?? []
                    #expect(loser.total == 40 && loser.statuses == [422])
                }
                #expect(wins.values.reduce(0, +) == 20)
                #expect(try daybook.eventCount(from: first) == 40)
            }
        }
    }
}
