import Dispatch

/// Runs what blocks on a thread that may, and waits for it without holding one that may not.
///
/// A serial queue is given a thread. Dispatch's global and concurrent queues share a few threads,
/// one for each core, with the pool on which Swift's tasks run: as many that block, and no task
/// goes on.
func offPool<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        DispatchQueue(label: "daybook.off-pool").async { continuation.resume(returning: body()) }
    }
}
