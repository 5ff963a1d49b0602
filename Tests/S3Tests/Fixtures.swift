import NIOCore
import TestSupport

@testable import S3

/// A client of a server under test, with short pauses.
func client(
    of server: S3Server, as user: S3Server.User? = nil, url: String? = nil,
    _ change: (inout Patience) -> Void = { _ in }
) throws -> S3Client {
    var configuration = try S3Configuration(
        environment: server.environment(as: user, url: url), prefix: "DAYBOOK_")
    configuration.patience.firstPause = .milliseconds(5)
    change(&configuration.patience)
    return try S3Client(configuration)
}

/// Bytes that depend on the seed alone.
func bytes(_ count: Int, seed: UInt64 = 1) -> ByteBuffer {
    var generator = SeededGenerator(seed: seed)
    var buffer = ByteBuffer()
    buffer.reserveCapacity(count + 8)
    while buffer.readableBytes < count { buffer.writeInteger(generator.next()) }
    return buffer.getSlice(at: 0, length: count) ?? buffer
}

extension S3Client {
    /// A whole object, however long.
    func whole(_ key: String, in bucket: String) async throws -> ByteBuffer {
        try await get(key, in: bucket, range: 0..<1 << 30)
    }
}

extension S3Error {
    /// The status and code of a refusal: `403 AccessDenied`.
    var refusal: String? {
        guard case .refused(let status, let code, _, _) = self else { return nil }
        return "\(status) \(code)"
    }
}
