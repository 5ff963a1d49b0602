import Foundation
import TestSupport
import Testing

/// `daybook keys create --json`.
private struct MadeKey: Decodable {
    let name: String
    let key: String
    let scopes: [String]
    let tables: [String]?
    let sha256_prefix: String
    let position: Int
}

/// An event of a key, as the feed and `log cat` show it.
private struct KeyEvent: Decodable, Equatable {
    let position: Int
    let kind: String
    let text: Text

    struct Text: Decodable, Equatable {
        let by: String?
        let found: Bool?
        let name: String
        let sha256_prefix: String?
        let scopes: [String]
        let tables: [String]?
    }

    /// Kind, name and who, for comparing.
    var line: String { "\(kind) \(text.name) \(text.by ?? "found")" }
}

extension DaybookServer {
    fileprivate func create(_ name: String, _ options: String...) throws -> MadeKey {
        try json(["keys", "create", name] + options, as: MadeKey.self)
    }

    fileprivate func keyEvents() throws -> [KeyEvent] {
        let result = try run(["log", "cat", "--verdict", "control"])
        return try events(in: result.text)
    }

    fileprivate func events(in text: String) throws -> [KeyEvent] {
        try text.split(separator: "\n").filter { $0.contains("\"kind\":\"key_") }
            .map { try JSONDecoder().decode(KeyEvent.self, from: Data($0.utf8)) }
    }

    /// The status that a key gets for an empty batch of jobs: 400 if it may append.
    fileprivate func status(of key: String) async throws -> Int {
        try await client.send(
            "POST", "/v1/jobs", headers: ["x-api-key": key, "content-type": "application/json"],
            body: Data("[]".utf8)
        ).status
    }
}

extension Integration {
    @Suite("Keys by the command line") struct KeyCommands {
        private var user: String { "local:" + NSUserName() }

        @Test("Keys are made before there is a ledger and beside a server, and the log tells who")
        func audit() async throws {
            try await withDaybook(start: false) { daybook in
                daybook.set("DAYBOOK_API_KEY", nil)
                let first = try daybook.create("first", "--scope", "append", "--table", "jobs")
                #expect(first.scopes == ["append"] && first.tables == ["jobs"])
                #expect(!FileManager.default.fileExists(atPath: daybook.data + "/postgres"))
                try await daybook.start()
                #expect(try await daybook.status(of: first.key) == 400)
                let second = try daybook.create("second", "--scope", "append,audit")
                #expect(try await daybook.status(of: second.key) == 400)
                #expect(second.key.hasPrefix("daybook_") && second.key != first.key)

                let revoked = try daybook.run(["keys", "revoke", "first"])
                #expect(revoked.status == 0 && revoked.text == "first is revoked\n")
                #expect(try await daybook.status(of: first.key) == 401)
                #expect(try daybook.run(["keys", "revoke", "first"]).status == 1)
                let again = try daybook.create("first", "--scope", "append")
                let taken = try daybook.run(["keys", "create", "first", "--scope", "read"])
                #expect(taken.status == 1 && taken.errorText.contains("revoke it first"))
                #expect(try await daybook.status(of: again.key) == 400)

                let events = try daybook.keyEvents()
                #expect(
                    events.map(\.line) == [
                        "key_created first \(user)", "key_created second \(user)",
                        "key_revoked first \(user)", "key_created first \(user)",
                    ])
                #expect(events[0].position == first.position)
                #expect(events[0].text.tables == ["jobs"] && events[1].text.tables == nil)
                #expect(events[2].text == events[0].text)
                let prefixes = events.map(\.text.sha256_prefix)
                #expect(prefixes[0] == first.sha256_prefix && prefixes[0] != prefixes[3])
                let feed = try await daybook.client.send(
                    "GET", "/v1/events?verdict=control", headers: ["x-api-key": second.key])
                #expect(try daybook.events(in: feed.text) == events)

                let list = try daybook.run(["keys", "list"])
                let times = list.text.matches(of: #/, made 20[0-9-]+T[0-9:.]+Z\n/#)
                #expect(times.count == 2, "\(list.text)")
                try daybook.stop()
                #expect(try daybook.keyEvents() == events)
                // Without a server the command holds the ledger; at the start nothing is left.
                #expect(try daybook.run(["keys", "revoke", "second"]).status == 0)
                try await daybook.start()
                #expect(try await daybook.status(of: second.key) == 401)
                #expect(try daybook.keyEvents().count == 5)
            }
        }

        @Test("Tables that the dictionary does not have are refused with those it has, exit 2")
        func tables() async throws {
            try await withDaybook(start: false) { daybook in
                let arguments = ["keys", "create", "a", "--scope", "read", "--table", "job"]
                func expectRefused() throws {
                    let result = try daybook.run(arguments)
                    #expect(result.status == 2, "\(result.errorText)")
                    #expect(
                        result.errorText.contains("no table job; it has")
                            && result.errorText.contains("jobs"), "\(result.errorText)")
                }
                try expectRefused()
                #expect(
                    !FileManager.default.fileExists(atPath: daybook.data),
                    "a wrong name must not make a ledger")
                try await daybook.start()
                try expectRefused()
                #expect(try daybook.run(["keys", "list"]).text == "")
                let reserved = try daybook.run(["keys", "create", "system", "--scope", "read"])
                #expect(reserved.status == 1 && reserved.errorText.contains("another name"))
            }
        }

        @Test("A revoked key is out at once though the log cannot be told; it is told later")
        func revokeWithoutLog() async throws {
            let folder = try TemporaryFolder()
            let catalog = try OtherTrade.catalog(in: folder)
            try await withDaybook(catalog: catalog, start: false) { daybook in
                let key = try daybook.create("shop", "--scope", "append")
                let file = "\(catalog)/projections/payments.yaml"
                let good = try String(contentsOfFile: file, encoding: .utf8)
                try "table: {".write(toFile: file, atomically: true, encoding: .utf8)
                let result = try daybook.run(["keys", "revoke", "shop"])
                #expect(result.status == 2)
                #expect(
                    result.errorText.contains("shop is revoked and lets nobody in, but the log"),
                    "\(result.errorText)")
                #expect(try daybook.run(["keys", "list"]).text == "")
                try good.write(toFile: file, atomically: true, encoding: .utf8)
                #expect(try daybook.run(["keys", "revoke", "shop"]).status == 0)
                #expect(try daybook.run(["keys", "revoke", "shop"]).status == 1)
                try await daybook.start()
                #expect(
                    try await daybook.client.send(
                        "GET", "/v1", headers: ["x-api-key": key.key]
                    ).status == 401)
                #expect(
                    try daybook.keyEvents().map(\.line) == [
                        "key_created shop \(user)", "key_revoked shop \(user)",
                        "key_created environment \(user)",
                    ])
            }
        }

        @Test("Keys that others may read or write are refused: at the start, and while it runs")
        func exposed() async throws {
            try await withDaybook(start: false) { daybook in
                let key = try daybook.create("a", "--scope", "append")
                let path = daybook.data + "/keys.json"
                #expect(chmod(path, 0o640) == 0)
                let result = try daybook.run(["serve"], timeoutSeconds: 30)
                #expect(result.status == 1)
                #expect(result.errorText.contains("chmod 600 \(path)"), "\(result.errorText)")
                for arguments in [["list"], ["revoke", "a"], ["create", "b", "--scope", "read"]] {
                    let result = try daybook.run(["keys"] + arguments)
                    #expect(result.status == 1 && result.errorText.contains("chmod 600"))
                }
                #expect(chmod(path, 0o600) == 0)
                try await daybook.start()
                #expect(try await daybook.status(of: key.key) == 400)
                #expect(chmod(path, 0o602) == 0)
                for text in [key.key, daybook.client.key] {
                    #expect(try await daybook.status(of: text) == 401)
                }
                #expect(daybook.process?.errorText.contains("no key is taken") == true)
                #expect(chmod(path, 0o600) == 0)
                #expect(try await daybook.status(of: key.key) == 400)
            }
        }

        @Test("A key that asks too often is told when to come again; the local socket never is")
        func rateLimit() async throws {
            try await withDaybook(start: false) { daybook in
                let bad = try daybook.run(["serve", "--rate-limit", "many"])
                #expect(bad.status == 2 && bad.errorText.contains("--rate-limit"))
                daybook.set("DAYBOOK_RATE_LIMIT", "1")
                try await daybook.start(["--rate-burst", "5"])
                var answers: [HTTPAnswer] = []
                for _ in 0..<40 {
                    answers.append(try await daybook.client.get("/v1"))
                    if answers.last?.status == 429 { break }
                }
                let last = try #require(answers.last)
                #expect(answers.count > 5 && last.status == 429)
                #expect(answers.dropLast().allSatisfy { $0.status == 200 })
                #expect(last.header("retry-after") == "1")
                #expect(last.header("ratelimit-policy") == #""default";q=1;w=1"#)
                #expect(last.header("ratelimit")?.hasPrefix(#""default";r=0;t="#) == true)
                #expect(last.text.contains("urn:daybook:problem:rate-limited"))
                for _ in 0..<12 { _ = try daybook.run(["keys", "list"]) }
                for number in 0..<12 {
                    _ = try daybook.create("key\(number)", "--scope", "read")
                }
            }
        }
    }
}
