import Foundation

/// Another process of this program.
enum OwnProcess {
    /// Starts the program again with `arguments`; its output goes to `output`, or nowhere else than
    /// this one's. (posix_spawn)
    static func start(_ arguments: [String], output: Int32? = nil) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let output { posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) }
        // A link to /proc/self would be the child's own, which is not there yet.
        let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let environment = ProcessInfo.processInfo.environment.map { "\($0)=\($1)" }
        var child: pid_t = 0
        var code: Int32 = 0
        withPointers([program] + arguments) { arguments in
            withPointers(environment) { environment in
                code = posix_spawn(&child, program, &actions, nil, arguments, environment)
            }
        }
        guard code == 0 else {
            throw CommandFailure(.failed, "posix_spawn: \(String(cString: strerror(code)))")
        }
        return child
    }

    /// Waits until a process has ended; its status as waitpid(2) gives it.
    static func wait(for child: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }

    private static func withPointers(
        _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Void
    ) {
        let pointers = texts.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        body(pointers + [nil])
    }
}
