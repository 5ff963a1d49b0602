import DaybookLog
import Foundation
import HummingbirdTesting
import TestSupport
import Testing

@testable import DaybookServer

@Suite("The event feed")
struct EventRouteTests {
    /// One line of the feed, as another parser reads it.
    private struct Event {
        let object: [String: Any]
        var position: Int64? { object["position"] as? Int64 }
        var verdict: String? { object["verdict"] as? String }
        var table: String? { object["table"] as? String }
    }

    private static func events(_ text: Data) throws -> [Event] {
        try text.split(separator: UInt8(ascii: "\n")).map { line in
            let object = try JSONSerialization.jsonObject(with: Data(line))
            return Event(object: try #require(object as? [String: Any]))
        }
    }

    private static func curl(_ client: any TestClientProtocol, _ query: String) throws
        -> BackgroundProcess
    {
        let port = try #require(client.port)
        return try BackgroundProcess(
            "curl", ["-sN", "-H", "x-api-key: all", "http://127.0.0.1:\(port)/v1/events?\(query)"])
    }

    @Test("Every event is a line of JSON with what was sent and what became of it")
    func lines() async throws {
        try await withServer { client, _, log in
            let first = log.durable.position
            _ = try await client.append(
                #"[{"id":1,"job":"Cäper \"x\""},{"id":"zwei"}]"#, headers: ["Idempotency-Key": "k"])
            let end = log.durable.position
            let answer = try await client.get("/v1/events")
            #expect(answer.headers[.contentType] == "application/x-ndjson")
            #expect(answer.headers[.daybookPosition] == "\(end)")
            let all = try Self.events(Data(buffer: answer.body))
            #expect(all.map(\.position) == (0..<end).map { $0 })
            #expect(all[0].verdict == "control" && all[0].object["text"] != nil)
            let accepted = all[Int(first)]
            #expect(accepted.verdict == "accepted")
            #expect(accepted.object["row"] as? NSDictionary == ["id": 1, "job": "Cäper \"x\""])
            #expect(accepted.object["idempotency_key"] as? String == "k")
            let rejected = all[Int(first) + 1]
            #expect(rejected.verdict == "rejected" && rejected.object["reasons"] != nil)
            #expect(rejected.object["raw"] as? String == #"{"id":"zwei"}"#)
        }
    }

    @Test("Any filter gives exactly the events that pass, whatever the pieces they are read in")
    func filters() async throws {
        try await withServer(segmentByteCount: 4_096) { client, _, log in
            for batch in 0..<30 {
                // Long enough for several pieces; every seventh row is bad.
                let rows = (0..<100).map { row in
                    let id = row % 7 == 0 ? "\"bad\"" : "\(batch * 100 + row)"
                    return #"{"id":\#(id),"job":"\#(String(repeating: "x", count: 150))"}"#
                }
                let table = batch % 3 == 0 ? "departments" : "jobs"
                let body = "[" + rows.joined(separator: ",") + "]"
                _ = try await client.append(
                    table == "jobs" ? body : body.replacing("\"job\"", with: "\"department\""),
                    to: table)
            }
            #expect(log.segmentCount > 3)
            func get(_ query: String, key: String = "all") async throws -> [Event] {
                let answer = try await client.get("/v1/events?\(query)", key: key)
                #expect(answer.status == .ok, "\(query)")
                return try Self.events(Data(buffer: answer.body))
            }
            let all = try await get("")
            #expect(all.map(\.position) == (0..<log.durable.position).map { $0 })
            #expect(all.count > 3_000)
            var generator = SeededGenerator()
            for _ in 0..<40 {
                let from = Int64.random(in: 0...log.durable.position, using: &generator)
                let limit = [1, 3, 250, 2_000, 9_999].randomElement(using: &generator) ?? 1
                let table = [nil, "jobs", "departments", "other"].randomElement(using: &generator)
                let verdict = [nil, "accepted", "rejected", "control"]
                    .randomElement(using: &generator)
                var query = "from=\(from)&limit=\(limit)"
                if case let table?? = table { query += "&table=\(table)" }
                if case let verdict?? = verdict { query += "&verdict=\(verdict)" }
                let expected = all.filter { event in
                    (event.position ?? -1) >= from && (table ?? nil) ?? event.table == event.table
                        && (verdict ?? nil) ?? event.verdict == event.verdict
                }.prefix(limit)
                let found = try await get(query)
                #expect(
                    found.map(\.position) == expected.map(\.position),
                    "\(query), seed \(generator.seed)")
            }
            let limited = try await get("", key: "jobs")
            #expect(limited.map(\.position) == all.filter { $0.table == "jobs" }.map(\.position))
            #expect(try await get("verdict=control", key: "jobs").isEmpty)
        }
    }

    @Test("What cannot be asked is refused, and the end itself is an empty answer")
    func refusals() async throws {
        try await withServer { client, _, log in
            let end = log.durable.position
            #expect(try await client.get("/v1/events?from=\(end)").body.readableBytes == 0)
            for query in [
                "from=\(end + 1)", "from=-1", "from=x", "limit=0", "verdict=good", "follow=yes",
                "to=3",
            ] {
                let answer = try await client.get("/v1/events?\(query)")
                #expect(answer.status == .badRequest, "\(query)")
            }
            #expect(try await client.get("/v1/events", key: nil).status == .unauthorized)
            #expect(try await client.get("/v1/events", key: "reader").status == .forbidden)
            let table = try await client.get("/v1/events?table=departments", key: "jobs")
            #expect(table.status == .forbidden)
        }
    }

    @Test("A follower gets every event once and in order, over the ends of segments")
    func follower() async throws {
        try await withServer(segmentByteCount: 4_096) { client, _, log in
            // One from the beginning, one that waits for what is not there yet, one for three.
            let target = log.durable.position + 150
            let all = try Self.curl(client, "follow=true")
            let late = try Self.curl(client, "follow=true&from=\(target)&table=jobs")
            let three = try Self.curl(client, "follow=true&from=2&limit=3")
            for batch in 0..<100 {
                _ = try await client.append(
                    #"[{"id":\#(batch),"job":"a"},{"id":"bad"},{"id":\#(batch + 1000),"job":"b"}]"#)
            }
            let end = log.durable.position
            #expect(log.segmentCount > 3)
            #expect(three.waitForExit(timeoutSeconds: 10) == 0)
            #expect(try Self.events(three.output).map(\.position) == [2, 3, 4])
            for (process, from) in [(all, Int64(0)), (late, target)] {
                let deadline = ContinuousClock.now + .seconds(20)
                while try Self.events(process.output).count < end - from,
                    ContinuousClock.now < deadline
                {
                    try await Task.sleep(for: .milliseconds(20))
                }
                #expect(try Self.events(process.output).map(\.position) == (from..<end).map { $0 })
            }
        }
    }

    @Test("A client that was killed is noticed though nothing is written, and gives its place back")
    func killedClient() async throws {
        try await withServer(followerLimit: 1) { client, _, log in
            let end = log.durable.position
            let one = try Self.curl(client, "follow=true")
            try await Self.wait { try Self.events(one.output).count == end }
            let second = try await client.get("/v1/events?follow=true")
            #expect(second.status == .serviceUnavailable)
            #expect(try second.problem == "too-many-followers")
            #expect(second.headers[.retryAfter] != nil)
            #expect(try await client.get("/v1/events?limit=1").status == .ok)

            one.signal(SIGKILL)
            one.waitForExit(timeoutSeconds: 5)
            try await Self.wait {
                let answer = try await client.get("/v1/events?follow=true&limit=1")
                return answer.status == .ok
            }
        }
    }

    @Test("A reader that does not read holds itself alone: appends go on, and nothing is lost")
    func slowReader() async throws {
        try await withServer { client, _, log in
            let reader = try StalledReader(
                port: try #require(client.port), path: "/v1/events?follow=true")
            let text = String(repeating: "x", count: 400)
            for batch in 0..<60 {
                let rows = (0..<500).map { #"{"id":\#(batch * 500 + $0),"job":"\#(text)"}"# }
                let answer = try await client.append("[" + rows.joined(separator: ",") + "]")
                #expect(answer.status == .ok)
            }
            let end = log.durable.position
            #expect(end > 30_000)
            // What the sockets hold was read for it, and no more.
            let read = log.readPosition
            #expect(read < end, "it read to \(read) of \(end)")
            try await Task.sleep(for: .milliseconds(300))
            #expect(log.readPosition == read, "it reads on though nobody takes what it has")

            let positions = try reader.positions(count: Int(end))
            #expect(positions == (0..<end).map { $0 })
        }
    }

    private static func wait(_ isMet: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !(try await isMet()) {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited in vain")
                return
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}

/// A client that asks and then does not read until it is told to.
private final class StalledReader {
    private let handle: CInt

    init(port: Int, path: String) throws {
        handle = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(handle, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(code == 0)
        let request = "GET \(path) HTTP/1.1\r\nhost: localhost\r\nx-api-key: all\r\n\r\n"
        try #require(send(handle, request, request.utf8.count, 0) == request.utf8.count)
    }

    deinit { close(handle) }

    /// Reads until `count` events have come; the positions that they name. The frames of the
    /// chunked coding fall between lines, or cut the text of a row, never a position.
    func positions(count: Int) throws -> [Int64] {
        var text = Data()
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let last = Data("{\"position\":\(count - 1),".utf8)
        while text.suffix(4 << 20).range(of: last) == nil {
            let size = recv(handle, &buffer, buffer.count, 0)
            try #require(size > 0, "the stream ended after \(text.count) bytes")
            text.append(contentsOf: buffer[..<size])
        }
        return text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            guard line.starts(with: "{\"position\":".utf8) else { return nil }
            let digits = line.dropFirst(12).prefix { $0 >= 0x30 && $0 <= 0x39 }
            return Int64(String(decoding: digits, as: UTF8.self))
        }
    }
}
