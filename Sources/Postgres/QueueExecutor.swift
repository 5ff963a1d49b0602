import Dispatch

/// Runs an actor's work on a dispatch queue of its own, so that what blocks there never holds a
/// thread of Swift's cooperative pool. (The idea is GRDB's `DispatchQueueActor`.)
final class QueueExecutor: SerialExecutor {
    private let queue: DispatchQueue

    init(label: String) {
        queue = DispatchQueue(label: label)
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
