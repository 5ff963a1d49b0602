import Foundation
import Testing

/// A socket that speaks just enough of the protocol to take a COPY, and in its middle warns and is
/// gone: what a server does that is shut down at once (`quickdie` in PostgreSQL's `postgres.c`).
final class DyingServer: Sendable {
    private let folder = TemporaryFolder()
    private let listener: CInt
    private let end = DispatchSemaphore(value: 0)

    var conninfo: String {
        "host=\(folder.path) user=x dbname=x sslmode=disable gssencmode=disable"
    }

    init() throws {
        listener = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = folder.path + "/.s.PGSQL.5432"
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) == 0 }
        }
        try #require(isBound && listen(listener, 1) == 0)
        Thread.detachNewThread { [listener, end] in
            let client = accept(listener, nil, nil)
            DyingServer.serve(client)
            close(client)
            end.signal()
        }
    }

    deinit { close(listener) }

    /// Waits until the server has warned and is gone.
    func waitForEnd() { end.wait() }

    private static func serve(_ client: CInt) {
        let ready = message("Z", "I")
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        guard recv(client, &buffer, buffer.count, 0) > 0 else { return }
        write(message("R", "\0\0\0\0") + ready, to: client)
        while case let count = recv(client, &buffer, buffer.count, 0), count > 0 {
            guard String(decoding: buffer[..<count], as: UTF8.self).contains("COPY") else {
                write(message("C", "SET\0") + ready, to: client)
                continue
            }
            write(message("G", "\u{1}\0\0"), to: client)
            _ = recv(client, &buffer, buffer.count, 0)
            write(message("N", "SWARNING\0VWARNING\0C57P01\0Mthe end\0\0"), to: client)
            return
        }
    }

    private static func message(_ type: Character, _ body: String) -> [UInt8] {
        let length = withUnsafeBytes(of: UInt32(body.utf8.count + 4).bigEndian) { Array($0) }
        return Array(String(type).utf8) + length + Array(body.utf8)
    }

    private static func write(_ bytes: [UInt8], to socket: CInt) {
        _ = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
    }
}
