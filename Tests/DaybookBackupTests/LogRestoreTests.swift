import Crypto
import DaybookBackup
import DaybookLog
import DaybookSegments
import Foundation
import TestSupport
import Testing

@testable import LedgerWorld

/// A log that is put back is the one that the manifest describes, and takes the place of none that
/// goes further.
@Suite struct LogRestoreTests {
    /// A log of two segments, and a backup with a copy of it.
    private func world() async throws -> (World, BackupSource) {
        let first = try await World([World.jobs])
        for _ in 0..<5 { try first.appendJobs(100) }
        let world = try first.adopting([World.jobs, World.notes])
        for _ in 0..<5 { try world.appendJobs(100) }
        await world.projectAll()
        let source = try world.backUp { $0.logFolder = world.folder.path("data") }
        return (world, source)
    }

    private func restore(_ source: BackupSource, into folder: String) throws -> TreeHead {
        try LogRestore(source, into: folder, clock: { 1_600_000_000_000_000 })
            .run { _, _ in }.head
    }

    private func refusal(_ source: BackupSource, into folder: String) -> BackupError? {
        #expect(throws: BackupError.self) { _ = try restore(source, into: folder) }
    }

    /// Changes the bytes of a file of the backup. It is written anew: it may be the log's own.
    private func change(
        _ file: String, of source: BackupSource, _ body: (inout Data) -> Void
    ) throws {
        let path = URL(fileURLWithPath: "\(source.storage.name)/\(source.name)/\(file)")
        var bytes = try Data(contentsOf: path)
        body(&bytes)
        try bytes.write(to: path, options: .atomic)
    }

    @Test("The copy leads to the same tree, and what was there is moved aside")
    func whole() async throws {
        let (world, source) = try await world()
        let folder = world.folder.path("back")
        #expect(try restore(source, into: folder) == world.log.durable)
        #expect(try LogReader.open(folder: folder).durable == world.log.durable)
        #expect(try restore(source, into: folder) == world.log.durable)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(names.contains("log") && names.contains { $0.hasPrefix("log.before-") })
        #expect(!names.contains("log-restore.tmp"))
    }

    @Test("A log that is in use is not replaced, nor one that goes further")
    func present() async throws {
        let (world, source) = try await world()
        let data = world.folder.path("data")
        #expect(throws: LogError.self) { _ = try restore(source, into: data) }
        try world.appendJobs(1)
        let further = world.folder.path("further")
        try FileManager.default.copyItem(atPath: data, toPath: further)
        let refused = refusal(source, into: further)
        #expect(refused?.description.contains("goes on to position 1001") == true)
        #expect(try LogReader.open(folder: further).durable == world.log.durable)
    }

    @Test("A copy whose bytes are not the manifest's is not put back")
    func otherBytes() async throws {
        let (world, source) = try await world()
        let file = try #require(source.manifest.log?.files.first?.file)
        try change(file, of: source) { $0[$0.count / 2] ^= 1 }
        let folder = world.folder.path("back")
        let error = refusal(source, into: folder)
        #expect(error?.description.contains("not the file that the manifest describes") == true)
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/log"))
    }

    @Test("A copy that is damaged is not put back, though the manifest was made to match")
    func damaged() async throws {
        let (world, made) = try await world()
        let entry = try #require(made.manifest.log?.files.first)
        var digest = ""
        try change(entry.file, of: made) { bytes in
            bytes[bytes.count / 2] ^= 1
            digest = SHA256.hash(data: bytes).map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
        }
        try change("manifest.json", of: made) { bytes in
            bytes = Data(
                String(decoding: bytes, as: UTF8.self).replacing(entry.sha256, with: digest).utf8)
        }
        let source = try BackupSource(made.name, in: made.storage)
        let folder = world.folder.path("back")
        guard case .notProven = refusal(source, into: folder) else {
            Issue.record("it was refused for something else")
            return
        }
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/log"))
    }

    @Test("A sound copy that leads to another tree than the manifest's is not put back")
    func otherTree() async throws {
        let (world, made) = try await world()
        let root = try #require(made.manifest.log?.root)
        try change("manifest.json", of: made) { bytes in
            let zeros = String(repeating: "0", count: 64)
            bytes = Data(
                String(decoding: bytes, as: UTF8.self).replacing(root, with: zeros).utf8)
        }
        let source = try BackupSource(made.name, in: made.storage)
        let folder = world.folder.path("back")
        let error = refusal(source, into: folder)
        #expect(error?.description.contains("another tree") == true, "\(String(describing: error))")
        #expect(!FileManager.default.fileExists(atPath: "\(folder)/log"))
    }
}
