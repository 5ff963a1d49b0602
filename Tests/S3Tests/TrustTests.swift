import NIOCore
import TestSupport
import Testing

@testable import S3

/// TLS, with a certificate that the system does not know.
@Suite struct TrustTests {
    @Test("A certificate of one's own is trusted if its file is named, and else refused at once")
    func certificates() async throws {
        let folder = try TemporaryFolder()
        let certificate = try TestCertificate(in: folder, for: "localhost")
        let server = try S3Server(certificate: certificate.path, key: certificate.keyPath)
        let port = try #require(server.tlsPort)
        var environment = server.environment(url: "https://localhost:\(port)")
        let distrusting = try S3Client(
            S3Configuration(environment: environment, prefix: "DAYBOOK_"))
        let start = ContinuousClock.now
        let error = await #expect(throws: S3Error.self) {
            try await distrusting.list("", in: server.bucket)
        }
        #expect(error == .untrusted(host: "localhost:\(port)"))
        #expect(ContinuousClock.now - start < .seconds(5))

        environment["SSL_CERT_FILE"] = certificate.path
        let trusting = try S3Client(S3Configuration(environment: environment, prefix: "DAYBOOK_"))
        try await trusting.put("tls/a", in: server.bucket, bytes(1_000))
        #expect(try await trusting.whole("tls/a", in: server.bucket) == bytes(1_000))

        environment["DAYBOOK_S3_ENDPOINT"] = "https://127.0.0.1:\(port)"
        let elsewhere = try S3Client(S3Configuration(environment: environment, prefix: "DAYBOOK_"))
        let other = await #expect(throws: S3Error.self) {
            try await elsewhere.list("", in: server.bucket)
        }
        #expect(other == .untrusted(host: "127.0.0.1:\(port)"), "a name that is not its own")
    }
}
