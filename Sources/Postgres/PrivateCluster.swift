import FoundationEssentials
import Glibc
import SystemPackage

/// A Postgres server of our own: a data directory, a unix socket that only its user can reach, and
/// no network.
///
/// The server outlives us when we die; the next `start` adopts it. Run as root, the server is the
/// user `postgres`'s, for Postgres refuses to be root. One process at a time may start or stop a
/// cluster: callers hold a lock.
public actor PrivateCluster {
    /// A server that answers.
    public struct Running: Sendable, Equatable {
        /// A connection string that psql, run by the same user, takes unchanged.
        public let conninfo: String
        /// The server's process id.
        public let processIdentifier: Int32
        /// Whether it ran already.
        public let isAdopted: Bool
    }

    /// The name of the superuser, who needs no password on the private socket.
    public static let userName = "postgres"

    private nonisolated let executor = QueueExecutor(label: "PrivateCluster")
    private let dataDirectory: String
    private let database: String
    private let startTimeoutSeconds: Int

    /// The thread where blocking is allowed.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// A cluster in `dataDirectory` (made when it is first started, with folders above it), whose
    /// connection string names `database` (created if missing).
    public init(
        dataDirectory: String, database: String = "postgres", startTimeoutSeconds: Int = 60
    ) {
        self.dataDirectory = Self.absolute(dataDirectory)
        self.database = database
        self.startTimeoutSeconds = startTimeoutSeconds
    }

    /// The server of a data directory if it runs now; starts nothing and waits for nothing.
    public static func running(dataDirectory: String, database: String = "postgres") -> Running? {
        guard let postmaster = Postmaster(dataDirectory: absolute(dataDirectory)),
            postmaster.isAlive
        else { return nil }
        let found = Running(postmaster, database: database, isAdopted: true)
        return PostgresConnection.ping(conninfo: found.conninfo) == .accepting ? found : nil
    }

    /// Makes the cluster if there is none, starts its server or adopts one that runs, waits until
    /// it answers (recovery after a crash takes what it takes), and creates the database.
    public func start() throws(PostgresError) -> Running {
        let owner = try serverUser()
        let version = try? String(contentsOfFile: "\(dataDirectory)/PG_VERSION", encoding: .utf8)
        let programs = try PostgresPrograms.find(
            majorVersion: version.flatMap { text in
                Int(text.prefix { $0.isNumber })
            })
        if version == nil {
            try initialise(programs, owner: owner)
        }
        let running = try serve(programs, owner: owner)
        try createDatabase(running)
        return running
    }

    /// Stops the server, whoever started it: sessions are ended, transactions roll back, the last
    /// checkpoint is written. When that takes longer than `timeoutSeconds` the server is stopped
    /// at once, and recovers at the next start. Nothing happens when none runs.
    public func stop(timeoutSeconds: Int = 60) throws(PostgresError) {
        guard let postmaster = Postmaster(dataDirectory: dataDirectory), postmaster.isAlive
        else { return }
        postmaster.signal(SIGINT)
        if !postmaster.waitForEnd(timeoutSeconds: timeoutSeconds) {
            postmaster.signal(SIGQUIT)
            guard postmaster.waitForEnd(timeoutSeconds: 10) else {
                throw .timedOut("stopping the private Postgres, process \(postmaster.pid)")
            }
        }
        if postmaster.socketDirectory != dataDirectory {
            rmdir(postmaster.socketDirectory)
        }
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }

    /// The account that must run the server; nil is our own. Root runs it as the one who has the
    /// cluster already.
    private func serverUser() throws(PostgresError) -> ChildProcess.User? {
        guard geteuid() == 0 else { return nil }
        let owner = ChildProcess.User(owning: "\(dataDirectory)/PG_VERSION")
        if let owner, owner.userID != 0 { return owner }
        guard let user = ChildProcess.User(named: "postgres") else {
            throw .clusterFailed("root cannot run Postgres, and there is no user postgres", log: "")
        }
        return user
    }

    private func createDatabase(_ running: Running) throws(PostgresError) {
        guard database != "postgres" else { return }
        let connection = try PostgresConnection(
            .init(
                conninfo: running.conninfo(database: "postgres")))
        let found = try connection.query(
            "SELECT 1 FROM pg_database WHERE datname = $1", [.text(database)])
        if found.isEmpty {
            try connection.execute("CREATE DATABASE \(SQL.identifier(database))")
        }
    }
}

// MARK: - Making the cluster

extension PrivateCluster {
    /// `initdb` beside the final place, then one rename: a cluster is there whole or not at all.
    private func initialise(
        _ programs: PostgresPrograms, owner: ChildProcess.User?
    ) throws(PostgresError) {
        if access(dataDirectory, F_OK) == 0 && access(dataDirectory, R_OK | X_OK) != 0 {
            throw .system(call: "access", path: dataDirectory, .permissionDenied)
        }
        let manager = FileManager.default
        let content = (try? manager.contentsOfDirectory(atPath: dataDirectory)) ?? []
        guard content.isEmpty else {
            throw .clusterFailed("\(dataDirectory) is neither empty nor a cluster", log: "")
        }
        let staging = "\(dataDirectory).initdb"
        try? manager.removeItem(atPath: staging)
        let parent = URL(filePath: staging).deletingLastPathComponent()
        do {
            try manager.createDirectory(at: parent, withIntermediateDirectories: true)
        } catch {
            throw .clusterFailed("cannot make \(parent.path)", log: "\(error)")
        }
        try PrivateFolder.make(staging, owner: owner)
        do throws(PostgresError) {
            try checkReachable(staging, owner: owner)
            try initdb(programs, in: staging, owner: owner)
            guard rename(staging, dataDirectory) == 0 else {
                throw .system(call: "rename", path: staging, Errno(rawValue: errno))
            }
        } catch {
            try? manager.removeItem(atPath: staging)
            throw error
        }
    }

    /// Asks as the server's user, for nobody else can tell what the folders above allow.
    private func checkReachable(
        _ path: String, owner: ChildProcess.User?
    ) throws(PostgresError) {
        guard let owner else { return }
        let answer = try ChildProcess.run(["/usr/bin/test", "-w", path], as: owner)
        if answer.status != 0 {
            throw .clusterUnreachable(path: path, user: owner.name)
        }
    }

    private func initdb(
        _ programs: PostgresPrograms, in folder: String, owner: ChildProcess.User?
    ) throws(PostgresError) {
        // Sorting by bytes is the same on every machine, and fast; letters are Unicode's.
        let characters = newlocale(LC_CTYPE_MASK, "C.UTF-8", nil)
        if let characters { freelocale(characters) }
        let command = [
            "\(programs.folder)/initdb", "--pgdata=\(folder)", "--username=\(Self.userName)",
            "--encoding=UTF8", "--locale=C",
            "--lc-ctype=\(characters == nil ? "C" : "C.UTF-8")",
            "--auth-local=trust", "--auth-host=reject", "--data-checksums", "--no-instructions",
        ]
        let answer = try ChildProcess.run(command, as: owner)
        guard answer.status == 0 else {
            throw .clusterFailed("initdb failed", log: answer.output)
        }
        let tuning = try Self.tuning + compression(programs, in: folder, owner: owner)
        do {
            let path = FilePath("\(folder)/postgresql.conf")
            let file = try FileDescriptor.open(path, .writeOnly, options: .append)
            try file.closeAfter { _ = try file.writeAll(tuning.utf8) }
        } catch {
            throw .clusterFailed("cannot write \(folder)/postgresql.conf", log: "\(error)")
        }
    }

    /// Postgres's own compression costs a fifth of a bulk load; LZ4 is there in most servers from
    /// version 15 on, and a server can be asked. (postgres(1), `-C`)
    private func compression(
        _ programs: PostgresPrograms, in folder: String, owner: ChildProcess.User?
    ) throws(PostgresError) -> String {
        let answer = try ChildProcess.run(
            [
                "\(programs.folder)/postgres", "-D", folder, "-c", "wal_compression=lz4",
                "-C", "wal_compression",
            ], as: owner)
        return "wal_compression = \(answer.status == 0 ? "lz4" : "on")\n"
    }

    /// For a machine that Postgres shares with us: steady writing, few checkpoints, no data lost.
    /// It stands in `postgresql.conf`, where it may be changed.
    private static let tuning = """

        # A private cluster: settings that differ from Postgres's own.
        shared_buffers = 256MB
        maintenance_work_mem = 256MB
        work_mem = 16MB
        max_connections = 100
        fsync = on
        synchronous_commit = on
        max_wal_size = 4GB
        min_wal_size = 256MB
        checkpoint_timeout = 15min
        random_page_cost = 1.1
        jit = off
        timezone = 'UTC'
        log_timezone = 'UTC'
        log_line_prefix = '%m [%p] '

        """
}

// MARK: - Running the server

extension PrivateCluster {
    private static let port = 5432
    private static let socketName = ".s.PGSQL.\(port)"
    private var logPath: String { "\(dataDirectory)/server.log" }

    private func serve(
        _ programs: PostgresPrograms, owner: ChildProcess.User?
    ) throws(PostgresError) -> Running {
        let deadline = ContinuousClock.now + .seconds(startTimeoutSeconds)
        while true {
            if let postmaster = Postmaster(dataDirectory: dataDirectory) {
                if postmaster.isAlive {
                    if try awaitAnswer(of: postmaster, deadline: deadline) {
                        return Running(postmaster, database: database, isAdopted: true)
                    }
                    continue
                }
                try postmaster.disownStalePID(owner: owner)
            }
            try checkReachable(dataDirectory, owner: owner)
            let log = try openLog(owner: owner)
            defer { try? log.close() }
            let logStart = (try? log.seek(offset: 0, from: .end)) ?? 0
            let pid = try launch(programs, owner: owner, log: log)
            while ChildProcess.exitStatus(of: pid) == nil {
                if let postmaster = Postmaster(dataDirectory: dataDirectory),
                    postmaster.pid == pid,
                    try awaitAnswer(of: postmaster, deadline: deadline)
                {
                    return Running(postmaster, database: database, isAdopted: false)
                }
                try wait(until: deadline)
            }
            let words = logTail(from: logStart)
            // The last processes of a server that was killed may take a moment to end.
            guard words.contains("shared memory block") else {
                throw .clusterFailed("the private Postgres did not start", log: words)
            }
            try wait(until: deadline)
        }
    }

    private func wait(until deadline: ContinuousClock.Instant) throws(PostgresError) {
        guard ContinuousClock.now < deadline else {
            throw .timedOut("starting the private Postgres in \(dataDirectory)")
        }
        usleep(20_000)
    }

    /// Waits until the server takes connections; false when it has ended instead. While it answers
    /// that it is starting or recovering, the deadline does not count.
    private func awaitAnswer(
        of postmaster: Postmaster, deadline: ContinuousClock.Instant
    ) throws(PostgresError) -> Bool {
        let conninfo = Running(postmaster, database: database, isAdopted: true).conninfo
        while postmaster.isAlive {
            switch PostgresConnection.ping(conninfo: conninfo) {
            case .accepting: return true
            case .rejecting: usleep(20_000)
            case .noResponse, .notAttempted: try wait(until: deadline)
            }
        }
        return false
    }

    private func launch(
        _ programs: PostgresPrograms, owner: ChildProcess.User?, log: FileDescriptor
    ) throws(PostgresError) -> pid_t {
        let folder = try PrivateFolder.socketFolder(
            dataDirectory: dataDirectory, socketName: Self.socketName, owner: owner)
        let quoted = "\"" + folder.replacing("\"", with: "\"\"") + "\""
        return try ChildProcess.start(
            [
                "\(programs.folder)/postgres", "-D", dataDirectory, "-p", String(Self.port),
                "-c", "listen_addresses=", "-c", "unix_socket_directories=\(quoted)",
                "-c", "unix_socket_permissions=0700",
            ],
            as: owner, output: log)
    }

    private func openLog(owner: ChildProcess.User?) throws(PostgresError) -> FileDescriptor {
        do {
            let log = try FileDescriptor.open(
                FilePath(logPath), .readWrite,
                options: [.append, .create, .closeOnExec, .noFollow],
                permissions: [.ownerReadWrite])
            if let owner { fchown(log.rawValue, owner.userID, owner.groupID) }
            return log
        } catch {
            throw .clusterFailed("cannot open \(logPath)", log: "\(error)")
        }
    }

    /// What the server wrote since `start`, at most its last 4 KiB.
    private func logTail(from start: Int64) -> String {
        guard let log = try? FileDescriptor.open(FilePath(logPath), .readOnly) else { return "" }
        defer { try? log.close() }
        let end = (try? log.seek(offset: 0, from: .end)) ?? start
        let first = max(start, end - 4096)
        let text = try? [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            let buffer = UnsafeMutableRawBufferPointer(buffer)
            count = try log.read(fromAbsoluteOffset: first, into: buffer)
        }
        return String(decoding: text ?? [], as: UTF8.self)
    }
}

extension PrivateCluster.Running {
    init(_ postmaster: Postmaster, database: String, isAdopted: Bool) {
        self.init(
            conninfo: Self.conninfo(
                host: postmaster.socketDirectory, port: postmaster.port, database: database),
            processIdentifier: postmaster.pid, isAdopted: isAdopted)
    }

    /// The connection string for another database of the same server: the last word wins.
    func conninfo(database: String) -> String {
        "\(conninfo) dbname=\(Self.quoted(database))"
    }

    private static func conninfo(host: String, port: Int, database: String) -> String {
        "host=\(quoted(host)) port=\(port) user=\(PrivateCluster.userName) "
            + "dbname=\(quoted(database))"
    }

    /// Quotes a value where it needs it (PostgreSQL documentation, 34.1.1.1).
    private static func quoted(_ value: String) -> String {
        let plain = value.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || "0123456789/._-".unicodeScalars.contains($0)
        }
        if plain && !value.isEmpty { return value }
        return "'" + value.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
}
