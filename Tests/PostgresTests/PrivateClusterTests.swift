import Foundation
import Postgres
import Testing

@Suite("A private cluster", .serialized)
struct PrivateClusterTests {
    private static let folder = TemporaryFolder()

    /// A cluster as it is after its first stop, for the others to start from: making one is slow.
    private static let template = Task {
        let cluster = PrivateCluster(dataDirectory: folder.path + "/data", database: "ledger's")
        _ = try await cluster.start()
        try await cluster.stop()
        LeftBehind.add(folder: folder.path)
        return folder.path + "/data"
    }

    /// Gives `body` a cluster in a fresh folder, made already or not, and stops it afterwards.
    private func withCluster(
        in subfolder: String = "data", isMade: Bool = true,
        _ body: (PrivateCluster, _ dataDirectory: String) async throws -> Void
    ) async throws {
        let folder = TemporaryFolder()
        let dataDirectory = "\(folder.path)/\(subfolder)"
        if isMade {
            let parent = URL(filePath: dataDirectory).deletingLastPathComponent()
            try FileManager.default.createDirectory(
                at: parent, withIntermediateDirectories: true)
            let template = try await Self.template.value
            #expect(try run("cp", ["-a", template, dataDirectory]).status == 0)
        }
        let cluster = PrivateCluster(dataDirectory: dataDirectory, database: "ledger's")
        do {
            try await body(cluster, dataDirectory)
        } catch {
            try? await cluster.stop()
            throw error
        }
        try await cluster.stop()
    }

    private func query(_ running: PrivateCluster.Running, _ sql: String) async throws -> String? {
        try await PostgresSession(.init(conninfo: running.conninfo)).withConnection { connection in
            try connection.query(sql).first?.text(0)
        }
    }

    @Test("It starts, answers psql by its connection string unchanged, and stops")
    func startAndStop() async throws {
        try await withCluster(isMade: false) { cluster, dataDirectory in
            let running = try await cluster.start()
            #expect(!running.isAdopted)
            let answer = try run(
                "psql", ["-XAt", running.conninfo, "-c", "SELECT current_database()"])
            #expect(answer.status == 0)
            #expect(answer.output == "ledger's\n")
            let settings = try await query(
                running,
                """
                SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings
                WHERE name IN ('fsync', 'synchronous_commit', 'lc_collate', 'listen_addresses',
                               'server_encoding', 'data_checksums')
                """)
            #expect(settings == "on on C  UTF8 on")
            let seen = PrivateCluster.running(dataDirectory: dataDirectory, database: "ledger's")
            #expect(seen?.conninfo == running.conninfo)

            try await cluster.stop()
            #expect(kill(running.processIdentifier, 0) == -1)
            #expect(PrivateCluster.running(dataDirectory: dataDirectory) == nil)
            #expect(PostgresConnection.ping(conninfo: running.conninfo) == .noResponse)
            try await cluster.stop()
        }
    }

    @Test("The server holds none of our descriptors and is not in our session")
    func detached() async throws {
        let leak = FileHandle(forReadingAtPath: "/etc/passwd")!
        let copy = dup(leak.fileDescriptor)
        defer { close(copy) }
        #expect(fcntl(copy, F_GETFD) & FD_CLOEXEC == 0, "a child would inherit it")
        try await withCluster { cluster, _ in
            let running = try await cluster.start()
            let pid = running.processIdentifier
            let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
            let targets = open.compactMap {
                try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/fd/\($0)")
            }
            #expect(!targets.contains("/etc/passwd"))
            #expect(targets.contains { $0.hasSuffix("server.log") })
            #expect(getsid(pid) == pid)
        }
    }

    @Test("A running one is adopted, and can be stopped by who adopted it")
    func adopt() async throws {
        try await withCluster { cluster, dataDirectory in
            let first = try await cluster.start()
            let other = PrivateCluster(dataDirectory: dataDirectory, database: "ledger's")
            let second = try await other.start()
            #expect(second.isAdopted)
            #expect(second.processIdentifier == first.processIdentifier)
            #expect(second.conninfo == first.conninfo)
            try await other.stop()
            #expect(kill(first.processIdentifier, 0) == -1)
        }
    }

    @Test("Killed with -9 it recovers at the next start, with all that was committed")
    func killed() async throws {
        try await withCluster { cluster, dataDirectory in
            let first = try await cluster.start()
            let session = PostgresSession(.init(conninfo: first.conninfo))
            try await session.withConnection { connection in
                try connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
            }
            kill(first.processIdentifier, SIGKILL)
            #expect(FileManager.default.fileExists(atPath: "\(dataDirectory)/postmaster.pid"))
            let second = try await cluster.start()
            #expect(!second.isAdopted)
            #expect(second.processIdentifier != first.processIdentifier)
            #expect(try await query(second, "SELECT count(*) FROM t") == "1000")
            let count = try await session.withConnection { connection in
                try connection.query("SELECT count(*) FROM t")[0].int64(0)
            }
            #expect(count == 1000, "the session found the new server at the same place")
        }
    }

    @Test("A stale postmaster.pid with a number that is someone else's now does not stop it")
    func stalePID() async throws {
        try await withCluster { cluster, dataDirectory in
            let first = try await cluster.start()
            try await cluster.stop()
            // A process of the server's own user, which Postgres by itself would take for a server.
            let path = "\(dataDirectory)/postmaster.pid"
            let foreign = Process()
            foreign.executableURL = URL(filePath: "/usr/bin/env")
            let asServer = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            foreign.arguments = (geteuid() == 0 ? asServer : []) + ["sleep", "60"]
            try foreign.run()
            defer { foreign.terminate() }
            let pid = foreign.processIdentifier
            let text = "\(pid)\n\(dataDirectory)\n1\n5432\n\(dataDirectory)\n\n"
            try text.write(toFile: path, atomically: false, encoding: .utf8)
            if geteuid() == 0 {
                #expect(try run("chown", ["postgres", path]).status == 0)
            }
            #expect(PrivateCluster.running(dataDirectory: dataDirectory) == nil)
            let second = try await cluster.start()
            #expect(!second.isAdopted)
            #expect(second.processIdentifier != first.processIdentifier)
            #expect(foreign.isRunning)
        }
    }

    @Test("A data directory whose path is too long for a socket gets a short folder for it")
    func longPath() async throws {
        let long = String(repeating: "long, and quoted' folder/", count: 6) + "data"
        try await withCluster(in: long) { cluster, _ in
            let running = try await cluster.start()
            #expect(try await query(running, "SELECT 1") == "1")
            let answer = try run("psql", ["-XAt", running.conninfo, "-c", "SHOW data_directory"])
            #expect(answer.output.hasSuffix(long + "\n"))
            let socketFolder = try #require(
                try await query(running, "SHOW unix_socket_directories")
            )
            .trimmingCharacters(in: ["\""])
            #expect(socketFolder.utf8.count < 64)
            let facts = try FileManager.default.attributesOfItem(atPath: socketFolder)
            #expect(facts[.posixPermissions] as? Int == 0o700)
            try await cluster.stop()
            #expect(!FileManager.default.fileExists(atPath: socketFolder))
        }
    }

    @Test("A folder that the server's user cannot reach is an error of its own")
    func unreachable() async throws {
        let folder = TemporaryFolder()
        // Closed to the user postgres, whom root needs; closed to anyone else himself.
        chmod(folder.path, geteuid() == 0 ? 0o700 : 0o500)
        let cluster = PrivateCluster(dataDirectory: folder.path + "/data")
        let error = await #expect(throws: PostgresError.self) { _ = try await cluster.start() }
        switch error {
        case .clusterUnreachable(_, "postgres"): #expect(geteuid() == 0)
        case .system("mkdir", _, .permissionDenied): #expect(geteuid() != 0)
        default: Issue.record("another error: \(String(describing: error))")
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left.isEmpty)
    }

    @Test("A start that fails carries the server's last words")
    func lastWords() async throws {
        try await withCluster { cluster, dataDirectory in
            _ = try await cluster.start()
            try await cluster.stop()
            let path = URL(filePath: "\(dataDirectory)/postgresql.conf")
            let file = try FileHandle(forUpdating: path)
            try file.seekToEnd()
            try file.write(contentsOf: Data("no_such_setting = 1\n".utf8))
            try file.close()
            let error = await #expect(throws: PostgresError.self) { _ = try await cluster.start() }
            guard case .clusterFailed(_, let log) = error else {
                Issue.record("another error: \(String(describing: error))")
                return
            }
            #expect(log.contains("no_such_setting"))
        }
    }

    @Test("What is left of an interrupted initdb is made anew; a strange folder is left alone")
    func leftovers() async throws {
        try await withCluster(isMade: false) { cluster, dataDirectory in
            let manager = FileManager.default
            let staging = dataDirectory + ".initdb"
            try manager.createDirectory(
                atPath: staging + "/base", withIntermediateDirectories: true)
            try manager.createDirectory(atPath: dataDirectory, withIntermediateDirectories: true)
            try Data("mine".utf8).write(to: URL(filePath: dataDirectory + "/letter"))
            await #expect(throws: PostgresError.self) { _ = try await cluster.start() }
            #expect(try manager.contentsOfDirectory(atPath: dataDirectory) == ["letter"])
            try manager.removeItem(atPath: dataDirectory + "/letter")
            let running = try await cluster.start()
            #expect(try await query(running, "SELECT 1") == "1")
            #expect(!manager.fileExists(atPath: staging))
        }
    }
}
