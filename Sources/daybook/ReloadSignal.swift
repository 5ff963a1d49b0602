import Dispatch
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Takes up a changed catalog on SIGHUP. It is loaded and checked as at a start: if it is bad, that
/// is logged and all goes on as before; if it is good, the server stops in good order, and
/// `beginAgain` starts it anew in the same process.
// @unchecked: the sources are kept alive and never touched again; all else is Sendable.
final class ReloadSignal: Service, @unchecked Sendable {
    private struct State {
        var isAccepted = false
        /// Whether somebody wants the server to stop for good, who then goes before a restart.
        var isStopWanted = false
        /// Stops the server in good order.
        var stop: (@Sendable () async -> Void)?
    }

    private let hangups: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let sources: [any DispatchSourceSignal]
    private let state: SharedState
    private let logger: Logger
    private let check: @Sendable () throws -> Void

    private final class SharedState: Sendable {
        let value = Mutex(State())
    }

    /// Hears signals from now on. `check` throws why a catalog cannot be put in force; it may
    /// block.
    init(logger: Logger, check: @escaping @Sendable () throws -> Void) {
        (hangups, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.logger = logger
        self.check = check
        let state = SharedState()
        self.state = state
        let continuation = continuation
        sources = [
            ReloadSignal.source(SIGHUP) { continuation.yield() },
            ReloadSignal.source(SIGTERM) { state.value.withLock { $0.isStopWanted = true } },
            ReloadSignal.source(SIGINT) { state.value.withLock { $0.isStopWanted = true } },
        ]
        // What the signal does by itself, which is to end the process, must not happen.
        signal(SIGHUP, SIG_IGN)
        for source in sources { source.activate() }
    }

    private static func source(
        _ number: Int32, _ handler: @escaping @Sendable () -> Void
    ) -> any DispatchSourceSignal {
        let source = DispatchSource.makeSignalSource(
            signal: number, queue: DispatchQueue(label: "daybook.signals"))
        source.setEventHandler(handler: handler)
        return source
    }

    /// Whether the server is to begin again after it has stopped.
    var wantsRestart: Bool { state.value.withLock { $0.isAccepted && !$0.isStopWanted } }

    /// Says how the server is stopped in good order.
    func onAccepted(_ stop: @escaping @Sendable () async -> Void) {
        state.value.withLock { $0.stop = stop }
    }

    /// Ends when the server stops, and never by itself: where a stop is under way already, a
    /// service that ended before its turn would be taken for one that failed.
    func run() async throws {
        await withGracefulShutdownHandler {
            for await _ in hangups where await isGood() {
                let stop = state.value.withLock { state in
                    state.isAccepted = true
                    return state.stop
                }
                await stop?()
            }
        } onGracefulShutdown: { [continuation] in
            continuation.finish()
        }
    }

    private func isGood() async -> Bool {
        var fault: String?
        do {
            try await offPool { [check] in try check() }
        } catch {
            fault = CommandFailure(error)?.message ?? "\(error)"
        }
        if let fault {
            logger.error(
                "the catalog was not taken up; the one in force stays",
                metadata: ["why": "\(fault)"])
        } else {
            logger.notice("the catalog is good: stopping, to begin again with it")
        }
        return fault == nil
    }

    /// Begins the program again in this process, with the same arguments and environment. Returns
    /// only if that failed.
    ///
    /// Source: execve(2): signals that are ignored or blocked stay so, and open files stay open.
    static func beginAgain() -> CommandFailure {
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        for number in [SIGTERM, SIGINT] { signal(number, SIG_DFL) }
        let open = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        for descriptor in open.compactMap(Int32.init) where descriptor > STDERR_FILENO {
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        }
        var arguments = CommandLine.arguments.map { strdup($0) }
        arguments.append(nil)
        execv("/proc/self/exe", arguments)
        return CommandFailure(
            .failed,
            "execv: \(String(cString: strerror(errno))); the server has stopped, start it again")
    }
}
