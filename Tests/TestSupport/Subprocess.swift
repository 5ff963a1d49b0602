import Foundation

/// What a finished program left: its status and all it wrote.
public struct ToolResult: Sendable {
    /// The exit status, or 128 plus the signal's number, as a shell would give it.
    public let status: Int32
    /// Everything written to standard output.
    public let output: Data
    /// Everything written to standard error.
    public let errorOutput: Data

    /// Standard output as UTF-8, invalid bytes replaced.
    public var text: String { String(decoding: output, as: UTF8.self) }
    /// Standard error as UTF-8, invalid bytes replaced.
    public var errorText: String { String(decoding: errorOutput, as: UTF8.self) }
}

/// Runs a program to its end.
///
/// Input and outputs are unnamed files, not pipes: nothing can fill up and block, and a daemon
/// which the program leaves behind cannot keep the caller waiting for the end of a pipe.
/// - Parameters:
///   - path: the program, absolute or found on `PATH` (see ``requireTool(_:)``).
///   - arguments: without the program's own name.
///   - input: standard input; none means empty.
///   - environment: added to the test's own environment.
///   - folder: the working folder; none means the test's own.
///   - timeoutSeconds: after this the program and its children are killed.
/// - Throws: ``TestSupportError``; a failing status is a result, not an error.
@discardableResult
public func runTool(
    _ path: String, _ arguments: [String], input: Data? = nil,
    environment: [String: String]? = nil, folder: String? = nil, timeoutSeconds: Double = 60
) throws(TestSupportError) -> ToolResult {
    let process = try BackgroundProcess(
        path, arguments, input: input, environment: environment, folder: folder, ownGroup: true)
    guard let status = process.waitForExit(timeoutSeconds: timeoutSeconds) else {
        process.signalGroup(SIGKILL)
        process.waitForExit(timeoutSeconds: 10)
        throw .timedOut(
            command: ([path] + arguments).joined(separator: " "), seconds: timeoutSeconds,
            errorOutput: process.errorText)
    }
    return ToolResult(status: status, output: process.output, errorOutput: process.errorOutput)
}

/// A program running beside the test, for servers; killed when the last reference goes.
public final class BackgroundProcess {
    /// The process id.
    public let pid: pid_t
    /// The exit status once the program has ended and ``waitForExit(timeoutSeconds:)`` saw it.
    public private(set) var status: Int32?
    private let outputFile: CInt
    private let errorFile: CInt

    /// Starts a program; the parameters are those of ``runTool``.
    /// - Parameter ownGroup: whether the program leads its own process group; a server stays in
    ///   the test's, so that Ctrl-C at the terminal reaches it too.
    public init(
        _ path: String, _ arguments: [String], input: Data? = nil,
        environment: [String: String]? = nil, folder: String? = nil, ownGroup: Bool = false
    ) throws(TestSupportError) {
        let program = path.contains("/") ? path : try requireTool(path)
        let inFolder = if let folder { [try requireTool("env"), "-C", folder] } else { [String]() }
        let inputFile = try unnamedFile(input ?? Data())
        defer { close(inputFile) }
        outputFile = try unnamedFile()
        errorFile = try unnamedFile()
        pid = try spawn(
            inFolder + [program] + arguments,
            environment: ProcessInfo.processInfo.environment.merging(environment ?? [:]) { $1 },
            descriptors: [inputFile, outputFile, errorFile], ownGroup: ownGroup)
    }

    deinit {
        if status == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
        close(outputFile)
        close(errorFile)
    }

    /// What it has written to standard output so far.
    public var output: Data { contents(of: outputFile) }
    /// What it has written to standard error so far.
    public var errorOutput: Data { contents(of: errorFile) }
    /// ``errorOutput`` as text.
    public var errorText: String { String(decoding: errorOutput, as: UTF8.self) }

    /// Sends a signal, unless the program is known to have ended.
    public func signal(_ number: CInt) {
        if status == nil { kill(pid, number) }
    }

    /// Sends a signal to the program's whole group; only for one started with `ownGroup`.
    public func signalGroup(_ number: CInt) {
        if status == nil { kill(-pid, number) }
    }

    /// Waits for the end.
    /// - Returns: the status as in ``ToolResult/status``, or nil when it still runs at the timeout.
    @discardableResult
    public func waitForExit(timeoutSeconds: Double) -> Int32? {
        let clock = ContinuousClock()
        let deadline = clock.now + .seconds(timeoutSeconds)
        var pauseMicroseconds: UInt32 = 500
        while status == nil {
            var raw: CInt = 0
            let ended = waitpid(pid, &raw, WNOHANG)
            if ended == pid {
                status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
            } else if clock.now >= deadline {
                return nil
            } else {
                usleep(pauseMicroseconds)
                pauseMicroseconds = min(pauseMicroseconds * 2, 20_000)
            }
        }
        return status
    }
}

/// A temporary file without a name, holding `bytes`, its offset at the start.
private func unnamedFile(_ bytes: Data = Data()) throws(TestSupportError) -> CInt {
    let folder = FileManager.default.temporaryDirectory.path
    var template = Array("\(folder)/daybook-XXXXXX".utf8CString)
    let file = mkstemp(&template)
    guard file >= 0 else { throw .system(call: "mkstemp", errno: errno) }
    unlink(template)
    _ = fcntl(file, F_SETFD, FD_CLOEXEC)
    var written = 0
    while written < bytes.count {
        let count = bytes.withUnsafeBytes { raw in
            pwrite(file, raw.baseAddress! + written, raw.count - written, off_t(written))
        }
        guard count > 0 else {
            close(file)
            throw .system(call: "pwrite", errno: errno)
        }
        written += count
    }
    return file
}

/// All bytes of a file, its offset left alone: the program shares it.
private func contents(of file: CInt) -> Data {
    var result = Data()
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = pread(file, &buffer, buffer.count, off_t(result.count))
        if count <= 0 { return result }
        result.append(contentsOf: buffer[0..<count])
    }
}

/// posix_spawn(3) with default signals and the three standard descriptors given.
private func spawn(
    _ command: [String], environment: [String: String], descriptors: [CInt], ownGroup: Bool
) throws(TestSupportError) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    for (number, descriptor) in descriptors.enumerated() {
        posix_spawn_file_actions_adddup2(&actions, descriptor, CInt(number))
    }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var everySignal = sigset_t()
    sigfillset(&everySignal)
    var noSignal = sigset_t()
    sigemptyset(&noSignal)
    posix_spawnattr_setsigdefault(&attributes, &everySignal)
    posix_spawnattr_setsigmask(&attributes, &noSignal)
    let group = ownGroup ? POSIX_SPAWN_SETPGROUP : 0
    posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | group))

    var argv = command.map { strdup($0) } + [nil]
    var envp = environment.map { strdup("\($0)=\($1)") } + [nil]
    defer { (argv + envp).forEach { free($0) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, command[0], &actions, &attributes, &argv, &envp)
    guard code == 0 else { throw .system(call: "posix_spawn \(command[0])", errno: code) }
    return pid
}
