import Dispatch
import Foundation
import Synchronization

/// Hears SIGINT and SIGTERM, so that a long work ends where it can clean up after itself.
final class Interruption {
    private final class Heard: Sendable {
        let number = Mutex<Int32?>(nil)
    }

    private let heard: Heard
    private let sources: [any DispatchSourceSignal]

    /// Hears the signals from now on, in place of what they do by themselves.
    init() {
        let heard = Heard()
        self.heard = heard
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(
                signal: number, queue: DispatchQueue(label: "daybook.interruption"))
            source.setEventHandler { heard.number.withLock { $0 = number } }
            source.activate()
            return source
        }
    }

    /// Throws if a signal came.
    func check() throws(CommandFailure) {
        if let number = heard.number.withLock({ $0 }) {
            let name = number == SIGINT ? "SIGINT" : "SIGTERM"
            throw CommandFailure(.failed, "stopped by \(name); nothing was left behind")
        }
    }
}
