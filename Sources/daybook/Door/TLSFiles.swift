import Foundation
import NIOSSL

/// A certificate and its key, as files in PEM.
struct TLSFiles {
    let certificate: String
    let key: String

    /// What a server needs of them.
    ///
    /// - Throws: `CommandFailure` that names the file and says what would be right.
    func configuration() throws(CommandFailure) -> TLSConfiguration {
        let chain: [NIOSSLCertificate]
        do {
            chain = try NIOSSLCertificate.fromPEMFile(certificate)
        } catch {
            throw CommandFailure(
                .usage, "--tls-cert \(certificate) is no file of certificates in PEM")
        }
        guard !chain.isEmpty else {
            throw CommandFailure(.usage, "--tls-cert \(certificate) has no certificate in it")
        }
        try refuseOpenKey()
        let privateKey: NIOSSLPrivateKey
        do {
            privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
        } catch {
            throw CommandFailure(
                .usage, "--tls-key \(key) is no private key in PEM without a passphrase")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(privateKey))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.cipherSuiteValues = TLSFiles.suites
        do {
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            throw CommandFailure(
                .usage,
                "--tls-key \(key) is not the key of the first certificate in \(certificate)")
        }
        return configuration
    }

    /// Of TLS 1.2, those with forward secrecy and authenticated encryption; TLS 1.3 has no others.
    ///
    /// Source: RFC 9325, 4.2.
    private static let suites: [NIOTLSCipher] = [
        .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]

    private func refuseOpenKey() throws(CommandFailure) {
        var facts = stat()
        guard stat(key, &facts) == 0 else {
            throw CommandFailure(.usage, "--tls-key \(key): \(String(cString: strerror(errno)))")
        }
        guard facts.st_mode & 0o007 == 0 else {
            throw CommandFailure(
                .usage, "everyone on this machine can read \(key): chmod 600 it, or 640")
        }
    }
}
