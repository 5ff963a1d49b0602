import struct Crypto.SHA256
import DaybookLog
import DaybookSegments
import Foundation

/// Copies a log, as far as it is durable, into a backup: sealed segments by a link where that is
/// possible, the tail's bytes, and a head file that says how far that is.
struct LogCopy {
    /// The folder of the copy within the backup.
    static let folder = "log"
    /// How long a server's log may take to show what its Postgres has already.
    private static let patienceSeconds = 10.0

    private let dataFolder: String

    init(of dataFolder: String) {
        self.dataFolder = dataFolder
    }

    func run(
        into folder: any BackupFolderWriter, reaching head: TreeHead,
        progress: (String) throws -> Void
    ) throws -> BackupManifest.LogEntry {
        let log = try reader(reaching: head, progress)
        var files: [BackupManifest.LogFile] = []
        for file in try log.durableFiles() {
            try progress(file.name)
            let path = "\(dataFolder)/log/\(file.name)"
            let name = "\(LogCopy.folder)/\(file.name)"
            try folder.take(path, byteCount: file.byteCount, as: name)
            files.append(
                BackupManifest.LogFile(
                    file: name, bytes: file.byteCount,
                    sha256: try LogCopy.digest(of: path, byteCount: file.byteCount) {
                        try progress(file.name)
                    }.description))
        }
        let bytes = log.headFileBytes
        let name = "\(LogCopy.folder)/\(LogReader.headFileName)"
        let writer = try folder.create(name)
        try bytes.withUnsafeBytes { try writer.write($0) }
        try writer.finish()
        files.append(
            BackupManifest.LogFile(
                file: name, bytes: UInt64(bytes.count),
                sha256: bytes.withUnsafeBytes { Digest(of: $0) }.description))
        let end = log.durable
        return BackupManifest.LogEntry(
            position: end.position, treeSize: end.size, root: end.root.description, files: files)
    }

    private func reader(
        reaching head: TreeHead, _ progress: (String) throws -> Void
    ) throws -> LogReader {
        let deadline = ContinuousClock.now + .seconds(LogCopy.patienceSeconds)
        while true {
            let log = try LogReader.open(folder: dataFolder)
            if log.durable.position >= head.position { return log }
            guard ContinuousClock.now < deadline else {
                throw BackupError.contradiction(
                    "the tables are at position \(head.position), the log ends at "
                        + "\(log.durable.position)")
            }
            try progress(LogReader.headFileName)
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    /// SHA-256 of a file's first bytes.
    private static func digest(
        of path: String, byteCount: UInt64, progress: () throws -> Void
    ) throws -> Digest {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        var hash = SHA256()
        var left = byteCount
        while left > 0 {
            guard let data = try file.read(upToCount: Int(min(left, 1 << 20))), !data.isEmpty
            else { throw BackupError.refused("\(path) has become shorter while it was read") }
            hash.update(data: data)
            left -= UInt64(data.count)
            try progress()
        }
        return hash.finalize().withUnsafeBytes { Digest($0) }
    }
}
