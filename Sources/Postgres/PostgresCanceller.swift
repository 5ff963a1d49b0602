import CPostgres
import Synchronization

/// Cancels whatever statement runs on a connection, from any thread.
///
/// `@unchecked`: the handle never changes, `PQcancel` is thread-safe by its documentation, and it
/// is freed only with the last reference.
public final class PostgresCanceller: @unchecked Sendable {
    private let handle: OpaquePointer
    private let requested = Mutex(false)

    init(owning handle: OpaquePointer) {
        self.handle = handle
    }

    deinit { PQfreeCancel(handle) }

    /// Asks the server to cancel the statement, over a connection of its own; blocks while that
    /// is made. The statement then throws `PostgresError.cancelled`; if none runs, nothing happens.
    /// (`PQcancel`)
    public func cancel() {
        requested.withLock { $0 = true }
        var reason = [CChar](repeating: 0, count: 256)
        // A failure to reach the server shows on the connection itself.
        _ = PQcancel(handle, &reason, Int32(reason.count))
    }

    /// Whether a cancellation was asked for since the last call.
    func takeRequest() -> Bool {
        requested.withLock { requested in
            defer { requested = false }
            return requested
        }
    }
}
