import Foundation
import Synchronization
import TestSupport

/// A unix socket before Postgres's own that loses one connection, at its n-th COMMIT.
final class LossyProxy: Sendable {
    /// What is lost.
    enum Loss: CaseIterable, Sendable {
        /// COMMIT never reaches the server.
        case request
        /// COMMIT is done, and the answer does not come.
        case answer
        /// The client's side breaks at once; COMMIT reaches the server a while later.
        case delayedRequest
    }

    /// Leads to the same database through the proxy.
    let conninfo: String
    private let folder: TemporaryFolder
    private let listener: CInt
    private let server: String
    private let loss: Loss
    private let commitsLeft: Mutex<Int>

    init(before conninfo: String, losing loss: Loss, atCommit number: Int) throws {
        folder = try TemporaryFolder()
        let host = conninfo.split(separator: " ").first { $0.hasPrefix("host=") }?.dropFirst(5)
        server = "\(host ?? "")/.s.PGSQL.5432"
        self.conninfo = "\(conninfo) host=\(folder.path) sslmode=disable gssencmode=disable"
        self.loss = loss
        commitsLeft = Mutex(number)
        listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        guard withAddress(of: folder.path(".s.PGSQL.5432"), { bind(listener, $0, $1) }) == 0,
            listen(listener, 8) == 0
        else { throw TestSupportError.system(call: "listen", errno: errno) }
        Thread.detachNewThread { [self] in
            while case let client = accept(listener, nil, nil), client >= 0 { serve(client) }
        }
    }

    /// Whether the connection was lost by now.
    var hasStruck: Bool { commitsLeft.withLock { $0 <= 0 } }

    /// Takes no further connection.
    func close() { shutdown(listener, CInt(SHUT_RDWR)) }

    private func serve(_ client: CInt) {
        let pair = SocketPair(
            client: client, server: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0))
        guard withAddress(of: server, { connect(pair.server, $0, $1) }) == 0 else { return }
        Thread.detachNewThread { [self] in
            while let bytes = pair.read(pair.client) {
                if isCommitToLose(bytes) {
                    pair.isDeaf.withLock { $0 = true }
                    if loss != .answer { shutdown(pair.client, CInt(SHUT_RDWR)) }
                    if loss == .request { break }
                    if loss == .delayedRequest { usleep(300_000) }
                }
                pair.write(bytes, to: pair.server)
            }
            shutdown(pair.server, CInt(SHUT_WR))
        }
        Thread.detachNewThread {
            while let bytes = pair.read(pair.server), !pair.isDeaf.withLock({ $0 }) {
                pair.write(bytes, to: pair.client)
            }
            shutdown(pair.client, CInt(SHUT_RDWR))
        }
    }

    private func isCommitToLose(_ bytes: [UInt8]) -> Bool {
        guard String(decoding: bytes, as: UTF8.self).contains("COMMIT\0") else { return false }
        return commitsLeft.withLock { left in
            left -= 1
            return left == 0
        }
    }
}

/// Both ends of a connection through the proxy, closed with the last reference.
private final class SocketPair: Sendable {
    let client: CInt
    let server: CInt
    /// Whether nothing of what the server says is passed on.
    let isDeaf = Mutex(false)

    init(client: CInt, server: CInt) {
        self.client = client
        self.server = server
    }

    deinit {
        close(client)
        close(server)
    }

    /// The next bytes; nil at the end.
    func read(_ socket: CInt) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(socket, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer[..<count]) : nil
    }

    func write(_ bytes: [UInt8], to socket: CInt) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Calls `body` with the address of a unix socket. (unix(7))
private func withAddress(
    of path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
) -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
