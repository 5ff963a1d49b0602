import Foundation
import Postgres
import Synchronization
import TestSupport

/// The private cluster of these tests: made when first asked for, ended with the process.
enum TestCluster {
    private static let started = Task {
        let folder = try TemporaryFolder()
        let cluster = PrivateCluster(dataDirectory: folder.path("postgres"))
        let running = try await cluster.start()
        LeftBehind.add(pid: running.processIdentifier, folder: folder)
        return running.conninfo
    }

    /// The connection string of a new, empty database.
    static func freshDatabase() async throws -> String {
        let conninfo = try await started.value
        let name = "test_" + String(UInt64.random(in: 0 ... .max), radix: 36)
        try PostgresConnection(.init(conninfo: conninfo)).execute("CREATE DATABASE \(name)")
        return "\(conninfo) dbname=\(name)"
    }
}

/// What is to be ended and removed when the process exits.
enum LeftBehind {
    private static let items = Mutex<[(pid: pid_t, folder: TemporaryFolder)]>([])

    static func add(pid: pid_t, folder: TemporaryFolder) {
        let isFirst = items.withLock { items in
            items.append((pid, folder))
            return items.count == 1
        }
        if isFirst { atexit { LeftBehind.end() } }
    }

    private static func end() {
        items.withLock { items in
            for (pid, _) in items {
                kill(pid, SIGQUIT)
                waitpid(pid, nil, 0)
            }
            items = []
        }
    }
}

/// What `psql` prints for a query: a row a line, its fields separated by bars.
func psql(_ conninfo: String, _ sql: String) throws -> String {
    let result = try runTool(
        try requireTool("psql"), ["-XAtq", "-v", "ON_ERROR_STOP=1", conninfo, "-c", sql])
    guard result.status == 0 else { throw PsqlFailure(text: result.errorText) }
    return result.text.trimmingCharacters(in: .newlines)
}

struct PsqlFailure: Error {
    let text: String
}
