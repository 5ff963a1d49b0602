import struct Crypto.SHA256
import DaybookLog
import DaybookSegments
import Foundation
import Glibc

/// Puts the log of a backup back into a ledger's folder.
///
/// The copy is fetched beside, every byte is held against the manifest, and its tree is made again;
/// only then it takes the log's place. What was there is moved aside, never removed. The snapshot
/// of the keys goes aside too: it is made anew from the log.
public struct LogRestore {
    /// What came of it.
    public struct Outcome: Sendable {
        /// The state that the log leads to now.
        public let head: TreeHead
        /// How many segments and events it has.
        public let segmentCount: Int
        /// How many events.
        public let eventCount: Int64
        /// Where the log went that was there before; nil if there was none.
        public let movedTo: String?
    }

    private let source: BackupSource
    private let dataFolder: String
    private let clock: () -> Microseconds

    /// A restore of `source`'s log into the ledger's folder.
    public init(
        _ source: BackupSource, into dataFolder: String, clock: @escaping () -> Microseconds
    ) {
        self.source = source
        self.dataFolder = dataFolder
        self.clock = clock
    }

    /// Does it; with `isDryRun` only fetches and verifies. No other process may have the ledger.
    /// Blocks.
    ///
    /// - Throws: `BackupError.refused` if the backup has no log or the log that is there goes
    ///   further, `.notProven` if the copy is not what the manifest says, `LogError.locked`.
    public func run(
        isDryRun: Bool = false, progress: (_ what: String, _ byteCount: UInt64) -> Void
    ) throws -> Outcome {
        guard let entry = source.manifest.log else {
            throw BackupError.refused(
                "\(source.name) was made without --with-log; `daybook ledger create "
                    + "--from-backup` begins a new ledger with its rows")
        }
        try storing { () throws(BackupStorageError) in try Folder.make(dataFolder) }
        let lock = try DirectoryLock(folder: dataFolder)
        defer { withExtendedLifetime(lock) {} }
        try refuseNewer(entry)
        let stage = dataFolder + "/log-restore.tmp"
        try storing { () throws(BackupStorageError) in try Folder.remove(stage) }
        defer { try? Folder.remove(stage) }
        try fetch(entry, into: stage, progress)
        let verification = try LogVerifier.run(folder: stage) { done, _ in progress("tree", done) }
        guard verification.isSound, let head = verification.head,
            head.position == entry.position, head.size == entry.treeSize,
            head.root.description == entry.root, head.ledger == source.head.ledger
        else {
            let problem = verification.problems.first.map { "\($0.segment): \($0.what)" }
            throw BackupError.notProven(
                source.name, problem ?? "its log leads to another tree than the manifest's")
        }
        let movedTo = isDryRun ? nil : try exchange(stage)
        return Outcome(
            head: head, segmentCount: verification.segmentCount,
            eventCount: verification.eventCount, movedTo: movedTo)
    }

    /// A log that goes further than the copy, and is sound, is not replaced by it.
    private func refuseNewer(_ entry: BackupManifest.LogEntry) throws {
        guard let present = try? LogReader.open(folder: dataFolder),
            present.damage.isEmpty, present.ledger == source.head.ledger,
            present.durable.position > entry.position
        else { return }
        throw BackupError.refused(
            "the log in \(dataFolder) goes on to position \(present.durable.position), the copy "
                + "ends at \(entry.position): move \(dataFolder)/log away first if it is the copy "
                + "that you want")
    }

    private func fetch(
        _ entry: BackupManifest.LogEntry, into stage: String,
        _ progress: (String, UInt64) -> Void
    ) throws {
        let folder = FolderStorage(path: stage)
        let writer = try storing { () throws(BackupStorageError) in try folder.begin("fetched") }
        do {
            for file in entry.files {
                let digest = try copy(file, to: writer, progress)
                guard digest.description == file.sha256 else {
                    throw BackupError.notProven(
                        source.name, "\(file.file) is not the file that the manifest describes")
                }
            }
            try writer.commit()
        } catch let error as BackupStorageError {
            writer.abandon()
            throw BackupError.storage(error)
        } catch {
            writer.abandon()
            throw error
        }
        try move("\(stage)/fetched/\(LogCopy.folder)", to: "\(stage)/log")
    }

    private func copy(
        _ file: BackupManifest.LogFile, to writer: any BackupFolderWriter,
        _ progress: (String, UInt64) -> Void
    ) throws -> Digest {
        let target = try writer.create(file.file)
        var hash = SHA256()
        var offset: UInt64 = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try source.storage.read(
                file.file, of: source.name, at: offset, into: buffer)
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(bufferPointer: piece)
            try target.write(piece)
            offset += UInt64(count)
            progress(file.file, offset)
            if count < buffer.count { break }
        }
        try target.finish()
        return hash.finalize().withUnsafeBytes { Digest($0) }
    }

    /// Moves what is there aside and the copy into its place; where the old log went.
    private func exchange(_ stage: String) throws -> String? {
        let suffix = ".before-" + BackupTime.name(clock())
        var movedTo: String?
        for name in ["log", "state"] {
            let path = "\(dataFolder)/\(name)"
            guard access(path, F_OK) == 0 else { continue }
            try move(path, to: path + suffix)
            if name == "log" { movedTo = path + suffix }
        }
        try move("\(stage)/log", to: "\(dataFolder)/log")
        try storing { () throws(BackupStorageError) in try Folder.sync(dataFolder) }
        return movedTo
    }

    private func move(_ path: String, to target: String) throws(BackupError) {
        guard rename(path, target) == 0 else {
            throw .storage(.system(call: "rename", path: path, code: errno))
        }
    }
}
