import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("TLS") struct TLS {
        private func curl(
            _ certificate: TestCertificate, _ daybook: DaybookServer, _ options: [String]
        ) throws -> ToolResult {
            try runTool(
                "curl",
                [
                    "-s", "--cacert", certificate.path, "-H", "x-api-key: \(daybook.client.key)",
                    "--resolve", "daybook.test:\(daybook.client.port):127.0.0.1", "-m", "10",
                ] + options)
        }

        /// Starts a server that speaks HTTPS; `body` is given its URL.
        private func withTLS(
            _ body: (DaybookServer, TestCertificate, _ url: String) async throws -> Void
        ) async throws {
            try await withDaybook(start: false) { daybook in
                let certificate = try TestCertificate(in: daybook.folder, for: "daybook.test")
                chmod(certificate.keyPath, 0o600)
                let process = try daybook.launch([
                    "--tls-cert", certificate.path, "--tls-key", certificate.keyPath,
                ])
                let url = "https://daybook.test:\(daybook.client.port)"
                try await wait("the server to be ready") {
                    if process.waitForExit(timeoutSeconds: 0) != nil {
                        throw DaybookFailure(description: process.errorText)
                    }
                    return try curl(certificate, daybook, ["-f", "\(url)/health/ready"]).status == 0
                }
                try await body(daybook, certificate, url)
            }
        }

        @Test("With a certificate the server speaks HTTPS, and to a browser of HTTP says so")
        func https() async throws {
            try await withTLS { daybook, certificate, url in
                let append = try curl(
                    certificate, daybook,
                    ["-i", "-d", #"{"id":1,"job":"a"}"#, "-H", "content-type: application/json",
                     "\(url)/v1/jobs"])
                #expect(append.text.contains(#""accepted":1"#))
                #expect(append.text.lowercased().contains("strict-transport-security: max-age="))
                let plain = try runTool(
                    "curl",
                    ["-s", "-m", "5", "http://127.0.0.1:\(daybook.client.port)/health/live"])
                #expect(plain.status != 0)
            }
        }

        @Test("A stock checker finds old protocols and weak ciphers refused, and no known fault")
        func stockChecker() async throws {
            try await withTLS { daybook, _, _ in
                let result = try runTool(
                    try pythonPath,
                    [
                        "-m", "sslyze", "--json_out", "-", "--sslv2", "--sslv3", "--tlsv1",
                        "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--heartbleed", "--robot",
                        "--compression", "--reneg", "--openssl_ccs", "--fallback",
                        "127.0.0.1:\(daybook.client.port)",
                    ], timeoutSeconds: 120)
                let script = """
                    import json, sys
                    result = json.load(sys.stdin)["server_scan_results"][0]["scan_result"]
                    found = {name: len(result[name]["result"]["accepted_cipher_suites"])
                             for name in result if name.endswith("_cipher_suites")}
                    weak = [suite["cipher_suite"]["name"]
                            for suite in result["tls_1_2_cipher_suites"]["result"]
                            ["accepted_cipher_suites"]
                            if not any(strong in suite["cipher_suite"]["name"]
                                       for strong in ["GCM", "CHACHA20"])]
                    print(json.dumps({
                        "old": found["ssl_2_0_cipher_suites"] + found["ssl_3_0_cipher_suites"]
                            + found["tls_1_0_cipher_suites"] + found["tls_1_1_cipher_suites"],
                        "new": found["tls_1_2_cipher_suites"] and found["tls_1_3_cipher_suites"],
                        "weak": weak,
                        "faults": [
                            result["heartbleed"]["result"]["is_vulnerable_to_heartbleed"],
                            result["openssl_ccs_injection"]["result"]
                                ["is_vulnerable_to_ccs_injection"],
                            result["tls_compression"]["result"]["supports_compression"],
                            result["session_renegotiation"]["result"]
                                ["is_vulnerable_to_client_renegotiation_dos"],
                            "NOT_VULNERABLE" not in result["robot"]["result"]["robot_result"]]}))
                    """
                let read = try runTool(try pythonPath, ["-c", script], input: result.output)
                struct Found: Decodable {
                    let old: Int
                    let new: Int
                    let weak: [String]
                    let faults: [Bool]
                }
                let found = try JSONDecoder().decode(
                    Found.self, from: try #require(read.status == 0 ? read.output : nil))
                #expect(found.old == 0 && found.new > 0)
                #expect(found.weak.isEmpty && found.faults == Array(repeating: false, count: 5))
            }
        }

        @Test("A certificate or key that cannot be used is named before anything is opened")
        func badFiles() async throws {
            try await withDaybook(start: false) { daybook in
                let folder = daybook.folder
                let one = try TestCertificate(in: folder, for: "one.test")
                let other = try TestCertificate(in: folder, for: "other.test")
                for path in [one.keyPath, other.keyPath] { chmod(path, 0o600) }
                func refusal(_ certificate: String?, _ key: String?) throws -> String {
                    let options = [("--tls-cert", certificate), ("--tls-key", key)]
                    let given = options.flatMap { name, value in value.map { [name, $0] } ?? [] }
                    let result = try daybook.run(["serve"] + given)
                    #expect(result.status == 2)
                    return result.errorText
                }
                #expect(try refusal(one.path, nil).contains("go together"))
                #expect(try refusal(one.path, other.keyPath).contains("is not the key of"))
                #expect(try refusal(one.keyPath, one.keyPath).contains("no file of certificates"))
                chmod(other.path, 0o600)
                #expect(try refusal(one.path, other.path).contains("no private key in PEM"))
                #expect(try refusal(folder.path("none"), one.keyPath).contains("no file of"))
                chmod(one.keyPath, 0o644)
                #expect(try refusal(one.path, one.keyPath).contains("chmod 600"))
                #expect(!FileManager.default.fileExists(atPath: daybook.data))
            }
        }
    }
}
