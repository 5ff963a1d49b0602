import Foundation
import NIOCore
import TestSupport
import Testing

@testable import S3

/// What the client does when requests and answers are spoiled on their way.
@Suite struct FaultTests {
    let server: S3Server
    let bucket: String
    static let busy = "<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"

    init() throws {
        server = try S3Server.shared()
        bucket = server.bucket
    }

    private func proxy(_ rules: FaultyProxy.Rule...) throws -> FaultyProxy {
        try FaultyProxy(before: server.port, rules)
    }

    @Test(
        "What passes is tried again until it is done",
        arguments: [
            FaultyProxy.Fault.answer(status: 503, body: busy), .answer(status: 500, body: ""),
            .answer(status: 429, body: ""), .answer(status: 502, body: "<html>no gateway"),
            .answer(
                status: 400, body: "<Error><Code>RequestTimeout</Code><Message/></Error>"),
            .lost, .answerLost, .answerCut(byteCount: 100),
        ])
    func retries(fault: FaultyProxy.Fault) async throws {
        let proxy = try proxy(.init(fault, count: 3))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        let key = "retries/\(UUID())"
        try await client.put(key, in: bucket, bytes(50_000))
        #expect(proxy.requests.count == 4)
        proxy.add(.init(fault, count: 3))
        #expect(try await client.whole(key, in: bucket) == bytes(50_000))
        #expect(proxy.requests.count == 8)
    }

    @Test("A body that breaks off is not taken for the whole")
    func cut() async throws {
        let proxy = try proxy(.init(.answerCut(byteCount: 30_000), count: 2, where: "GET"))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        try await client.put("cut/a", in: bucket, bytes(50_000))
        #expect(try await client.whole("cut/a", in: bucket) == bytes(50_000))
        #expect(proxy.requests.count == 4)
    }

    @Test("Tries end at their count, and the last reason is told")
    func tryCount() async throws {
        let proxy = try proxy(.init(.answer(status: 503, body: FaultTests.busy), count: 100))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url) { $0.tryCountMax = 4 }
        let error = await #expect(throws: S3Error.self) {
            try await client.put("tries/a", in: bucket, bytes(1))
        }
        #expect(
            error
                == .refused(
                    status: 503, code: "SlowDown", message: "Reduce your rate.",
                    what: "s3://books/tries/a"))
        #expect(proxy.requests.count == 4)
    }

    @Test("Tries end at their time")
    func tryTime() async throws {
        let proxy = try proxy(.init(.lost, count: 1_000))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url) {
            $0.tryCountMax = 1_000
            $0.total = .milliseconds(300)
            $0.pauseMax = .milliseconds(20)
        }
        let start = ContinuousClock.now
        await #expect(throws: S3Error.self) { try await client.head("tries/a", in: bucket) }
        #expect(ContinuousClock.now - start < .seconds(5))
        #expect((3..<200).contains(proxy.requests.count))
    }

    @Test("A refusal is not tried again, nor a redirect followed")
    func final() async throws {
        let elsewhere = "<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message></Error>"
        for (status, body, code) in [
            (403, "", "Forbidden"), (301, elsewhere, "PermanentRedirect"),
            (307, elsewhere, "PermanentRedirect"),
            (400, "<Error><Code>MalformedXML</Code></Error>", "MalformedXML"),
        ] {
            let location = "Location: \(server.url)/books/final/b\r\n"
            let proxy = try proxy(.init(.answer(status: status, body: body, header: location)))
            defer { proxy.close() }
            let client = try client(of: server, url: proxy.url)
            let error = await #expect(throws: S3Error.self) {
                try await client.put("final/a", in: bucket, bytes(1))
            }
            #expect(error?.refusal == "\(status) \(code)")
            #expect(proxy.requests.count == 1)
        }
    }

    @Test("A port where nobody listens is unreachable, soon")
    func nobody() async throws {
        let port = try freePort()
        let client = try client(of: server, url: "http://127.0.0.1:\(port)") { $0.tryCountMax = 3 }
        let start = ContinuousClock.now
        let error = await #expect(throws: S3Error.self) {
            try await client.list("", in: bucket)
        }
        guard case .unreachable(let host, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(host == "127.0.0.1:\(port)")
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test("Completing twice, when the first answer was lost, is done once")
    func completeTwice() async throws {
        // Some storage forgets an upload that is complete, other gives the first answer again.
        let place = "POST /books/twice/a?uploadId="
        let gone = "<Error><Code>NoSuchUpload</Code><Message>Gone.</Message></Error>"
        let proxy = try proxy(
            .init(.answerLost, where: place),
            .init(.answer(status: 404, body: gone), where: place))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        let upload = try await client.beginUpload("twice/a", in: bucket)
        let part = try await client.uploadPart(1, of: upload, in: bucket, bytes(1_000))
        try await client.complete(upload, in: bucket, parts: [part])
        #expect(try await client.whole("twice/a", in: bucket) == bytes(1_000))
    }

    @Test("A failure that comes in an answer of 200 is a failure")
    func lateFailure() async throws {
        let late = FaultyProxy.Fault.answer(
            status: 200,
            body: "<Error><Code>EntityTooSmall</Code><Message>Small.</Message></Error>")
        let proxy = try proxy(.init(late, where: "POST /books/late/a?uploadId="))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        let upload = try await client.beginUpload("late/a", in: bucket)
        let part = try await client.uploadPart(1, of: upload, in: bucket, bytes(1_000))
        let error = await #expect(throws: S3Error.self) {
            try await client.complete(upload, in: bucket, parts: [part])
        }
        #expect(error?.description.contains("EntityTooSmall") == true)
        #expect(try await client.head("late/a", in: bucket) == nil)
    }

    @Test("A new object whose first answer was lost is known as ours")
    func newTwice() async throws {
        let proxy = try proxy(.init(.answerLost, where: "PUT /books/ours/a"))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        #expect(try await client.put("ours/a", in: bucket, bytes(10), isNew: true))
    }

    @Test("Storage that knows no conditions is written to without")
    func unconditional() async throws {
        let proxy = try proxy(.init(.answer(status: 501, body: ""), where: "if-none-match"))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        #expect(try await client.put("plain/a", in: bucket, bytes(10), isNew: true))
        #expect(try await client.whole("plain/a", in: bucket) == bytes(10))
    }

    @Test("An answer that ignores the range, or is too long, or no XML, is not believed")
    func strangeAnswers() async throws {
        let long = FaultyProxy.Fault.answer(
            status: 200, body: String(repeating: "a", count: 200_000))
        let proxy = try proxy(.init(long, count: 3))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        let cases: [(Range<UInt64>, String)] = [
            (0..<100, "more than 100 bytes"), (0..<200_000, "another part"),
        ]
        for (range, text) in cases {
            let error = await #expect(throws: S3Error.self) {
                try await client.get("strange/a", in: bucket, range: range)
            }
            #expect(error?.description.contains(text) == true, "\(String(describing: error))")
        }
        await #expect(throws: S3Error.self) { try await client.list("", in: bucket) }
        #expect(proxy.requests.count == 3)
    }

    @Test("A body that is changed on its way is refused: its digest was signed")
    func tampered() async throws {
        let proxy = try proxy(.init(.altered))
        defer { proxy.close() }
        let client = try client(of: server, url: proxy.url)
        let error = await #expect(throws: S3Error.self) {
            try await client.put("tampered/a", in: bucket, bytes(10))
        }
        #expect(error?.description.contains("XAmzContentSHA256Mismatch") == true)
        #expect(try await client.head("tampered/a", in: bucket) == nil)
    }
}
