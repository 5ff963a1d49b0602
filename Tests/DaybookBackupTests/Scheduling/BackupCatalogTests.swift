import Foundation
import TestSupport
import Testing

@testable import DaybookBackup

@Suite("The backups of a place") struct BackupCatalogTests {
    /// A place that names a backup which is gone when it is read.
    private struct Vanishing: BackupStorage {
        let name = "vanishing"

        func backups() -> [String] { ["damaged", "gone"] }
        func files(of backup: String) -> [BackupFileFacts] { [] }
        func read(
            _ file: String, of backup: String, at offset: UInt64,
            into buffer: UnsafeMutableRawBufferPointer
        ) throws(BackupStorageError) -> Int {
            if backup == "gone" { throw .notFound(file) }
            buffer[0] = UInt8(ascii: "{")
            return 1
        }
        func begin(_ backup: String) throws(BackupStorageError) -> any BackupFolderWriter {
            throw .exists(backup)
        }
        func clearRemains() -> Int { 0 }
        func remove(_ backup: String) {}
    }

    @Test("One that is taken away meanwhile is not listed as one that cannot be read")
    func vanishing() throws {
        let found = try BackupCatalog.manifests(in: Vanishing())
        #expect(found.map(\.name) == ["damaged"] && found.allSatisfy { $0.manifest == nil })
    }
}
