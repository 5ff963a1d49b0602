import CPostgres
import Glibc
import SystemPackage

/// Starts programs so that they depend on nothing of ours: a session of their own (a terminal's
/// Ctrl-C does not reach them), no descriptor but 0 to 2, signals as by default, a clean
/// environment, the root folder as working folder.
enum ChildProcess {
    /// The user a program runs as, when that is not our own.
    struct User: Sendable, Equatable {
        let name: String
        let userID: uid_t
        let groupID: gid_t

        /// The account `name` of this machine. (`getpwnam_r`)
        init?(named name: String) {
            self.init { getpwnam_r(name, $0, $1, $2, $3) }
        }

        /// The account that owns the file `path`. (`getpwuid_r`)
        init?(owning path: String) {
            var facts = stat()
            guard stat(path, &facts) == 0 else { return nil }
            self.init { getpwuid_r(facts.st_uid, $0, $1, $2, $3) }
        }

        private typealias Entry = UnsafeMutablePointer<passwd>

        private init?(
            _ lookUp: (Entry, UnsafeMutablePointer<CChar>, Int, UnsafeMutablePointer<Entry?>)
                -> Int32
        ) {
            var entry = passwd()
            var found: Entry?
            var buffer = [CChar](repeating: 0, count: 16384)
            // The entry's strings stand in the buffer.
            let name = buffer.withUnsafeMutableBufferPointer { buffer in
                lookUp(&entry, buffer.baseAddress!, buffer.count, &found) == 0 && found != nil
                    ? String(cString: entry.pw_name) : nil
            }
            guard let name else { return nil }
            self.name = name
            userID = entry.pw_uid
            groupID = entry.pw_gid
        }
    }

    /// Names and sort orders do not depend on the machine, messages are in English.
    private static let environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"]

    /// Starts `command`, the path of a program and its arguments; returns its process id. Its
    /// output and errors go to `output`. (`posix_spawn`)
    static func start(
        _ command: [String], as user: User?, output: FileDescriptor
    ) throws(PostgresError) -> pid_t {
        // setpriv becomes the program, so the process id is the program's own.
        let prefix = user.map {
            ["/usr/bin/setpriv", "--reuid=\($0.userID)", "--regid=\($0.groupID)", "--init-groups"]
        }
        let command = (prefix ?? []) + command

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, 1)
        posix_spawn_file_actions_adddup2(&actions, output.rawValue, 2)
        posix_spawn_file_actions_addclosefrom_np(&actions, 3)
        posix_spawn_file_actions_addchdir_np(&actions, "/")

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let arguments = command.map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for text in arguments + variables { free(text) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, command[0], &actions, &attributes, arguments, variables)
        guard code == 0 else {
            throw .system(call: "posix_spawn", path: command[0], Errno(rawValue: code))
        }
        return pid
    }

    /// Runs `command` to its end; gives its exit status (128 + n for signal n) and what it wrote.
    static func run(
        _ command: [String], as user: User?
    ) throws(PostgresError) -> (status: Int32, output: String) {
        let ends: (readEnd: FileDescriptor, writeEnd: FileDescriptor)
        do {
            ends = try FileDescriptor.pipe()
        } catch {
            throw .system(call: "pipe", path: command[0], error as? Errno ?? .ioError)
        }
        defer { try? ends.readEnd.close() }
        let started = Result { () throws(PostgresError) in
            try start(command, as: user, output: ends.writeEnd)
        }
        try? ends.writeEnd.close()
        let pid = try started.get()
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while let count = try? buffer.withUnsafeMutableBytes({ try ends.readEnd.read(into: $0) }),
            count > 0
        {
            output += buffer[..<count]
        }
        return (exitStatus(of: pid, wait: true) ?? 0, String(decoding: output, as: UTF8.self))
    }

    /// The exit status of our child `pid`, once it has ended (or, with `wait`, when it does); nil
    /// also for what is no child of ours, or was asked for already. (`waitpid`)
    static func exitStatus(of pid: pid_t, wait: Bool = false) -> Int32? {
        var status: Int32 = 0
        var answer: pid_t
        repeat {
            answer = waitpid(pid, &status, wait ? 0 : WNOHANG)
        } while answer == -1 && errno == EINTR
        guard answer == pid else { return nil }
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
}
