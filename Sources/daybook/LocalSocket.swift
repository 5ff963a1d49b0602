import DaybookLog
import Foundation

/// Where a ledger's server listens for the command line.
///
/// `data/daybook.sock`; where that path is longer than a socket's may be, a file in the user's
/// runtime folder, whose path stands in `data/daybook.sock.path`.
struct LocalSocket {
    /// What fits `sockaddr_un.sun_path` with its final zero.
    private static let pathByteCountMax = 107

    let dataFolder: String

    private var nearPath: String { dataFolder + "/daybook.sock" }
    private var pathFile: String { dataFolder + "/daybook.sock.path" }

    /// The path to connect to; nil if no server has said one.
    var path: String? {
        if FileManager.default.fileExists(atPath: nearPath) { return nearPath }
        return try? String(contentsOfFile: pathFile, encoding: .utf8)
    }

    /// Chooses the path to listen on and keeps it for others; called by whoever has the lock.
    func prepare() throws(CommandFailure) -> String {
        try? FileManager.default.removeItem(atPath: nearPath)
        try? FileManager.default.removeItem(atPath: pathFile)
        if nearPath.utf8.count <= LocalSocket.pathByteCountMax { return nearPath }
        var folder = dataFolder
        let name = folder.withUTF8 { Digest(of: UnsafeRawBufferPointer($0)) }.description.prefix(16)
        let far = try runtimeFolder() + "/\(name).sock"
        do {
            try far.write(toFile: pathFile, atomically: true, encoding: .utf8)
        } catch {
            throw CommandFailure(.failed, "\(pathFile): \(error.localizedDescription)")
        }
        return far
    }

    /// Takes the socket away at a clean stop.
    func remove() {
        if let path { unlink(path) }
        unlink(pathFile)
    }

    /// Whether a server answers there.
    var isAnswering: Bool {
        guard let path, path.utf8.count <= LocalSocket.pathByteCountMax else { return false }
        let handle = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard handle >= 0 else { return false }
        defer { close(handle) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(handle, $0, size) == 0
            }
        }
    }

    /// A folder (0700) of the user's own with a short path.
    private func runtimeFolder() throws(CommandFailure) -> String {
        let given = ProcessInfo.processInfo.environment["XDG_RUNTIME_DIR"] ?? ""
        let folder = given.isEmpty ? "/tmp/daybook-\(getuid())" : given + "/daybook"
        if mkdir(folder, 0o700) != 0, errno != EEXIST {
            throw CommandFailure(.failed, "mkdir \(folder): \(String(cString: strerror(errno)))")
        }
        var facts = stat()
        guard lstat(folder, &facts) == 0, facts.st_uid == getuid(),
            facts.st_mode & S_IFMT == S_IFDIR, facts.st_mode & 0o077 == 0
        else {
            throw CommandFailure(
                .failed, "\(folder) is not a private folder of this user; remove it")
        }
        return folder
    }
}
