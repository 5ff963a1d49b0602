import Foundation
import S3
import TestSupport
import Testing

@testable import DaybookBackup

/// What holds for a bucket only: order of requests, faults on the way, keys that do not suffice.
@Suite struct BucketTests {
    private func storage(
        _ prefix: String = "bucket/\(UUID())", before proxy: FaultyProxy? = nil,
        as user: S3Server.User? = nil
    ) throws -> S3Storage {
        let server = try S3Server.shared()
        var configuration = try S3Configuration(
            environment: server.environment(as: user, url: proxy?.url), prefix: "DAYBOOK_")
        configuration.patience.firstPause = .milliseconds(5)
        configuration.patience.tryCountMax = 4
        return S3Storage(
            try S3Location("s3://\(server.bucket)/\(prefix)"), client: try S3Client(configuration),
            partByteCount: 5 << 20)
    }

    private func put(_ bytes: [UInt8], as name: String, _ writer: any BackupFolderWriter) throws {
        let file = try writer.create(name)
        try bytes.withUnsafeBytes { try file.write($0) }
        try file.finish()
    }

    @Test("The manifest is the last that is put, and the first that is deleted")
    func order() throws {
        let proxy = try FaultyProxy(before: S3Server.shared().port, [])
        defer { proxy.close() }
        let storage = try storage(before: proxy)
        let writer = try storage.begin("backup-1")
        try put([1], as: "manifest.json", writer)
        try put([2], as: "a.avro", writer)
        try put([2], as: "b.avro", writer)
        try writer.commit()
        let puts = proxy.requests.filter { $0.hasPrefix("PUT") }
        #expect(puts.count == 3 && puts.last?.contains("/manifest.json ") == true, "\(puts)")
        try storage.remove("backup-1")
        let deletions = proxy.requests.filter { $0.hasPrefix("DELETE") || $0.contains("?delete=") }
        #expect(deletions.count == 2 && deletions[0].contains("/manifest.json "), "\(deletions)")
    }

    @Test("A storage that is busy or loses connections is written to and read all the same")
    func faults() throws {
        let proxy = try FaultyProxy(
            before: S3Server.shared().port,
            [
                .init(.answer(status: 503, body: ""), count: 2, where: "GET"),
                .init(.answerLost, where: "?uploads="), .init(.lost, where: "partNumber=2"),
                .init(.answerLost, where: "partNumber=3"),
                .init(.answerLost, where: "POST /books/bucket/faults/backup-1/a.avro?uploadId="),
                .init(.answerLost, where: "PUT /books/bucket/faults/backup-1/manifest.json"),
                .init(.answerCut(byteCount: 1_000_000), where: "range: bytes="),
            ])
        defer { proxy.close() }
        let storage = try storage("bucket/faults", before: proxy)
        let content = StorageTests.bytes(11 << 20)
        let writer = try storage.begin("backup-1")
        try put(content, as: "a.avro", writer)
        try put([1], as: "manifest.json", writer)
        try writer.commit()
        #expect(try storage.backups() == ["backup-1"])
        var buffer = [UInt8](repeating: 0, count: content.count)
        let count = try buffer.withUnsafeMutableBytes {
            try storage.read("a.avro", of: "backup-1", at: 0, into: $0)
        }
        let isEqual = count == content.count && buffer == content
        #expect(isEqual)
    }

    @Test("A part that cannot be sent fails the file, and abandoning leaves nothing")
    func failure() async throws {
        let proxy = try FaultyProxy(
            before: S3Server.shared().port,
            [.init(.answer(status: 503, body: ""), count: 100, where: "partNumber=2")])
        defer { proxy.close() }
        let prefix = "bucket/\(UUID())"
        let writer = try storage(prefix, before: proxy).begin("backup-1")
        #expect(throws: BackupStorageError.self) {
            try put(StorageTests.bytes(11 << 20), as: "a.avro", writer)
        }
        writer.abandon()
        let folder = try TemporaryFolder()
        let place = StorageTests.Place(storage: try storage(prefix), folder: folder)
        #expect(try await StorageTests.leftovers(place) == [])
    }

    @Test("Of two that write the same name, the one that commits first is kept")
    func race() throws {
        let storage = try storage()
        let first = try storage.begin("backup-1")
        let second = try storage.begin("backup-1")
        try put([1], as: "a", first)
        try put([1], as: "manifest.json", first)
        try put([2], as: "manifest.json", second)
        try first.commit()
        #expect(throws: BackupStorageError.exists("backup-1")) { try second.commit() }
        second.abandon()
        #expect(try storage.files(of: "backup-1").map(\.name) == ["a", "manifest.json"])
    }

    @Test("A wrong secret and a missing permission are told at the beginning")
    func keys() throws {
        let server = try S3Server.shared()
        let wrong = S3Server.User(id: server.writer.id, secret: "wrong-secret")
        for (user, expected) in [(wrong, "AWS_SECRET_ACCESS_KEY"), (server.reader, "permission")] {
            let error = #expect(throws: BackupStorageError.self) {
                let writer = try storage(as: user).begin("backup-1")
                try put([1], as: "a", writer)
            }
            guard case .remote(let text) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(text.contains(expected) && !text.contains(user.secret), "\(text)")
        }
        #expect(throws: BackupStorageError.self) { try storage(as: wrong).backups() }
        #expect(try storage(as: server.reader).backups() == [])
    }

    @Test("Reading a file in small pieces fetches it in large ones")
    func readAhead() throws {
        let prefix = "bucket/\(UUID())"
        let writer = try storage(prefix).begin("backup-1")
        try put(StorageTests.bytes(9 << 20), as: "a", writer)
        try put([1], as: "manifest.json", writer)
        try writer.commit()
        let proxy = try FaultyProxy(before: S3Server.shared().port, [])
        defer { proxy.close() }
        let place = StorageTests.Place(
            storage: try storage(prefix, before: proxy), folder: try TemporaryFolder())
        let isEqual =
            try place.read("a", of: "backup-1", pieceByteCount: 100_000)
            == StorageTests.bytes(9 << 20)
        #expect(isEqual)
        #expect(proxy.requests.count == 2, "\(proxy.requests.count) requests")
    }

    @Test("A target is a folder or a bucket, and anything else says what would be right")
    func targets() throws {
        let environment = ConfigurationSamples.environment
        let folder = try BackupTarget.storage("some/folder:x", environment: [:])
        #expect(folder is FolderStorage && folder.name == "some/folder:x")
        let bucket = try BackupTarget.storage("s3://books/a/b/", environment: environment)
        #expect(bucket is S3Storage && bucket.name == "s3://books/a/b")
        for (target, environment, expected) in [
            ("", environment, "folder"), ("gs://books", environment, "gs://"),
            ("https://books.example/a?X-Amz-Signature=hidden", environment, "https://"),
            ("file:///a", environment, "file://"), ("s3://B/a", environment, "bucket"),
            ("s3://key:hidden@books/a", environment, "AWS_SECRET_ACCESS_KEY"),
            ("s3://books/a", [:], "AWS_ACCESS_KEY_ID"),
        ] {
            let error = #expect(throws: BackupStorageError.self) {
                try BackupTarget.storage(target, environment: environment)
            }
            guard case .target(let text) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(text.contains(expected) && !text.contains("hidden"), "\(text)")
        }
    }
}

/// An environment that names a bucket's key.
enum ConfigurationSamples {
    static let environment = [
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_REGION": "us-east-1",
    ]
}
