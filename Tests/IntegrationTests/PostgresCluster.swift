import Foundation
import TestSupport

/// A Postgres of the test's own, to be away when the server looks for it.
final class PostgresCluster {
    private let folder: TemporaryFolder

    /// Makes the cluster and leaves it down.
    init() throws {
        folder = try TemporaryFolder()
        if getuid() == 0 {
            try succeed("chown", ["postgres", folder.path])
        }
        let options = ["-D", folder.path("data"), "-U", "postgres", "-A", "trust", "--no-sync"]
        try runAsOwner("initdb", options + ["-E", "UTF8", "--no-locale"])
    }

    deinit {
        try? runAsOwner("pg_ctl", ["-D", folder.path("data"), "-m", "immediate", "stop"])
    }

    /// The connection URL, whether it is up or not.
    var url: String {
        let socket = folder.path.replacingOccurrences(of: "/", with: "%2F")
        return "postgresql://postgres@\(socket)/postgres"
    }

    /// Starts it; after a kill that takes until the last of the old processes is gone.
    func start() throws {
        let options = [
            "-D", folder.path("data"), "-w", "-l", folder.path("log"),
            "-o", "-k \(folder.path) -c listen_addresses=",
        ]
        var attempt = 0
        while true {
            do {
                return try runAsOwner("pg_ctl", options + ["start"])
            } catch  where attempt < 20 {
                attempt += 1
                usleep(250_000)
            }
        }
    }

    /// Stops it in good order.
    func stop() throws { try runAsOwner("pg_ctl", ["-D", folder.path("data"), "-w", "stop"]) }

    /// Keeps a copy of all that it has, as a backup of the disk would; it is down.
    func copy() throws { try succeed("cp", ["-a", folder.path("data"), folder.path("older")]) }

    /// Puts the copy in its place; it is down.
    func restoreCopy() throws {
        try FileManager.default.removeItem(atPath: folder.path("data"))
        try FileManager.default.moveItem(atPath: folder.path("older"), toPath: folder.path("data"))
    }

    /// kill -9 of the postmaster: its children are left to notice.
    func kill() throws {
        let text = try String(contentsOfFile: folder.path("data/postmaster.pid"), encoding: .utf8)
        if let pid = text.split(separator: "\n").first.flatMap({ pid_t($0) }) {
            Foundation.kill(pid, SIGKILL)
        }
    }

    /// Postgres refuses to run as root.
    private func runAsOwner(_ tool: String, _ arguments: [String]) throws {
        let path = try requireTool(tool)
        if getuid() == 0 {
            try succeed("runuser", ["-u", "postgres", "--", path] + arguments)
        } else {
            try succeed(path, arguments)
        }
    }

    private func succeed(_ tool: String, _ arguments: [String]) throws {
        let result = try runTool(tool, arguments, folder: folder.path)
        guard result.status == 0 else {
            throw DaybookFailure(description: "\(tool): \(result.text)\(result.errorText)")
        }
    }
}
