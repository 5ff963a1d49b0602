import DaybookLog
import Glibc

/// The right to write a data directory, held by one process at a time.
///
/// An advisory lock (`flock(2)`) on the file `lock`: the system lets go when the process ends,
/// however it ends, so a lock is never stale. The file's text names the holder, for people.
public final class DirectoryLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock of `folder`, which is made if it is not there.
    ///
    /// - Throws: `LogError.locked(by:)` with the holder's own words if another process has it.
    public init(folder: String) throws(LogError) {
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw .system(call: "mkdir", file: folder, code: errno)
        }
        let path = folder + "/lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", file: path, code: errno) }
        if flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            let holder = DirectoryLock.text(descriptor)
            close(descriptor)
            guard code == EWOULDBLOCK else {
                throw .system(call: "flock", file: path, code: code)
            }
            throw .locked(by: holder)
        }
        let text = "process \(getpid())"
        _ = ftruncate(descriptor, 0)
        _ = text.withCString { pwrite(descriptor, $0, strlen($0), 0) }
    }

    deinit { close(descriptor) }

    /// Whether some process holds the lock of `folder` now.
    public static func isHeld(folder: String) -> Bool {
        let descriptor = open(folder + "/lock", O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return flock(descriptor, LOCK_EX | LOCK_NB) != 0
    }

    private static func text(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = pread(descriptor, &bytes, bytes.count, 0)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }
}
