import Foundation
import S3
import TestSupport
import Testing

@testable import DaybookBackup

/// What holds for every storage of backups, shown on each.
@Suite struct StorageTests {
    enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case folder, bucket

        var testDescription: String { rawValue }
    }

    /// A storage of its own for a test, and what lasts as long.
    struct Place: Sendable {
        let storage: any BackupStorage
        let folder: TemporaryFolder

        init(storage: any BackupStorage, folder: TemporaryFolder) {
            self.storage = storage
            self.folder = folder
        }

        init(_ kind: Kind) throws {
            folder = try TemporaryFolder()
            switch kind {
            case .folder:
                storage = FolderStorage(path: folder.path("backups"))
            case .bucket:
                let server = try S3Server.shared()
                let configuration = try S3Configuration(
                    environment: server.environment(), prefix: "DAYBOOK_")
                storage = S3Storage(
                    try S3Location("s3://\(server.bucket)/storage/\(UUID())"),
                    client: try S3Client(configuration), partByteCount: 5 << 20)
            }
        }

        /// Writes a backup of a few files, and shows it.
        func make(_ backup: String, _ files: [String: [UInt8]]) throws {
            let writer = try storage.begin(backup)
            try fill(writer, files)
            try writer.commit()
        }

        func fill(_ writer: any BackupFolderWriter, _ files: [String: [UInt8]]) throws {
            var files = files
            let manifest = files.removeValue(forKey: "manifest.json") ?? Array("{}".utf8)
            for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
                try write(bytes, to: try writer.create(name), pieceByteCount: 1_000_000)
            }
            try write(manifest, to: try writer.create("manifest.json"), pieceByteCount: 7)
        }

        func write(
            _ bytes: [UInt8], to file: any BackupFileWriter, pieceByteCount: Int
        ) throws {
            var rest = bytes[...]
            while !rest.isEmpty {
                try rest.prefix(pieceByteCount).withUnsafeBytes { try file.write($0) }
                rest = rest.dropFirst(pieceByteCount)
            }
            try file.finish()
        }

        func read(
            _ file: String, of backup: String, pieceByteCount: Int = 1 << 20
        ) throws -> [UInt8] {
            var whole: [UInt8] = []
            var piece = [UInt8](repeating: 0, count: pieceByteCount)
            while true {
                let count = try piece.withUnsafeMutableBytes {
                    try storage.read(file, of: backup, at: UInt64(whole.count), into: $0)
                }
                whole += piece[..<count]
                if count < pieceByteCount { return whole }
            }
        }
    }

    static func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes += $0 }
        }
        return Array(bytes[..<count])
    }

    @Test("What another writes at the same time stays when one begins", arguments: Kind.allCases)
    func twoWriters(kind: Kind) throws {
        let place = try Place(kind)
        let first = try place.storage.begin("backup-1-20261125T140300Z")
        try place.write([1, 2, 3], to: try first.create("jobs.avro"), pieceByteCount: 3)
        let second = try place.storage.begin("backup-2-20261125T140300Z")
        try place.fill(second, ["jobs.avro": [4]])
        try second.commit()
        try place.fill(first, ["notes.avro": [5]])
        try first.commit()
        #expect(try place.storage.backups().count == 2)
        #expect(try place.read("jobs.avro", of: "backup-1-20261125T140300Z") == [1, 2, 3])
    }

    @Test("Nothing is there at first, and that is no error", arguments: Kind.allCases)
    func empty(kind: Kind) throws {
        let place = try Place(kind)
        #expect(try place.storage.backups() == [])
        #expect(try place.storage.files(of: "backup-1") == [])
        var buffer = [UInt8](repeating: 0, count: 10)
        let error = #expect(throws: BackupStorageError.self) {
            try buffer.withUnsafeMutableBytes {
                try place.storage.read("a", of: "backup-1", at: 0, into: $0)
            }
        }
        guard case .notFound = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("A backup comes back as it was written, in order of names", arguments: Kind.allCases)
    func roundTrip(kind: Kind) throws {
        let place = try Place(kind)
        // The second is more than two parts of a bucket's, the third exactly two.
        let files = [
            "a.avro": StorageTests.bytes(10), "b.avro": StorageTests.bytes(11 << 20 + 3),
            "c.avro": StorageTests.bytes(10 << 20), "empty.avro": [],
            "log/00.avro.lz4": StorageTests.bytes(100),
            "manifest.json": Array("{\"a\":1}".utf8),
        ]
        try place.make("backup-2", files)
        try place.make("backup-1", [:])
        #expect(try place.storage.backups() == ["backup-1", "backup-2"])
        let facts = try place.storage.files(of: "backup-2")
        #expect(facts.map(\.name) == files.keys.sorted())
        for fact in facts {
            let expected = files[fact.name] ?? []
            #expect(fact.byteCount == UInt64(expected.count))
            let isEqual = try place.read(fact.name, of: "backup-2") == expected
            #expect(isEqual, "\(fact.name)")
        }
    }

    @Test("A part of a file is read from anywhere, short only at its end", arguments: Kind.allCases)
    func parts(kind: Kind) throws {
        let place = try Place(kind)
        let content = StorageTests.bytes(9 << 20)
        try place.make("backup-1", ["a.avro": content])
        func read(_ offset: Int, _ count: Int) throws -> [UInt8] {
            var buffer = [UInt8](repeating: 0, count: count)
            let read = try buffer.withUnsafeMutableBytes {
                try place.storage.read("a.avro", of: "backup-1", at: UInt64(offset), into: $0)
            }
            return Array(buffer[..<read])
        }
        let end = content.count
        for (offset, count) in [
            (0, 1), (100, 10), (8 << 20 - 5, 10), (1, end), (5, 9), (end - 3, 3), (end - 3, 4),
            (end, 1), (end + 100, 10), (0, 0), (0, end + 1), (3, 8 << 20),
        ] {
            let expected = content[min(offset, end)..<min(offset + count, end)]
            let isEqual = try read(offset, count) == Array(expected)
            #expect(isEqual, "\(count) bytes from \(offset)")
        }
    }

    @Test("Several threads read at a time, the same file and others", arguments: Kind.allCases)
    func threads(kind: Kind) async throws {
        let place = try Place(kind)
        let files = Dictionary(
            uniqueKeysWithValues: (0..<3).map {
                ("\($0).avro", StorageTests.bytes(3_000_000, seed: UInt64($0)))
            })
        try place.make("backup-1", files)
        let isEqual = await withTaskGroup(of: Bool.self) { group in
            for number in 0..<9 {
                group.addTask {
                    let name = "\(number % 3).avro"
                    let read = try? place.read(
                        name, of: "backup-1", pieceByteCount: 100_000 + number * 50_000)
                    return read == files[name]
                }
            }
            return await group.allSatisfy { $0 }
        }
        #expect(isEqual)
    }

    @Test("A name is taken once", arguments: Kind.allCases)
    func exists(kind: Kind) throws {
        let place = try Place(kind)
        try place.make("backup-1", ["a": [1]])
        #expect(throws: BackupStorageError.exists("backup-1")) {
            _ = try place.storage.begin("backup-1")
        }
        #expect(try place.read("a", of: "backup-1") == [1])
    }

    @Test("Nothing is visible before the commit, nor after a crash", arguments: Kind.allCases)
    func crash(kind: Kind) throws {
        let place = try Place(kind)
        do {
            // Dropped without a word, as by a crash, with a file half written.
            let writer = try place.storage.begin("backup-1")
            try place.fill(writer, ["a.avro": [1, 2], "log/0": [3]])
            let file = try writer.create("late.avro")
            try StorageTests.bytes(6 << 20).withUnsafeBytes { try file.write($0) }
            #expect(try place.storage.backups() == [])
            #expect(try place.storage.files(of: "backup-1") == [])
        }
        #expect(try place.storage.backups() == [])
        #expect(try place.storage.files(of: "backup-1") == [])
        // The name is free, and nothing of the old comes into the new.
        try place.make("backup-1", ["b.avro": [4]])
        #expect(try place.storage.backups() == ["backup-1"])
        let names = try place.storage.files(of: "backup-1").map(\.name)
        #expect(names == ["b.avro", "manifest.json"])
    }

    @Test("What is abandoned leaves nothing", arguments: Kind.allCases)
    func abandon(kind: Kind) async throws {
        let place = try Place(kind)
        try place.make("backup-0", ["a": [1]])
        let writer = try place.storage.begin("backup-1")
        try place.fill(writer, ["a.avro": StorageTests.bytes(11 << 20), "log/0": [3]])
        let file = try writer.create("late.avro")
        try StorageTests.bytes(6 << 20).withUnsafeBytes { try file.write($0) }
        writer.abandon()
        #expect(try place.storage.backups() == ["backup-0"])
        #expect(
            try await StorageTests.leftovers(place) == ["backup-0/a", "backup-0/manifest.json"])
    }

    @Test("What is removed is gone, and removing again says so", arguments: Kind.allCases)
    func remove(kind: Kind) async throws {
        let place = try Place(kind)
        try place.make("backup-1", ["a": [1], "log/0": [2]])
        try place.make("backup-10", ["a": [1]])
        #expect(try place.read("a", of: "backup-1") == [1])
        try place.storage.remove("backup-1")
        #expect(try place.storage.backups() == ["backup-10"])
        let left = try await StorageTests.leftovers(place)
        #expect(left == ["backup-10/a", "backup-10/manifest.json"])
        let error = #expect(throws: BackupStorageError.self) {
            try place.storage.remove("backup-1")
        }
        guard case .notFound = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        try place.make("backup-1", ["a": [9]])
        #expect(try place.read("a", of: "backup-1") == [9], "not what was read before")
    }

    @Test("A file of this machine is taken in, up to a given byte", arguments: Kind.allCases)
    func take(kind: Kind) throws {
        let place = try Place(kind)
        let content = StorageTests.bytes(12 << 20)
        let path = place.folder.path("segment")
        try Data(content).write(to: URL(fileURLWithPath: path))
        let writer = try place.storage.begin("backup-1")
        try writer.take(path, byteCount: UInt64(content.count), as: "log/whole")
        try writer.take(path, byteCount: 11_000_000, as: "log/part")
        try writer.take(path, byteCount: 0, as: "log/nothing")
        #expect(throws: BackupStorageError.self) {
            try writer.take(path, byteCount: UInt64(content.count) + 1, as: "log/more")
        }
        #expect(throws: BackupStorageError.self) {
            try writer.take(path + "-absent", byteCount: 1, as: "log/absent")
        }
        try place.write([1], to: writer.create("manifest.json"), pieceByteCount: 1)
        try writer.commit()
        let isWhole = try place.read("log/whole", of: "backup-1") == content
        let isPart = try place.read("log/part", of: "backup-1") == Array(content[..<11_000_000])
        #expect(isWhole && isPart)
        #expect(try place.read("log/nothing", of: "backup-1") == [])
    }

    @Test("Names that lead elsewhere are no names", arguments: Kind.allCases)
    func names(kind: Kind) throws {
        let place = try Place(kind)
        for name in ["", ".", "..", "a/b", "../a"] {
            #expect(throws: BackupStorageError.self) { _ = try place.storage.begin(name) }
            #expect(throws: BackupStorageError.self) { try place.storage.remove(name) }
            #expect(throws: BackupStorageError.self) { try place.storage.files(of: name) }
        }
    }

    /// Every file under the storage, visible or not; for a bucket, uploads too.
    static func leftovers(_ place: Place) async throws -> [String] {
        guard place.storage is S3Storage else {
            let found = FileManager.default.enumerator(atPath: place.storage.name)
            return (found?.allObjects as? [String] ?? []).filter {
                var isFolder: ObjCBool = false
                let path = "\(place.storage.name)/\($0)"
                return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
                    && !isFolder.boolValue
            }.sorted()
        }
        let client = try S3Client(
            S3Configuration(environment: S3Server.shared().environment(), prefix: "DAYBOOK_"))
        let location = try S3Location(place.storage.name)
        let prefix = location.key + "/"
        let objects = try await client.list(prefix, in: location.bucket).objects.map(\.key)
        let uploads = try await client.uploads(prefix, in: location.bucket).map(\.key)
        return (objects + uploads.map { "upload of \($0)" })
            .map { $0.replacing(prefix, with: "") }.sorted()
    }
}
