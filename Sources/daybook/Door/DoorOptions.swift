import ArgumentParser
import DaybookServer
import Foundation
import NIOSSL

/// The options of `daybook serve` about who comes in, and how.
struct DoorOptions: ParsableArguments {
    @Option(
        help: """
            A certificate with its chain, in PEM: the server then speaks HTTPS only. Environment: \
            DAYBOOK_TLS_CERT.
            """)
    var tlsCert: String?

    @Option(help: "The certificate's key, in PEM. Environment: DAYBOOK_TLS_KEY.")
    var tlsKey: String?

    @Option(
        help: """
            Connections that are open at once. Environment: DAYBOOK_MAX_CONNECTIONS. Default: \
            4096.
            """)
    var maxConnections: Int?

    @Flag(
        help: """
            Ask for a key at /metrics and /openapi.json too. Environment: \
            DAYBOOK_PRIVATE_METRICS=true.
            """)
    var privateMetrics = false

    /// Files that are open besides connections: segments, snapshots, Postgres.
    private static let otherFileCount = 512

    func validate() throws {
        _ = try connectionCount()
        _ = try privacy()
        _ = try files()
    }

    /// Puts into the server's parts what flags and environment come to.
    ///
    /// - Throws: `CommandFailure` if certificate and key cannot be used.
    func apply(to parts: inout ServerParts) throws {
        let wanted = try connectionCount()
        let files = DoorOptions.raiseFileLimit()
        parts.limits.connectionCount = min(wanted, max(1, files - DoorOptions.otherFileCount))
        if parts.limits.connectionCount < wanted {
            parts.logger.warning(
                "fewer connections than asked for: the limit of open files is low",
                metadata: [
                    "connections": "\(parts.limits.connectionCount)", "open_files": "\(files)",
                ])
        }
        parts.guardsMetrics = try privacy()
        parts.tls = try tls()
    }

    /// What secures connections; nil if nothing does.
    func tls() throws -> TLSConfiguration? {
        try files().map { try TLSFiles(certificate: $0.certificate, key: $0.key).configuration() }
    }

    private func files() throws -> (certificate: String, key: String)? {
        let certificate = tlsCert ?? Settings.environment("TLS_CERT")
        let key = tlsKey ?? Settings.environment("TLS_KEY")
        switch (certificate, key) {
        case (nil, nil): return nil
        case (let certificate?, let key?): return (certificate, key)
        default:
            throw ValidationError(
                "--tls-cert and --tls-key (DAYBOOK_TLS_CERT and _KEY) go together.")
        }
    }

    private func connectionCount() throws -> Int {
        let text = Settings.environment("MAX_CONNECTIONS")
        guard let count = maxConnections ?? Int(text ?? "4096"), (1...1_000_000).contains(count)
        else {
            throw ValidationError(
                "--max-connections (DAYBOOK_MAX_CONNECTIONS) is a number from 1 to 1000000.")
        }
        return count
    }

    private func privacy() throws -> Bool {
        if privateMetrics { return true }
        switch Settings.environment("PRIVATE_METRICS") {
        case nil, "false": return false
        case "true": return true
        default: throw ValidationError("DAYBOOK_PRIVATE_METRICS is true or false.")
        }
    }

    /// Lets the process have as many open files as it may; how many that are.
    private static func raiseFileLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return 1024
        }
        var raised = limit
        raised.rlim_cur = limit.rlim_max
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &raised) == 0 { limit = raised }
        return Int(clamping: limit.rlim_cur)
    }
}
