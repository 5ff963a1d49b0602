import Foundation
import TestSupport
import Testing

/// A web server over TLS that serves one file, with the certificate that it shows.
final class WebServer {
    let port: Int
    let certificate: TestCertificate
    private let process: BackgroundProcess

    /// - Parameter name: the host's name in the certificate.
    init(in folder: TemporaryFolder, serving file: String, name: String = "localhost") throws {
        certificate = try TestCertificate(in: folder, for: name)
        process = try BackgroundProcess(
            pythonPath,
            [
                "\(packageRoot)/Tests/IntegrationTests/scripts/https_server.py",
                certificate.path, certificate.keyPath, file,
            ])
        let deadline = ContinuousClock.now + .seconds(30)
        while !process.output.contains(UInt8(ascii: "\n")) {
            guard process.waitForExit(timeoutSeconds: 0.02) == nil, ContinuousClock.now < deadline
            else { throw DaybookFailure(description: process.errorText) }
        }
        let text = String(decoding: process.output, as: UTF8.self)
        port = try #require(Int(text.split(separator: "\n").first ?? ""))
    }

    /// A URL of the server.
    func url(_ path: String, host: String = "localhost") -> String {
        "https://\(host):\(port)/\(path)"
    }
}

extension Integration {
    @Suite("Import from URLs") struct ImportURL {
        private static let jobs = (1...100).map { "\($0),Job \($0)\n" }.joined()

        /// A ledger, a web server that serves its jobs, and the environment to reach it by.
        private func withWeb(
            start: Bool, name: String = "localhost",
            _ body: (DaybookServer, WebServer, [String: String]) async throws -> Void
        ) async throws {
            try await withDaybook(start: start) { daybook in
                let file = try daybook.folder.write(Self.jobs, to: "jobs.csv")
                try daybook.folder.write("", to: "temporary/.keep")
                let web = try WebServer(in: daybook.folder, serving: file, name: name)
                let environment = daybook.environment.merging([
                    "SSL_CERT_FILE": web.certificate.path,
                    "TMPDIR": daybook.folder.path("temporary"),
                ]) { $1 }
                try await body(daybook, web, environment)
                #expect(try leftovers(daybook) == [".keep"])
            }
        }

        private func leftovers(_ daybook: DaybookServer) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: daybook.folder.path("temporary"))
        }

        private func run(
            _ daybook: DaybookServer, _ environment: [String: String], _ arguments: String...
        ) throws -> ToolResult {
            try runTool(
                daybookBinary, ["import", "jobs"] + arguments + ["--json"],
                environment: environment, folder: daybook.folder.path, timeoutSeconds: 60)
        }

        private func summary(_ result: ToolResult) throws -> ImportSummary {
            #expect(result.status == 0, "\(result.errorText)")
            return try JSONDecoder().decode(ImportSummary.self, from: result.output)
        }

        @Test(
            "A file comes from the web once, and its URL's secret comes nowhere",
            arguments: [true, false])
        func web(withServer: Bool) async throws {
            try await withWeb(start: withServer) { daybook, web, environment in
                let url = web.url("data/jobs.csv?X-Amz-Signature=hidden&id=1")
                let result = try run(daybook, environment, url)
                let first = try summary(result)
                #expect(first.file == "jobs.csv" && first.accepted == 100 && first.rejected == 0)
                #expect(!result.text.contains("hidden") && !result.errorText.contains("hidden"))
                // The same content is known, by another URL and as a file.
                let other = try run(daybook, environment, web.url("jobs.csv"))
                #expect(try summary(other).already_imported)
                let path = daybook.folder.path("jobs.csv")
                #expect(try summary(run(daybook, environment, path)).already_imported)
                let log = try daybook.run(["log", "cat", "--table", "jobs"])
                #expect(log.text.contains("jobs.csv"))
                #expect(!log.text.contains("hidden") && !log.text.contains("localhost"))
            }
        }

        @Test("A file comes from a bucket once", arguments: [true, false])
        func bucket(withServer: Bool) async throws {
            try await withWeb(start: withServer) { daybook, _, environment in
                let server = try S3Server.shared()
                let key = "imports/\(UUID())/jobs.csv"
                try put(daybook.folder.path("jobs.csv"), at: key)
                let environment = environment.merging(server.environment()) { $1 }
                let url = "s3://\(server.bucket)/\(key)"
                let first = try summary(run(daybook, environment, url))
                #expect(first.file == "jobs.csv" && first.accepted == 100)
                #expect(try summary(run(daybook, environment, url)).already_imported)

                let wrong = S3Server.User(id: server.writer.id, secret: "wrong-secret")
                let refused = try run(
                    daybook, environment.merging(server.environment(as: wrong)) { $1 }, url)
                #expect(refused.status == 2)
                #expect(refused.errorText.contains("AWS_SECRET_ACCESS_KEY"))
                #expect(!refused.errorText.contains("wrong-secret"))
                let missing = try run(daybook, environment, url + "-missing")
                #expect(missing.status == 2 && missing.errorText.contains("is not there"))
                let nobody = try run(
                    daybook, environment.merging(["AWS_ACCESS_KEY_ID": ""]) { $1 }, url)
                #expect(nobody.status == 2 && nobody.errorText.contains("AWS_ACCESS_KEY_ID"))
                let limited = try run(daybook, environment, url, "--max-download", "500")
                #expect(limited.status == 1 && limited.errorText.contains("--max-download"))
            }
        }

        /// Puts a file into the bucket with boto3: not by the code under test.
        private func put(_ path: String, at key: String) throws {
            let server = try S3Server.shared()
            let script = """
                import boto3, sys
                url, key, path = sys.argv[1:]
                client = boto3.client("s3", endpoint_url=url, region_name="us-east-1")
                client.upload_file(path, "\(server.bucket)", key)
                """
            let result = try runTool(
                pythonPath, ["-c", script, server.url, key, path],
                environment: server.environment())
            #expect(result.status == 0, "\(result.errorText)")
        }

        @Test("What passes is tried again: a busy server, a connection that breaks")
        func retries() async throws {
            try await withWeb(start: false) { daybook, web, environment in
                let busy = try run(daybook, environment, web.url("busy/jobs.csv"))
                #expect(try summary(busy).accepted == 100)
                let cut = try run(daybook, environment, web.url("cut/jobs.csv"), "--force")
                #expect(try summary(cut).rows == 100)
                let hops = try run(daybook, environment, web.url("hops/5/jobs.csv"))
                #expect(try summary(hops).already_imported)
            }
        }

        @Test("What is refused says why, touches nothing, and shows no secret")
        func refusals() async throws {
            try await withWeb(start: false) { daybook, web, environment in
                let query = "?X-Amz-Signature=hidden"
                let cases: [(url: String, status: Int32, text: String)] = [
                    ("http://localhost:\(web.port)/jobs.csv\(query)", 2, "nothing proves who"),
                    ("ftp://localhost/jobs.csv\(query)", 2, "ftp:// is not read"),
                    ("https://user:hidden@localhost/jobs.csv", 2, "name and password"),
                    ("https:///jobs.csv\(query)", 2, "well-formed"),
                    (web.url("missing/jobs.csv\(query)"), 2, "answered 404"),
                    (web.url("insecure/jobs.csv\(query)"), 1, "not https://"),
                    (web.url("hops/6/jobs.csv\(query)"), 1, "more than 5 times"),
                    (web.url("gzip/jobs.csv\(query)"), 1, "encoded"),
                    (web.url("jobs.csv\(query)", host: "127.0.0.1"), 4, "not trusted"),
                    ("https://localhost:\(try freePort())/jobs.csv\(query)", 4, "be reached"),
                    ("s3://books\(query)", 2, "no query"), ("s3://books", 2, "name a file"),
                ]
                for (url, status, text) in cases {
                    let result = try run(daybook, environment, url)
                    #expect(result.status == status, "\(url): \(result.errorText)")
                    #expect(result.errorText.contains(text), "\(url): \(result.errorText)")
                    #expect(!result.errorText.contains("hidden"), "\(url): \(result.errorText)")
                    #expect(result.output.isEmpty)
                }
                #expect(!FileManager.default.fileExists(atPath: daybook.data), "a ledger was made")
            }
        }

        @Test("A certificate that nobody named is not trusted")
        func distrust() async throws {
            try await withWeb(start: false) { daybook, web, environment in
                var environment = environment
                environment["SSL_CERT_FILE"] = ""
                let unknown = try run(daybook, environment, web.url("jobs.csv"))
                #expect(unknown.status == 4)
                #expect(unknown.errorText.contains("SSL_CERT_FILE"), "\(unknown.errorText)")
                environment["SSL_CERT_FILE"] = "/nowhere/ca.pem"
                let absent = try run(daybook, environment, web.url("jobs.csv"))
                #expect(absent.status == 2 && absent.errorText.contains("/nowhere/ca.pem"))
            }
        }

        @Test("A fetch ends at its limit, and a killed one leaves nothing behind")
        func limits() async throws {
            try await withWeb(start: false) { daybook, web, environment in
                for path in ["jobs.csv", "endless/jobs.csv"] {
                    let result = try run(
                        daybook, environment, web.url(path), "--max-download", "500")
                    #expect(result.status == 1)
                    #expect(result.errorText.contains("--max-download"), "\(result.errorText)")
                }
                let wrong = try run(
                    daybook, environment, web.url("jobs.csv"), "--max-download", "lots")
                #expect(wrong.status == 2)

                let slow = try BackgroundProcess(
                    daybookBinary, ["import", "jobs", web.url("slow/jobs.csv")],
                    environment: environment, folder: daybook.folder.path)
                try await wait("the fetch to begin") {
                    let folder = "/proc/\(slow.pid)/fd"
                    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
                    return names.contains { name in
                        let target = try? FileManager.default.destinationOfSymbolicLink(
                            atPath: "\(folder)/\(name)")
                        return target?.contains("daybook-import") == true
                    }
                }
                #expect(try leftovers(daybook) == [".keep"])
                slow.signal(SIGKILL)
                slow.waitForExit(timeoutSeconds: 10)
            }
        }
    }
}
