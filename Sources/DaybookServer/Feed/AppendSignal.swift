import DaybookLog
import Dispatch
import Synchronization

/// Wakes whoever follows the log. However many they are, one thread waits for them, and only while
/// there are any.
final class AppendSignal: Sendable {
    private struct State {
        var waiting: [CheckedContinuation<Void, Never>] = []
        var isWatching = false
    }

    private let log: any LogEngine
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "AppendSignal")
    /// How long one wait takes at most, so that a follower can look whether it is to end.
    private static let waitSeconds = 0.25

    init(_ log: any LogEngine) { self.log = log }

    /// Waits until something at or beyond `position` is durable, or for a moment.
    func wait(beyond position: Position) async {
        await withCheckedContinuation { continuation in
            let isFirst = state.withLock { state in
                state.waiting.append(continuation)
                defer { state.isWatching = true }
                return !state.isWatching
            }
            if isFirst { queue.async { self.watch(from: position) } }
        }
    }

    /// Waits and wakes as long as somebody waits. Who comes while it waits is woken with the
    /// others: all of them wait for the next append.
    private func watch(from position: Position) {
        var position = position
        while true {
            _ = log.waitForEvents(from: position, timeoutSeconds: AppendSignal.waitSeconds)
            position = max(position, log.durable.position)
            let woken = state.withLock { state in
                defer { state.waiting = [] }
                if state.waiting.isEmpty { state.isWatching = false }
                return state.waiting
            }
            if woken.isEmpty { return }
            for continuation in woken { continuation.resume() }
        }
    }
}
