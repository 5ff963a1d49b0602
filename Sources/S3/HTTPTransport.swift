import AsyncHTTPClient
import NIOCore
import NIOSSL
import Synchronization

/// HTTP as we want it of servers that are not ours: redirects are not followed, bodies are taken as
/// they come, and certificates are held against the system's roots and one more file.
public enum HTTPTransport {
    /// One client a certificate file, for the life of the process: they hold the connections.
    private static let clients = Mutex<[String: HTTPClient]>([:])

    /// The client that trusts the system's roots, and those in a file.
    ///
    /// - Throws: `.configuration` if the file holds no certificates.
    public static func client(certificateFile: String?) throws(S3Error) -> HTTPClient {
        var tls = TLSConfiguration.makeClientConfiguration()
        tls.certificateVerification = .fullVerification
        tls.minimumTLSVersion = .tlsv12
        if let certificateFile {
            guard let certificates = try? NIOSSLCertificate.fromPEMFile(certificateFile),
                !certificates.isEmpty
            else {
                throw .configuration("SSL_CERT_FILE: \(certificateFile) holds no certificates")
            }
            tls.additionalTrustRoots = [.certificates(certificates)]
        }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls, redirectConfiguration: .disallow,
            timeout: .init(connect: .seconds(10), read: .seconds(60), write: .seconds(60)),
            decompression: .disabled)
        configuration.httpVersion = .http1Only
        // Whoever asks tries again by its own rules, and wants to know why.
        configuration.connectionPool.retryConnectionEstablishment = false
        return clients.withLock { clients in
            if let client = clients[certificateFile ?? ""] { return client }
            let client = HTTPClient(configuration: configuration)
            clients[certificateFile ?? ""] = client
            return client
        }
    }

    /// What a failed exchange means: whether the host was not trusted, and else why nothing came.
    public static func fault(_ error: any Error, host: String) -> S3Error {
        if isDistrust(error) { return .untrusted(host: host) }
        let why =
            switch error {
            case let error as HTTPClientError: error.shortDescription
            case let error as IOError: error.description
            case is CancellationError: "given up"
            case is NIOSSLError, is BoringSSLError: "TLS failed (\(error))"
            // Nobody listens, or no address is known: of several tries, with all their reasons.
            default: "no connection (\(type(of: error)))"
            }
        return .unreachable(host: host, why: why)
    }

    private static func isDistrust(_ error: any Error) -> Bool {
        if error is NIOSSLExtraError { return true }
        guard case .handshakeFailed(let reason)? = error as? NIOSSLError else { return false }
        return "\(reason)".contains("CERTIFICATE_VERIFY_FAILED")
    }
}
