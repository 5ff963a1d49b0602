import FoundationEssentials
import Glibc
import SystemPackage

/// The server process of a data directory, as its `postmaster.pid` tells (the file's lines are
/// given in PostgreSQL's `src/include/utils/pidfile.h`).
struct Postmaster {
    let dataDirectory: String
    let pid: pid_t
    let port: Int
    let socketDirectory: String

    /// Reads `postmaster.pid`; nil when there is none, or the server has not yet written down where
    /// it listens.
    init?(dataDirectory: String) {
        let path = Self.file(dataDirectory)
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count >= 5, let pid = pid_t(lines[0]), pid > 0, let port = Int(lines[3]),
            !lines[4].isEmpty
        else { return nil }
        self.dataDirectory = dataDirectory
        self.pid = pid
        self.port = port
        socketDirectory = String(lines[4])
    }

    private static func file(_ dataDirectory: String) -> String {
        "\(dataDirectory)/postmaster.pid"
    }

    /// Whether that process lives and is this directory's server: a server is started with `-D`
    /// and its directory, a foreign process with a recycled number is not, and a zombie has no
    /// arguments left. (`/proc/PID/cmdline`, proc(5): open to all, as `/proc/PID/cwd` is not)
    var isAlive: Bool {
        if ChildProcess.exitStatus(of: pid) != nil { return false }
        guard let line = try? Data(contentsOf: URL(filePath: "/proc/\(pid)/cmdline")) else {
            return false
        }
        let arguments = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard let flag = arguments.firstIndex(of: "-D"), flag + 1 < arguments.count else {
            return false
        }
        var ours = stat()
        var theirs = stat()
        return stat(dataDirectory, &ours) == 0 && stat(arguments[flag + 1], &theirs) == 0
            && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino
    }

    func signal(_ signal: Int32) {
        kill(pid, signal)
    }

    /// Waits until the process has ended; false when it has not in time.
    func waitForEnd(timeoutSeconds: Int) -> Bool {
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        while isAlive {
            if ContinuousClock.now >= deadline { return false }
            usleep(20_000)
        }
        // A child of ours may have lost its arguments, yet not quite ended.
        _ = ChildProcess.exitStatus(of: pid, wait: true)
        return true
    }

    /// Prepares a new start where the server has died and its number now belongs to someone else
    /// (or to its own zombie): Postgres would take that process for a running server.
    ///
    /// The file stays, for its shared-memory line is how a new server makes sure that no process
    /// of the old one is left; only the number is changed, to ours: a server ignores its parent's.
    func disownStalePID(owner: ChildProcess.User?) throws(PostgresError) {
        guard kill(pid, 0) == 0 || errno == EPERM else { return }
        let path = Self.file(dataDirectory)
        let fresh = "\(path).new"
        do {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            let rest = text.drop { $0 != "\n" }
            try Data("\(getpid())\(rest)".utf8).write(to: URL(filePath: fresh))
        } catch {
            throw .clusterFailed("cannot rewrite \(path)", log: "\(error)")
        }
        try PrivateFolder.give(fresh, to: owner, mode: 0o600)
        guard rename(fresh, path) == 0 else {
            throw .system(call: "rename", path: fresh, Errno(rawValue: errno))
        }
    }
}
