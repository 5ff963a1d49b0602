import Dispatch
import Foundation
import Synchronization

/// Hears SIGINT and SIGTERM, so that a long work ends where it can clean up after itself.
final class Interruption: Sendable {
    private struct State {
        var number: Int32?
        var sources: [any DispatchSourceSignal] = []
    }

    private let state = Mutex(State())

    /// Hears the signals from now on, in place of what they do by themselves.
    init() {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let queue = DispatchQueue(label: "daybook.interruption")
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [weak self] in
                self?.state.withLock { $0.number = number }
            }
            source.activate()
            state.withLock { $0.sources.append(source) }
        }
    }

    /// Throws if a signal came.
    func check() throws(CommandFailure) {
        if let number = state.withLock({ $0.number }) {
            let name = number == SIGINT ? "SIGINT" : "SIGTERM"
            throw CommandFailure(.failed, "stopped by \(name); nothing was left behind")
        }
    }
}
