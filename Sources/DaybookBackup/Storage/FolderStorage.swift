import Glibc

/// Backups in a folder of this machine, each a folder of its own.
///
/// A backup is written under a name that ends with `.tmp`, synced file by file and folder by
/// folder, and then renamed. Its writer holds a lock on that folder, which ends with the process:
/// what nobody holds is left from a crash, and taken away by `clearRemains` and the next `begin`.
public struct FolderStorage: BackupStorage {
    /// The folder's path.
    public let name: String

    static let temporarySuffix = ".tmp"
    static let manifest = "manifest.json"

    /// Backups in the folder at `path`, which is made when the first one is written.
    public init(path: String) {
        precondition(!path.isEmpty, "a folder has a path")
        name = path
    }

    /// Folders with a manifest. (`readdir`)
    public func backups() throws(BackupStorageError) -> [String] {
        guard access(name, F_OK) == 0 else { return [] }
        return try Folder.names(name).filter { backup in
            !backup.hasSuffix(FolderStorage.temporarySuffix)
                && access("\(name)/\(backup)/\(FolderStorage.manifest)", F_OK) == 0
        }.sorted()
    }

    /// Files of the folder and of those in it. (`readdir`, `stat`)
    public func files(of backup: String) throws(BackupStorageError) -> [BackupFileFacts] {
        let path = try path(backup)
        guard access(path, F_OK) == 0 else { return [] }
        var files: [BackupFileFacts] = []
        for entry in try Folder.names(path) {
            if try Folder.isFolder("\(path)/\(entry)") {
                for inner in try Folder.names("\(path)/\(entry)") {
                    files.append(try facts("\(entry)/\(inner)", in: path))
                }
            } else {
                files.append(try facts(entry, in: path))
            }
        }
        return files.sorted { $0.name < $1.name }
    }

    private func facts(
        _ file: String, in path: String
    ) throws(BackupStorageError) -> BackupFileFacts {
        BackupFileFacts(name: file, byteCount: try Folder.byteCount("\(path)/\(file)"))
    }

    /// Reads by `pread`, until the buffer is full or the file ends.
    public func read(
        _ file: String, of backup: String, at offset: UInt64,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(BackupStorageError) -> Int {
        let path = try path(backup) + "/" + file
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw .notFound("\(path) is not there") }
            throw .system(call: "open", path: path, code: errno)
        }
        defer { close(descriptor) }
        var count = 0
        while count < buffer.count {
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            let read = pread(
                descriptor, room.baseAddress, room.count, off_t(offset) + off_t(count))
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw .system(call: "pread", path: path, code: errno) }
            if read == 0 { break }
            count += read
        }
        return count
    }

    /// Takes away what crashes left, then makes the folder under its temporary name.
    public func begin(_ backup: String) throws(BackupStorageError) -> any BackupFolderWriter {
        let path = try path(backup)
        guard access(path, F_OK) != 0 else { throw .exists(backup) }
        try Folder.make(name)
        _ = try clearRemains()
        return try FolderWriter(final: path, parent: name)
    }

    /// Temporary folders of backups that nobody writes. (`flock`)
    public func clearRemains() throws(BackupStorageError) -> Int {
        guard access(name, F_OK) == 0 else { return 0 }
        var count = 0
        for entry in try Folder.names(name)
        where entry.hasPrefix("backup-") && entry.hasSuffix(FolderStorage.temporarySuffix) {
            let path = "\(name)/\(entry)"
            guard try Folder.isFolder(path),
                let descriptor = try Folder.openLocked(path, waits: false)
            else { continue }
            defer { close(descriptor) }
            try Folder.remove(path)
            count += 1
        }
        return count
    }

    /// Renames the folder, so that nobody sees a part of it, and removes it.
    public func remove(_ backup: String) throws(BackupStorageError) {
        let path = try path(backup)
        let doomed = path + FolderStorage.temporarySuffix
        try Folder.remove(doomed)
        guard rename(path, doomed) == 0 else {
            if errno == ENOENT { throw .notFound("\(path) is not there") }
            throw .system(call: "rename", path: path, code: errno)
        }
        try Folder.sync(name)
        try Folder.remove(doomed)
    }

    private func path(_ backup: String) throws(BackupStorageError) -> String {
        guard !backup.isEmpty, !backup.contains("/"), backup != ".", backup != ".." else {
            throw .notFound("\(backup) is no name of a backup")
        }
        return name + "/" + backup
    }
}

/// A backup's folder under its temporary name.
private final class FolderWriter: BackupFolderWriter {
    private let final: String
    private let parent: String
    private let temporary: String
    /// Holds the lock that says that somebody writes here.
    private let descriptor: Int32
    private var folders: Set<String> = []

    init(final: String, parent: String) throws(BackupStorageError) {
        self.final = final
        self.parent = parent
        temporary = final + FolderStorage.temporarySuffix
        try Folder.remove(temporary)
        descriptor = try FolderWriter.makeLocked(temporary)
    }

    deinit { close(descriptor) }

    /// Between the two calls somebody who clears up may take the folder for a remain.
    private static func makeLocked(_ path: String) throws(BackupStorageError) -> Int32 {
        while true {
            guard mkdir(path, 0o700) == 0 else {
                throw .system(call: "mkdir", path: path, code: errno)
            }
            if let descriptor = try Folder.openLocked(path, waits: true) { return descriptor }
        }
    }

    func create(_ file: String) throws(BackupStorageError) -> any BackupFileWriter {
        try FolderFileWriter(path: try prepare(file))
    }

    func take(
        _ path: String, byteCount: UInt64, as file: String
    ) throws(BackupStorageError) {
        let target = try prepare(file)
        // A link has all bytes that the file will ever have, so only a file that is done is linked.
        if try Folder.byteCount(path) == byteCount, link(path, target) == 0 { return }
        let writer = try FolderFileWriter(path: target)
        let source = open(path, O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw .system(call: "open", path: path, code: errno) }
        defer { close(source) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var left = byteCount
        while left > 0 {
            let count = Glibc.read(source, buffer.baseAddress, min(buffer.count, Int(left)))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw .system(call: "read", path: path, code: count < 0 ? errno : EIO)
            }
            try writer.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            left -= UInt64(count)
        }
        try writer.finish()
    }

    private func prepare(_ file: String) throws(BackupStorageError) -> String {
        let parts = file.split(separator: "/")
        precondition(
            (1...2).contains(parts.count) && !parts.contains(".."),
            "a file stands in the backup or in a folder of it")
        if parts.count == 2, folders.insert(String(parts[0])).inserted {
            try Folder.make("\(temporary)/\(parts[0])")
        }
        return temporary + "/" + file
    }

    func commit() throws(BackupStorageError) {
        for folder in folders { try Folder.sync("\(temporary)/\(folder)") }
        try Folder.sync(temporary)
        guard rename(temporary, final) == 0 else {
            throw .system(call: "rename", path: final, code: errno)
        }
        try Folder.sync(parent)
    }

    func abandon() { try? Folder.remove(temporary) }
}

/// A file under way; its bytes are synced when it is finished.
private final class FolderFileWriter: BackupFileWriter {
    private let path: String
    private let descriptor: Int32
    private var isOpen = true

    init(path: String) throws(BackupStorageError) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: path, code: errno) }
    }

    deinit { if isOpen { close(descriptor) } }

    func write(_ bytes: UnsafeRawBufferPointer) throws(BackupStorageError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Glibc.write(descriptor, piece.baseAddress, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .system(call: "write", path: path, code: errno) }
            rest = rest.dropFirst(count)
        }
    }

    func finish() throws(BackupStorageError) {
        precondition(isOpen, "a file is finished once")
        guard fsync(descriptor) == 0 else {
            throw .system(call: "fsync", path: path, code: errno)
        }
        isOpen = false
        guard close(descriptor) == 0 else {
            throw .system(call: "close", path: path, code: errno)
        }
    }
}
