import Foundation

/// A server of object storage on a loopback port: moto, which checks signatures and permissions.
///
/// One a test process; it ends with it. Tests keep apart by their prefixes.
public final class S3Server: Sendable {
    /// Who may ask, and what by.
    public struct User: Sendable, Decodable {
        /// The public half of the key.
        public let id: String
        /// The half that signs.
        public let secret: String

        /// A user of these two halves, whether the server knows them or not.
        public init(id: String, secret: String) {
            self.id = id
            self.secret = secret
        }
    }

    private struct Start: Decodable {
        let port: Int
        let tlsPort: Int?
        let users: [String: User]
    }

    /// The bucket that is there from the start.
    public let bucket = "books"
    /// Its port, for plain HTTP.
    public let port: Int
    /// Its port for HTTPS, if a certificate was given.
    public let tlsPort: Int?
    /// May do anything with objects.
    public let writer: User
    /// May read and list.
    public let reader: User

    // Only its deinit matters: it ends the server.
    private nonisolated(unsafe) let process: BackgroundProcess

    /// `http://127.0.0.1:port`
    public var url: String { "http://127.0.0.1:\(port)" }

    /// The server of this test process.
    public static func shared() throws -> S3Server { try started.get() }

    private static let started = Result { try S3Server() }

    /// Starts a server.
    /// - Parameters:
    ///   - certificate: the path of a certificate, to answer over TLS too.
    ///   - key: the path of its key.
    public init(certificate: String? = nil, key: String? = nil) throws {
        var arguments = ["\(packageRoot)/Tests/TestSupport/scripts/s3_server.py"]
        if let certificate, let key { arguments += [certificate, key] }
        process = try BackgroundProcess(pythonPath, arguments)
        let deadline = ContinuousClock.now + .seconds(60)
        while !process.output.contains(UInt8(ascii: "\n")) {
            guard process.waitForExit(timeoutSeconds: 0.05) == nil, ContinuousClock.now < deadline
            else {
                throw TestSupportError.timedOut(
                    command: "s3_server.py", seconds: 60, errorOutput: process.errorText)
            }
        }
        let start = try JSONDecoder().decode(Start.self, from: process.output)
        guard let writer = start.users["writer"], let reader = start.users["reader"] else {
            throw TestSupportError.missingTool("a user of s3_server.py")
        }
        port = start.port
        tlsPort = start.tlsPort
        self.writer = writer
        self.reader = reader
    }

    /// The environment of a program that asks this server.
    /// - Parameter url: where instead of the server itself: something that stands before it.
    public func environment(as user: User? = nil, url: String? = nil) -> [String: String] {
        let user = user ?? writer
        return [
            "AWS_ACCESS_KEY_ID": user.id, "AWS_SECRET_ACCESS_KEY": user.secret,
            "AWS_REGION": "us-east-1", "DAYBOOK_S3_ENDPOINT": url ?? self.url,
        ]
    }
}
