import DaybookLog
import Synchronization

/// What the projector's thread tells the others and they tell it: how every projection stands, and
/// whether it is to stop.
final class StatusBoard: Sendable {
    private struct Content {
        var statuses: [String: ProjectionStatus]
        var postgres = PostgresState.starting
        var isStale = false
        var threadCount = 0
        var isStopping = false
        var waitingForEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let content: Mutex<Content>

    init(_ names: [String]) {
        let statuses = names.map { ($0, ProjectionStatus(name: $0, position: 0)) }
        content = Mutex(Content(statuses: Dictionary(uniqueKeysWithValues: statuses)))
    }

    var statuses: [ProjectionStatus] {
        content.withLock { $0.statuses.values.sorted { $0.name < $1.name } }
    }

    var postgres: PostgresState { content.withLock { $0.postgres } }

    var isStopping: Bool { content.withLock { $0.isStopping } }

    /// Sets the state of Postgres; whether that is news.
    func set(_ postgres: PostgresState) -> Bool {
        content.withLock { content in
            defer { content.postgres = postgres }
            return content.postgres != postgres
        }
    }

    /// Takes over how projections stand in Postgres; gives those that failed by that.
    func load(_ statuses: [ProjectionStatus]) -> [ProjectionStatus] {
        content.withLock { content in
            var failed: [ProjectionStatus] = []
            for status in statuses {
                let known = content.statuses.updateValue(status, forKey: status.name)
                if status.state == .failed && known?.state != .failed { failed.append(status) }
            }
            content.isStale = false
            return failed
        }
    }

    /// Whether somebody else has changed what stands in Postgres.
    var isStale: Bool { content.withLock { $0.isStale } }

    /// Notes that what stands in Postgres is to be read again.
    func noteChange() { content.withLock { $0.isStale = true } }

    /// Moves running projections to `position`.
    func move(_ names: [String], to position: Position) {
        content.withLock { content in
            for name in names { content.statuses[name]?.position = position }
        }
    }

    /// Stops one projection, or all, for a reason; gives the statuses that changed.
    func stop(
        _ name: String?, _ state: ProjectionStatus.State, reason: String
    ) -> [ProjectionStatus] {
        content.withLock { content in
            let names = content.statuses.keys.filter { name == nil || $0 == name }
            return names.compactMap { name in
                guard var status = content.statuses[name], status.state != state else { return nil }
                status.state = state
                status.reason = reason
                content.statuses[name] = status
                return status
            }
        }
    }

    /// Notes that threads run; none does yet.
    func begin(threadCount: Int) {
        content.withLock { content in
            precondition(
                content.threadCount == 0 && !content.isStopping, "a projector is started once")
            content.threadCount = threadCount
        }
    }

    /// Notes that a thread has ended, and wakes those who wait when it was the last.
    func endThread() {
        let waiting = content.withLock { content in
            content.threadCount -= 1
            guard content.threadCount == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { content.waitingForEnd = [] }
            return content.waitingForEnd
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Asks the threads to end, and waits until they have.
    func stopAndWait() async {
        await withCheckedContinuation { continuation in
            let isRunning = content.withLock { content in
                content.isStopping = true
                if content.threadCount > 0 { content.waitingForEnd.append(continuation) }
                return content.threadCount > 0
            }
            if !isRunning { continuation.resume() }
        }
    }
}
