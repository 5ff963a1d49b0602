import DaybookLog
import ServiceLifecycle

/// Ends the server when the log has failed: its first failure ends the service group in good order,
/// so that what waits is answered, and then the process.
final class FailureSignal: Service {
    private let failures: AsyncStream<LogError>
    private let continuation: AsyncStream<LogError>.Continuation

    init() {
        (failures, continuation) = AsyncStream.makeStream()
    }

    /// Says that the process must end.
    func raise(_ error: LogError) {
        continuation.yield(error)
    }

    func run() async throws {
        try await withGracefulShutdownHandler {
            for await failure in failures { throw failure }
        } onGracefulShutdown: { [continuation] in
            continuation.finish()
        }
    }
}
