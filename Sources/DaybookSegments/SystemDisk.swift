import Glibc

/// The log's folder on a real file system.
///
/// Source: POSIX.1-2017; `fdatasync(2)` and `fsync(2)` of a folder as Linux has them. A call that a
/// signal interrupted is made again, but for a sync, which is never repeated.
public struct SystemDisk: LogDisk {
    private let folder: String

    /// The folder at `path`, made if it is not there. mkdir(2)
    public init(folder path: String) throws(DiskError) {
        folder = path
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw DiskError(call: "mkdir", file: path, code: errno)
        }
    }

    /// The folder at `path`, which is there.
    init(existingFolder path: String) {
        folder = path
    }

    /// readdir(3)
    public func names() throws(DiskError) -> [String] {
        guard let stream = opendir(folder) else {
            throw DiskError(call: "opendir", file: folder, code: errno)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        if errno != 0 { throw DiskError(call: "readdir", file: folder, code: errno) }
        return names
    }

    /// open(2)
    public func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            case .readWriteOrCreate: O_RDWR | O_CREAT
            }
        while true {
            let descriptor = Glibc.open(path(name), flags | O_CLOEXEC, 0o600)
            if descriptor >= 0 { return SystemFile(descriptor: descriptor, name: name) }
            if errno != EINTR { throw DiskError(call: "open", file: name, code: errno) }
        }
    }

    /// rename(2)
    public func rename(_ name: String, to newName: String) throws(DiskError) {
        if Glibc.rename(path(name), path(newName)) != 0 {
            throw DiskError(call: "rename", file: name, code: errno)
        }
    }

    /// unlink(2)
    public func remove(_ name: String) throws(DiskError) {
        if unlink(path(name)) != 0 { throw DiskError(call: "unlink", file: name, code: errno) }
    }

    /// fsync(2) of the folder
    public func syncFolder() throws(DiskError) {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw DiskError(call: "open", file: folder, code: errno) }
        defer { close(descriptor) }
        if fsync(descriptor) != 0 { throw DiskError(call: "fsync", file: folder, code: errno) }
    }

    private func path(_ name: String) -> String { folder + "/" + name }
}

/// An open file of a real file system; closed when nobody holds it.
final class SystemFile: DiskFile {
    private let descriptor: Int32
    private let name: String

    init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
    }

    deinit { close(descriptor) }

    /// fstat(2)
    func byteCount() throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("fstat") }
        return UInt64(status.st_size)
    }

    /// pread(2)
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        var done = 0
        while done < bytes.count {
            let count = pread(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done,
                off_t(offset) + done)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("pread")
            }
            done += count
        }
        return done
    }

    /// pwrite(2)
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
        while true {
            let count = pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
            if count > 0 { return count }
            if count == 0 { throw DiskError(call: "pwrite", file: name, code: ENOSPC) }
            if errno != EINTR { throw failure("pwrite") }
        }
    }

    /// fdatasync(2)
    func sync() throws(DiskError) {
        if fdatasync(descriptor) != 0 { throw failure("fdatasync") }
    }

    /// ftruncate(2)
    func truncate(to byteCount: UInt64) throws(DiskError) {
        while ftruncate(descriptor, off_t(byteCount)) != 0 {
            if errno != EINTR { throw failure("ftruncate") }
        }
    }

    /// posix_fadvise(2) with POSIX_FADV_DONTNEED
    func dropCache() {
        _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }

    private func failure(_ call: String) -> DiskError {
        DiskError(call: call, file: name, code: errno)
    }
}
