import Foundation
import HummingbirdTesting
import TestSupport
import Testing

@testable import DaybookServer

@Suite("Clients that do not read")
struct SlowReaderTests {
    /// A client that sends a request and reads nothing of the answer.
    private final class Client: Sendable {
        private let handle: Int32

        init(port: Int, _ request: String) throws {
            handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            var size: Int32 = 4096
            setsockopt(
                handle, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port)).bigEndian
            address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
            let length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let status = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Foundation.connect(handle, $0, length)
                }
            }
            try #require(status == 0)
            let bytes = Array(request.utf8)
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    send(handle, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                try #require(count > 0)
                sent += count
            }
        }

        deinit { close(handle) }
    }

    /// A batch of which every row is rejected and repeated.
    private static let body: String = {
        let row = #"{"job":"\#(String(repeating: "x", count: 7_000))"}"#
        return "[" + Array(repeating: row, count: 1_000).joined(separator: ",") + "]"
    }()

    private static let request =
        "POST /v1/jobs HTTP/1.1\r\nHost: a\r\nx-api-key: all\r\n"
        + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"

    /// Connects and sends, which blocks, on a thread that may.
    private func connect(_ client: any TestClientProtocol) async throws -> Client {
        let port = try #require(client.port)
        return try await offPool { Result { try Client(port: port, Self.request) } }.get()
    }

    private struct Figures {
        let timeouts: Int
        let unsentByteCount: Int
    }

    private func figures(_ client: any TestClientProtocol) async throws -> Figures {
        let text = String(buffer: try await client.get("/metrics", key: nil).body)
        func value(_ name: String) -> Int {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
        }
        return Figures(
            timeouts: value("daybook_http_timeouts_total"),
            unsentByteCount: value("daybook_http_unsent_bytes"))
    }

    @Test(
        "have their connection ended after their time, at once where memory is wanted",
        arguments: [(1, 128 << 20), (600, 8 << 20)])
    func cut(stallSeconds: Int, answersByteCount: Int) async throws {
        var limits = ServerLimits()
        limits.stallSeconds = stallSeconds
        limits.answersByteCount = answersByteCount
        try await withServer(limits: limits) { client, _, _ in
            let slow = try await connect(client)
            defer { withExtendedLifetime(slow) {} }
            let clock = ContinuousClock()
            let deadline = clock.now + .seconds(30)
            var most = 0
            var last = try await figures(client)
            while last.timeouts == 0, clock.now < deadline {
                most = max(most, last.unsentByteCount)
                try await Task.sleep(for: .milliseconds(50))
                last = try await figures(client)
            }
            #expect(last.timeouts == 1)
            #expect(try await figures(client).unsentByteCount == 0)
            #expect(most > 7_000_000)
        }
    }

    @Test("keep others from nothing but large answers, and from those only while it is so")
    func overdrawn() async throws {
        var limits = ServerLimits()
        // One answer of 7 MB is more than twice as much, and less than four times.
        limits.answersByteCount = 3 << 20
        limits.pressedSeconds = 4
        let chosen = limits
        try await withServer(limits: chosen) { client, _, _ in
            let slow = try await connect(client)
            defer { withExtendedLifetime(slow) {} }
            let clock = ContinuousClock()
            let deadline = clock.now + .seconds(30)
            while try await figures(client).unsentByteCount == 0, clock.now < deadline {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await client.get("/v1").status == .serviceUnavailable)
            #expect(try await client.get("/health/live", key: nil).status == .ok)
            #expect(try await client.append(#"{"id":1,"job":"a"}"#).status == .ok)
            while try await figures(client).timeouts == 0, clock.now < deadline {
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(try await client.get("/v1").status == .ok)
        }
    }
}
