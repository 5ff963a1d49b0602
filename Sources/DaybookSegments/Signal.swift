import DaybookLog

/// Wakes threads that wait for something to become durable. It holds no state of its own: a waiter
/// looks again whenever it is woken.
final class Signal: Sendable {
    private let monitor = Monitor(())

    /// Wakes all who wait.
    func wakeAll() { monitor.update { _ in } }

    /// Waits until `isMet` or the time is over; whether it was met.
    func wait(timeoutSeconds: Double, until isMet: () -> Bool) -> Bool {
        let seconds = max(0, min(timeoutSeconds, 86_400))
        return monitor.wait(timeoutSeconds: seconds) { _ in isMet() ? true : nil } ?? false
    }
}
