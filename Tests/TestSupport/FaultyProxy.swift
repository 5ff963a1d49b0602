import Foundation
import Synchronization

/// A proxy before an HTTP server on this machine that spoils what it is told to, request by
/// request. It takes one request a connection, which is what a server that closes each needs.
public final class FaultyProxy: Sendable {
    /// What becomes of a request.
    public enum Fault: Sendable {
        /// It is answered with a status, a body and perhaps a line of header (with its end), and
        /// never gets to the server.
        case answer(status: Int, body: String, header: String = "")
        /// The connection is closed, and the request never gets to the server.
        case lost
        /// The server gets it, and its answer does not come back.
        case answerLost
        /// The server gets another last byte.
        case altered
        /// A part of the answer's bytes comes, and then the connection is closed.
        case answerCut(byteCount: Int)
    }

    /// Which requests are spoiled.
    public struct Rule: Sendable {
        /// What the request's head contains; empty for every request.
        public let marker: String
        /// What becomes of it.
        public let fault: Fault
        fileprivate var count: Int

        /// Spoils the next `count` requests whose head contains `marker`.
        public init(_ fault: Fault, count: Int = 1, where marker: String = "") {
            self.marker = marker
            self.fault = fault
            self.count = count
        }
    }

    private struct State {
        var rules: [Rule]
        var requests: [String] = []
    }

    /// Where it listens.
    public let port: Int
    /// `http://127.0.0.1:port`
    public var url: String { "http://127.0.0.1:\(port)" }
    private let server: Int
    private let listener: CInt
    private let state: Mutex<State>

    /// A proxy before the server of a port; spoils by the first rule that fits and has some left.
    public init(before server: Int, _ rules: [Rule]) throws {
        self.server = server
        state = Mutex(State(rules: rules))
        listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        port = try freePort()
        guard withLoopback(port, { bind(listener, $0, $1) }) == 0, listen(listener, 64) == 0 else {
            throw TestSupportError.system(call: "listen", errno: errno)
        }
        Thread.detachNewThread { [listener, self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                Thread.detachNewThread { self.serve(client) }
            }
        }
    }

    /// Takes no further connection.
    public func close() { shutdown(listener, CInt(SHUT_RDWR)) }

    /// The first lines of the requests so far.
    public var requests: [String] { state.withLock { $0.requests } }

    /// Spoils further requests.
    public func add(_ rule: Rule) { state.withLock { $0.rules.append(rule) } }

    private func serve(_ client: CInt) {
        defer { Foundation.close(client) }
        guard let (head, bytes) = readRequest(client) else { return }
        switch fault(of: head) {
        case .answer(let status, let body, let header):
            let text =
                "HTTP/1.1 \(status) Spoiled\r\nContent-Length: \(body.utf8.count)\r\n"
                + "Connection: close\r\n\(header)\r\n\(body)"
            write(Data(text.utf8), to: client)
            shutdown(client, CInt(SHUT_WR))
        case .lost: return
        case .answerLost: _ = answer(to: bytes)
        case .altered:
            let last = bytes[bytes.count - 1] ^ 1
            write(answer(to: bytes.dropLast() + [last]), to: client)
        case .answerCut(let byteCount): write(answer(to: bytes).prefix(byteCount), to: client)
        case nil: write(answer(to: bytes), to: client)
        }
    }

    private func fault(of head: String) -> Fault? {
        state.withLock { state in
            state.requests.append(String(head.prefix { !$0.isNewline }))
            let fitting = state.rules.firstIndex {
                $0.count > 0 && ($0.marker.isEmpty || head.contains($0.marker))
            }
            guard let fitting else { return nil }
            state.rules[fitting].count -= 1
            return state.rules[fitting].fault
        }
    }

    private func readRequest(_ client: CInt) -> (head: String, bytes: Data)? {
        var bytes = Data()
        let end = Data("\r\n\r\n".utf8)
        while true {
            if let range = bytes.range(of: end) {
                let head = String(decoding: bytes[..<range.lowerBound], as: UTF8.self)
                let line = head.lowercased().split(separator: "\r\n")
                    .first { $0.hasPrefix("content-length:") }
                let length = line.flatMap {
                    Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces))
                }
                if bytes.count >= range.upperBound + (length ?? 0) { return (head, bytes) }
            }
            guard let piece = read(client) else { return nil }
            bytes += piece
        }
    }

    /// All that the server answers until it closes.
    private func answer(to request: Data) -> Data {
        let connection = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        defer { Foundation.close(connection) }
        guard withLoopback(server, { connect(connection, $0, $1) }) == 0 else { return Data() }
        write(request, to: connection)
        var answer = Data()
        while let piece = read(connection) { answer += piece }
        return answer
    }

    private func read(_ handle: CInt) -> Data? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(handle, &buffer, buffer.count, 0)
        return count > 0 ? Data(buffer[..<count]) : nil
    }

    private func write(_ bytes: Data, to handle: CInt) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                send(handle, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// Calls `body` with the address of a loopback port. (ip(7))
private func withLoopback(
    _ port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt
) -> CInt {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
    return withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
