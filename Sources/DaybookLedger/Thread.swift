import Glibc

/// A state shared by threads, and a place to wait until it changes.
///
/// Source: POSIX threads, mutex and condition variable.
// @unchecked: the state is touched only under the mutex.
final class Monitor<State>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var state: State

    init(_ state: State) {
        self.state = state
        precondition(pthread_mutex_init(mutex, nil) == 0, "a mutex can be made")
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // Waiting must not end early or late because somebody sets the clock.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        precondition(pthread_cond_init(condition, &attributes) == 0, "a condition can be made")
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// Looks at the state or changes it, and wakes whoever waits.
    func update<R>(_ body: (inout State) throws -> R) rethrows -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Waits until `body` gives something.
    func wait<R>(_ body: (inout State) -> R?) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            pthread_cond_wait(condition, mutex)
        }
    }

    /// Waits until `body` gives something, at most so long; nil if the time is over.
    func wait<R>(timeoutSeconds: Double, _ body: (inout State) -> R?) -> R? {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let nanoseconds = end.tv_nsec + Int(timeoutSeconds * 1e9)
        end.tv_sec += nanoseconds / 1_000_000_000
        end.tv_nsec = nanoseconds % 1_000_000_000
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            if pthread_cond_timedwait(condition, mutex, &end) == ETIMEDOUT { return body(&state) }
        }
    }
}

/// A plain thread of the system, for work that blocks.
///
/// Source: `pthread_create`, `pthread_join`.
struct Thread: Sendable {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let handle: pthread_t

    /// Starts a thread. One with a higher `niceness` runs when the others leave it the time.
    init(niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void) {
        var handle = pthread_t()
        let work = Unmanaged.passRetained(
            Work {
                // On Linux a thread has a priority of its own: setpriority(2), "C library/kernel
                // differences".
                if niceness != 0 { setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness) }
                body()
            })
        let code = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(code == 0, "a thread can be started")
        self.handle = handle
    }

    /// Waits for its end. Called once.
    func join() { pthread_join(handle, nil) }
}
