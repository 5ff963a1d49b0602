import Foundation

/// What the server said to one request.
struct PlainAnswer: Sendable {
    let status: Int
    let body: Data
    /// Whether it has `Idempotency-Replayed`.
    let isReplay: Bool
}

/// What became of one request.
enum Reply: Sendable {
    case answer(PlainAnswer)
    /// No answer came in time.
    case timedOut
    /// The connection broke before the answer was whole.
    case broken
}

/// HTTP/1.1 over one blocking socket: it knows when nothing came, and it never tries again by
/// itself, as a library may.
final class PlainConnection {
    private let port: Int
    private let key: String
    private var socket: CInt = -1
    private var received = Data()

    init(port: Int, key: String) {
        self.port = port
        self.key = key
    }

    deinit { close() }

    func close() {
        if socket >= 0 { _ = Glibc.close(socket) }
        socket = -1
        received = Data()
    }

    /// Sends a request and waits for its answer.
    func ask(
        _ method: String, _ path: String, headers: [String: String] = [:], body: Data = Data(),
        patienceMilliseconds: Int
    ) -> Reply {
        guard send(method, path, headers: headers, body: body) else { return .broken }
        return receive(patienceMilliseconds: patienceMilliseconds)
    }

    /// Sends a request, over a new connection if there is none.
    /// - Returns: false if it broke; part of the request may have gone.
    func send(
        _ method: String, _ path: String, headers: [String: String] = [:], body: Data = Data()
    ) -> Bool {
        guard socket >= 0 || open() else { return false }
        var head = "\(method) \(path) HTTP/1.1\r\nhost: localhost\r\nx-api-key: \(key)\r\n"
        for (name, value) in headers { head += "\(name): \(value)\r\n" }
        head += "content-length: \(body.count)\r\n\r\n"
        let bytes = Data(head.utf8) + body
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(
                    socket, raw.baseAddress?.advanced(by: sent), raw.count - sent,
                    CInt(MSG_NOSIGNAL))
            }
            guard count > 0 else {
                close()
                return false
            }
            sent += count
        }
        return true
    }

    /// Waits for the next answer. Unless one comes the connection is closed.
    func receive(patienceMilliseconds: Int) -> Reply {
        let deadline = ContinuousClock.now + .milliseconds(patienceMilliseconds)
        while true {
            if let answer = takeAnswer() { return .answer(answer) }
            let left = (deadline - ContinuousClock.now) / .milliseconds(1)
            var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            guard socket >= 0, left > 0, poll(&entry, 1, CInt(left.rounded(.up))) > 0 else {
                close()
                return .timedOut
            }
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            let count = recv(socket, &buffer, buffer.count, 0)
            guard count > 0 else {
                close()
                return .broken
            }
            received.append(contentsOf: buffer[..<count])
        }
    }

    private func open() -> Bool {
        socket = Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, length)
            }
        }
        if code != 0 { close() }
        return code == 0
    }

    /// The first whole answer of what was received; of a chunked one the head alone, for then the
    /// connection is not used again.
    private func takeAnswer() -> PlainAnswer? {
        guard let end = received.range(of: Data("\r\n\r\n".utf8)) else { return nil }
        let head = String(decoding: received[..<end.lowerBound], as: UTF8.self).lowercased()
        let lines = head.split(separator: "\r\n")
        let status = lines.first.flatMap { $0.split(separator: " ").dropFirst().first }
        func value(_ name: String) -> Substring? {
            lines.first { $0.hasPrefix(name + ": ") }?.dropFirst(name.count + 2)
        }
        guard let status = status.flatMap({ Int($0) }) else { return nil }
        let isReplay = value("idempotency-replayed") == "true"
        guard let length = value("content-length").flatMap({ Int($0) }) else {
            close()
            return PlainAnswer(status: status, body: Data(), isReplay: isReplay)
        }
        guard received.count - (end.upperBound - received.startIndex) >= length else { return nil }
        let body = Data(received[end.upperBound..<end.upperBound + length])
        received = Data(received[(end.upperBound + length)...])
        return PlainAnswer(status: status, body: body, isReplay: isReplay)
    }
}
