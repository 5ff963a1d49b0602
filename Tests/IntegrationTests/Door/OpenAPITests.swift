import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("The interface's description") struct OpenAPI {
        @Test("A generator of requests finds no answer that the description does not have")
        func generatedRequests() async throws {
            try await withDaybook { daybook in
                let result = try runTool(
                    "\(packageRoot)/script/fuzz-http",
                    ["--url", "http://127.0.0.1:\(daybook.client.port)", "--examples", "10"],
                    environment: ["DAYBOOK_API_KEY": daybook.client.key], timeoutSeconds: 400)
                #expect(result.status == 0, "\(result.text.suffix(6_000))\n\(result.errorText)")
                report("generated requests: \(result.text.suffix(400))")
                let match = result.text.firstMatch(of: #/([0-9]+) generated, ([0-9]+) passed/#)
                #expect((match.flatMap { Int($0.2) } ?? 0) > 1_000)
            }
        }

        @Test("Metrics and description ask for a key if they are told to")
        func privateMetrics() async throws {
            try await withDaybook(start: false) { daybook in
                try await daybook.start(["--private-metrics"])
                let stranger = HTTPClient(port: daybook.client.port, key: "no key")
                for path in ["/metrics", "/openapi.json"] {
                    #expect(try await stranger.get(path).status == 401)
                    #expect(try await daybook.client.get(path).status == 200)
                }
                #expect(try await stranger.get("/health/live").status == 200)
            }
        }
    }
}
