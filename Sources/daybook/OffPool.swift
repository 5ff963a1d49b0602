import Dispatch

/// Runs what may block on a thread where it may.
///
/// A serial queue is given a thread. Dispatch's global and concurrent queues share a few threads,
/// one for each core, with the pool on which Swift's tasks run: as many that block, and no task
/// goes on.
func offPool<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue(label: "daybook.off-pool").async {
            continuation.resume(with: Result { try body() })
        }
    }
}
