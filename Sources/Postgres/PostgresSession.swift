import Dispatch
import Synchronization

/// A connection for concurrent code: it is used by one caller after the other, on a thread where
/// blocking is allowed, and made anew when it has broken.
///
///     let count = try await session.withConnection { connection in
///         try connection.query("SELECT count(*) FROM jobs")[0].int64(0)
///     }
public actor PostgresSession {
    /// Prepares a fresh connection, for example with SET.
    public typealias Prepare = @Sendable (PostgresConnection) throws -> Void

    private nonisolated let executor = QueueExecutor(label: "PostgresSession")
    private let configuration: PostgresConnection.Configuration
    private let prepare: Prepare
    private var connection: PostgresConnection?

    /// The thread where blocking is allowed.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    /// Makes a session; it connects when first used.
    public init(
        _ configuration: PostgresConnection.Configuration,
        prepare: @escaping Prepare = { _ in }
    ) {
        self.configuration = configuration
        self.prepare = prepare
    }

    /// Runs `body` with the connection, which must not leave it. Cancelling the task cancels the
    /// statement that runs. A connection that `body` leaves broken or inside a transaction is
    /// dropped; the next call makes a new one, once: waiting and retrying is the caller's.
    public func withConnection<Value: Sendable>(
        _ body: @Sendable (PostgresConnection) throws -> Value
    ) async throws -> Value {
        let cancellation = Cancellation()
        return try await withTaskCancellationHandler {
            let connection = try usableConnection()
            try cancellation.begin(connection.canceller)
            defer {
                cancellation.end()
                _ = connection.canceller.takeRequest()
                if !connection.isIdle { self.connection = nil }
            }
            return try body(connection)
        } onCancel: {
            cancellation.cancel()
        }
    }

    /// Closes the connection; using the session again opens one.
    public func close() {
        connection = nil
    }

    private func usableConnection() throws -> PostgresConnection {
        if let connection, !connection.isClosedByServer { return connection }
        connection = nil
        let fresh = try PostgresConnection(configuration)
        try prepare(fresh)
        connection = fresh
        return fresh
    }
}

/// Carries one task's cancellation to the statements of its own `withConnection`, never to those
/// of the next caller.
private final class Cancellation: Sendable {
    private enum State {
        case waiting
        case running(PostgresCanceller)
        case ended
        case cancelled
    }

    private let state = Mutex(State.waiting)

    func begin(_ canceller: PostgresCanceller) throws(PostgresError) {
        let isCancelled = state.withLock { state in
            if case .cancelled = state { return true }
            state = .running(canceller)
            return false
        }
        if isCancelled { throw .cancelled }
    }

    func end() {
        state.withLock { $0 = .ended }
    }

    /// Reaching the server blocks, so it is done on a thread of its own, as only serial queues have
    /// one; the lock is held until it is through, so that `end` waits for a cancellation under way.
    func cancel() {
        let isRunning = state.withLock { state in
            if case .running = state { return true }
            if case .waiting = state { state = .cancelled }
            return false
        }
        guard isRunning else { return }
        DispatchQueue(label: "PostgresSession.cancel").async {
            self.state.withLock { state in
                if case .running(let canceller) = state { canceller.cancel() }
            }
        }
    }
}
