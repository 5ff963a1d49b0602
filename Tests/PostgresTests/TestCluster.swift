import Foundation
import Postgres
import Synchronization
import Testing

/// One private cluster for all tests of this process, made when first asked for; stopped, and its
/// folder removed, when the process exits.
enum TestCluster {
    private static let folder = TemporaryFolder()

    private static let started = Task {
        let cluster = PrivateCluster(dataDirectory: folder.path + "/data", database: "tests")
        let running = try await cluster.start()
        LeftBehind.add(pid: running.processIdentifier, folder: folder.path)
        return running.conninfo
    }

    /// The connection string of its database `tests`.
    static var conninfo: String {
        get async throws { try await started.value }
    }

    /// A session of the caller's own.
    static func session() async throws -> PostgresSession {
        PostgresSession(.init(conninfo: try await conninfo, applicationName: "tests"))
    }

    /// Runs `body` with a fresh connection, away from the cooperative pool.
    @discardableResult
    static func withConnection<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) throws -> Value
    ) async throws -> Value {
        try await session().withConnection(body)
    }

    /// A name for a table or schema that no other test uses.
    static func freshName(_ stem: String) -> String {
        stem + "_" + String(UInt64.random(in: 0...UInt64.max), radix: 36)
    }
}

/// A folder that the user `postgres` can enter too; removed with its last reference.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array((NSTemporaryDirectory() + "/postgres-tests-XXXXXX").utf8CString)
        precondition(mkdtemp(&template) != nil, "a temporary folder can be made")
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        chmod(path, 0o755)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// What is to be ended and removed when the process exits.
enum LeftBehind {
    private static let items = Mutex<[(pid: pid_t?, folder: String)]>([])

    static func add(pid: pid_t? = nil, folder: String) {
        items.withLock { items in
            if items.isEmpty {
                atexit { LeftBehind.remove() }
            }
            items.append((pid, folder))
        }
    }

    private static func remove() {
        for (pid, folder) in items.withLock({ $0 }) {
            if let pid {
                kill(pid, SIGQUIT)
                var status: Int32 = 0
                waitpid(pid, &status, 0)
            }
            try? FileManager.default.removeItem(atPath: folder)
        }
    }
}

/// Runs a program to its end; gives its exit status and standard output.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}
