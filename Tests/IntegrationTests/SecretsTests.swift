import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Secrets") struct Secrets {
        /// Whether any file below `folder` holds the text; the paths of those that do.
        private func files(in folder: String, holding text: String) throws -> String {
            let result = try runTool("grep", ["-ralF", "--devices=skip", "-e", text, folder])
            // 1 is none; 2 is a file that went meanwhile, and what was found is said all the same.
            return result.text
        }

        @Test("No key is in what the server says, in the list of processes, or in the data folder")
        func keys() async throws {
            try await withDaybook(start: false) { daybook in
                let given = daybook.client.key
                daybook.set("DAYBOOK_LOG_LEVEL", "trace")
                try await daybook.start()
                let made = try daybook.run(["keys", "create", "shop", "--scope", "append,audit"])
                let key = made.text.trimmingCharacters(in: .newlines)
                #expect(key.hasPrefix("daybook_"))
                let wrong = "wrong-secret-\(UUID().uuidString)"
                let secrets = [given, key, wrong]
                for (secret, status) in zip(secrets, [200, 200, 401]) {
                    let answer = try await daybook.client.send(
                        "POST", "/v1/jobs",
                        headers: ["x-api-key": secret, "content-type": "application/json"],
                        body: Data(#"{"id": \#(secret.utf8.count), "job": "Cook"}"#.utf8))
                    #expect(answer.status == status, "\(answer.text)")
                    #expect(!answer.text.contains(secret))
                    try expectAnswer(daybook, bearer: secret, status == 401 ? "401" : "400")
                    // A key in the query is none, and the query is written nowhere.
                    for path in ["/v1/status", "/v1/nothing/x", "/health/ready", "/nowhere"] {
                        let answer = try await daybook.client.send(
                            "GET", "\(path)?x-api-key=\(secret)&x=\(secret)",
                            headers: ["x-api-key": "none"])
                        #expect(!answer.text.contains(secret), "\(path): \(answer.text)")
                    }
                    let bad = try await daybook.client.send(
                        "GET", "/v1/events?from=\(secret)", headers: ["x-api-key": given])
                    #expect(bad.status == 400)
                }
                try await daybook.waitUntilProjected("jobs")
                let process = try #require(daybook.process)
                let said = String(decoding: process.output, as: UTF8.self) + process.errorText
                #expect(said.contains("/v1/status"), "the requests are in what is looked through")
                let lines = try String(
                    contentsOfFile: "/proc/\(process.pid)/cmdline", encoding: .utf8)
                #expect(lines.contains("serve"))
                let events = try daybook.run(["log", "cat"]).text
                #expect(events.contains("key_created") && events.contains("Cook"))
                let listed = try daybook.run(["keys", "list", "--json"]).text
                for secret in secrets {
                    #expect(!said.contains(secret))
                    #expect(!lines.contains(secret))
                    #expect(!events.contains(secret))
                    #expect(!listed.contains(secret))
                    #expect(try files(in: daybook.data, holding: secret) == "")
                }
                #expect(
                    try files(in: daybook.data, holding: "\"shop\"").contains("keys.json"),
                    "what is looked for is found where it is")
            }
        }

        /// By curl: URLSession has its own mind about the field. What is asked lacks an option.
        private func expectAnswer(
            _ daybook: DaybookServer, bearer secret: String, _ status: String
        ) throws {
            let result = try runTool(
                "curl",
                [
                    "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "@-",
                    "http://127.0.0.1:\(daybook.client.port)/v1/events?from=nothing",
                ], input: Data("Authorization: Bearer \(secret)\n".utf8))
            #expect(result.text == status)
        }
    }
}
