import Foundation

/// A file that has no name: nobody else can open it, and it is gone with the process, however
/// that ends.
final class PrivateFile: Sendable {
    private let descriptor: Int32

    /// Makes one (0600) where temporary files go: `TMPDIR`, else the ledger's own folder if it is
    /// there, else the system's. (`mkstemp`, `unlink`)
    init(dataFolder: String) throws(CommandFailure) {
        let folder = PrivateFile.folder(dataFolder)
        var template = Array("\(folder)/daybook-import-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else {
            throw CommandFailure(
                .failed, "no file can be made in \(folder): \(String(cString: strerror(errno)))")
        }
        unlink(template)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }

    deinit { close(descriptor) }

    /// A path for this process alone. Who opens it reads from the front. (proc(5))
    var path: String { "/proc/self/fd/\(descriptor)" }

    /// Appends bytes.
    func write(_ bytes: UnsafeRawBufferPointer) throws(CommandFailure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest)
            let count = Foundation.write(descriptor, piece.baseAddress, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                throw CommandFailure(
                    .failed,
                    "what is fetched cannot be kept: \(String(cString: strerror(errno))); "
                        + "name a folder with more room in TMPDIR")
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Empties it.
    func clear() {
        ftruncate(descriptor, 0)
        lseek(descriptor, 0, SEEK_SET)
    }

    private static func folder(_ dataFolder: String) -> String {
        let given = ProcessInfo.processInfo.environment["TMPDIR"] ?? ""
        if !given.isEmpty { return given }
        return access(dataFolder, W_OK) == 0 ? dataFolder : "/tmp"
    }
}
