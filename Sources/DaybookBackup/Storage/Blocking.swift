import Dispatch
import Synchronization

/// The way from a thread that may block to what is asynchronous.
public enum Blocking {
    /// Runs something asynchronous, and blocks until it is done.
    ///
    /// It runs on threads of its own: a caller that blocks one of the few threads of the
    /// cooperative pool does not wait for a thread of the very same pool.
    public static func wait<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () async throws(Failure) -> Value
    ) throws(Failure) -> Value {
        let answer = Answer<Value, Failure>()
        Task(executorPreference: executor) {
            do throws(Failure) {
                answer.give(.success(try await body()))
            } catch {
                answer.give(.failure(error))
            }
        }
        return try answer.take().get()
    }

    private static let executor = QueueExecutor()

    private final class QueueExecutor: TaskExecutor {
        /// A serial queue for each job: it is given a thread. A concurrent one would share those of
        /// the cooperative pool, one for each core, which may be the very ones that wait here.
        func enqueue(_ job: consuming ExecutorJob) {
            let job = UnownedJob(job)
            DispatchQueue(label: "daybook.blocking").async {
                job.runSynchronously(on: self.asUnownedTaskExecutor())
            }
        }
    }

    /// A result that one thread waits for.
    private final class Answer<Value: Sendable, Failure: Error>: Sendable {
        private let result = Mutex<Result<Value, Failure>?>(nil)
        private let semaphore = DispatchSemaphore(value: 0)

        func give(_ value: Result<Value, Failure>) {
            result.withLock { $0 = value }
            semaphore.signal()
        }

        func take() -> Result<Value, Failure> {
            semaphore.wait()
            guard let result = result.withLock({ $0 }) else {
                preconditionFailure("the answer is there before the signal")
            }
            return result
        }
    }
}
