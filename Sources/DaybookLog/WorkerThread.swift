import Glibc

/// A plain thread of the system, for work that blocks: nothing that reads files runs on the pool.
///
/// Source: `pthread_create`, `pthread_join`.
package struct WorkerThread: Sendable {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private let handle: pthread_t

    /// Starts a thread. One with a higher `niceness` runs when the others leave it the time.
    package init(niceness: Int32 = 0, _ body: @escaping @Sendable () -> Void) {
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
    package func join() { pthread_join(handle, nil) }

    /// How many threads can run at once on this machine. sysconf(3)
    package static var coreCount: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
