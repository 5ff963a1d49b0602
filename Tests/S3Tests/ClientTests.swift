import Foundation
import NIOCore
import TestSupport
import Testing

@testable import S3

/// The client against a server that checks every signature and every body's digest.
@Suite struct ClientTests {
    let server: S3Server
    let client: S3Client
    let bucket: String

    init() throws {
        server = try S3Server.shared()
        client = try S3Tests.client(of: server)
        bucket = server.bucket
    }

    @Test(
        "An object comes back as it was put, whatever its key",
        arguments: [
            "objects/a", "objects/a b+c&d=e?f#g%20~'()*!.csv", "objects/é日本🎉", "objects/./..a",
        ])
    func objects(key: String) async throws {
        let key = "\(UUID())/\(key)"
        let content = bytes(100_000)
        #expect(try await client.head(key, in: bucket) == nil)
        try await client.put(key, in: bucket, content)
        #expect(try await client.whole(key, in: bucket) == content)
        let facts = try #require(await client.head(key, in: bucket))
        #expect(facts.byteCount == 100_000 && !facts.etag.isEmpty)
        let listed = try await client.list(key, in: bucket).objects
        #expect(listed == [facts])
        try await client.delete([key], in: bucket)
        #expect(try await client.head(key, in: bucket) == nil)
        try await client.delete([key], in: bucket)
    }

    @Test("A range is a part of the object, short at its end and empty behind it")
    func ranges() async throws {
        let content = bytes(10_000)
        try await client.put("ranges/a", in: bucket, content)
        func get(_ range: Range<UInt64>) async throws -> ByteBuffer {
            try await client.get("ranges/a", in: bucket, range: range)
        }
        #expect(try await get(0..<1) == content.getSlice(at: 0, length: 1))
        #expect(try await get(5_000..<6_000) == content.getSlice(at: 5_000, length: 1_000))
        #expect(try await get(9_999..<20_000) == content.getSlice(at: 9_999, length: 1))
        #expect(try await get(10_000..<10_001).readableBytes == 0)
        #expect(try await get(50_000..<60_000).readableBytes == 0)
        #expect(try await get(7..<7).readableBytes == 0)
        try await client.put("ranges/empty", in: bucket, ByteBuffer())
        #expect(try await client.whole("ranges/empty", in: bucket).readableBytes == 0)
    }

    @Test("An object that was replaced while it is read is not mixed with the old one")
    func replaced() async throws {
        try await client.put("replaced/a", in: bucket, bytes(100, seed: 1))
        let facts = try #require(await client.head("replaced/a", in: bucket))
        let first = try await client.get(
            "replaced/a", in: bucket, range: 0..<50, etag: facts.etag)
        #expect(first.readableBytes == 50)
        try await client.put("replaced/a", in: bucket, bytes(100, seed: 2))
        await #expect(throws: S3Error.changed(what: "s3://books/replaced/a")) {
            try await client.get("replaced/a", in: bucket, range: 50..<100, etag: facts.etag)
        }
    }

    @Test("More keys than fit a page are all listed, in order, and all deleted")
    func manyKeys() async throws {
        let keys = (0..<1_050).map { "many/folder/\(10_000 + $0)&<é>" }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, key) in keys.enumerated() {
                if index >= 8 { try await group.next() }
                group.addTask { _ = try await client.put(key, in: bucket, ByteBuffer()) }
            }
            try await group.waitForAll()
        }
        try await client.put("many/other", in: bucket, ByteBuffer())
        #expect(try await client.list("many/folder/", in: bucket).objects.map(\.key) == keys)
        let top = try await client.list("many/", in: bucket, delimiter: "/")
        #expect(top.prefixes == ["many/folder/"])
        #expect(top.objects.map(\.key) == ["many/other"])
        try await client.delete(keys, in: bucket)
        #expect(try await client.list("many/folder/", in: bucket) == S3Listing())
        #expect(try await client.list("many/", in: bucket).objects.count == 1)
    }

    @Test("An object in parts is visible when it is complete, and not before")
    func multipart() async throws {
        let content = bytes(5 << 20 + 5 << 20 + 17)
        let upload = try await client.beginUpload("multipart/a", in: bucket)
        var parts: [S3Part] = []
        for number in 1...3 {
            let start = (number - 1) * (5 << 20)
            let part = try #require(
                content.getSlice(at: start, length: min(5 << 20, content.readableBytes - start)))
            parts.append(try await client.uploadPart(number, of: upload, in: bucket, part))
        }
        #expect(try await client.head("multipart/a", in: bucket) == nil)
        #expect(try await client.uploads("multipart/", in: bucket) == [upload])
        try await client.complete(upload, in: bucket, parts: parts)
        #expect(try await client.whole("multipart/a", in: bucket) == content)
        #expect(try await client.uploads("multipart/", in: bucket) == [])
    }

    @Test("An upload that is given up leaves nothing, and may be given up twice")
    func aborted() async throws {
        let upload = try await client.beginUpload("aborted/a", in: bucket)
        _ = try await client.uploadPart(1, of: upload, in: bucket, bytes(5 << 20))
        try await client.abort(upload, in: bucket)
        #expect(try await client.uploads("aborted/", in: bucket) == [])
        #expect(try await client.list("aborted/", in: bucket) == S3Listing())
        try await client.abort(upload, in: bucket)
    }

    @Test("What must be new does not replace what is there")
    func conditional() async throws {
        #expect(try await client.put("new/a", in: bucket, bytes(10), isNew: true))
        #expect(try await client.put("new/a", in: bucket, bytes(10, seed: 2), isNew: true) == false)
        #expect(try await client.whole("new/a", in: bucket) == bytes(10))
    }

    @Test("A wrong secret, an unknown key, a missing permission are refused, by their names")
    func refusals() async throws {
        let wrong = S3Server.User(id: server.writer.id, secret: "wrong-secret-0123")
        let unknown = S3Server.User(id: "AKIANOBODY", secret: server.writer.secret)
        for (user, code, variable) in [
            (wrong, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            (unknown, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            (server.reader, "AccessDenied", "permission"),
        ] {
            let client = try S3Tests.client(of: server, as: user)
            let error = await #expect(throws: S3Error.self) {
                try await client.put("refused/a", in: bucket, bytes(1))
            }
            #expect(error?.refusal == "403 \(code)")
            let text = error?.description ?? ""
            #expect(text.contains(variable) && text.contains("s3://books/refused/a"), "\(text)")
            #expect(!text.contains(user.secret))
        }
        #expect(try await client.list("refused/", in: bucket) == S3Listing())
        let reader = try S3Tests.client(of: server, as: server.reader)
        #expect(try await reader.list("refused/", in: bucket) == S3Listing())
        // The answer to HEAD has no body, and so no reason but its status.
        await #expect(throws: S3Error.self) {
            try await S3Tests.client(of: server, as: wrong).head("refused/a", in: bucket)
        }
    }

    @Test("A missing object and a missing bucket are told apart")
    func missing() async throws {
        let object = await #expect(throws: S3Error.self) {
            try await client.whole("missing/a", in: bucket)
        }
        #expect(object?.isMissingObject == true)
        let place = await #expect(throws: S3Error.self) {
            try await client.whole("a", in: "no-such-bucket")
        }
        #expect(place?.isMissingObject == false)
        #expect(place?.description.contains("NoSuchBucket") == true)
    }
}
