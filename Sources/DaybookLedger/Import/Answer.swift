import Synchronization

/// The ledger's answer to one batch, given once and waited for once.
final class Answer<Value: Sendable>: Sendable {
    typealias Completion = @Sendable (Result<Value, LedgerError>) -> Void

    private enum State {
        case empty
        case waiting(CheckedContinuation<Result<Value, LedgerError>, Never>)
        case given(Result<Value, LedgerError>)
    }

    private let state = Mutex(State.empty)

    /// Asks with `ask`; the place in the ledger's queue is taken when this returns.
    init(_ ask: (@escaping Completion) -> Void) {
        ask { self.give($0) }
    }

    private func give(_ result: Result<Value, LedgerError>) {
        let waiting = state.withLock {
            state -> CheckedContinuation<Result<Value, LedgerError>, Never>? in
            guard case .waiting(let continuation) = state else {
                state = .given(result)
                return nil
            }
            return continuation
        }
        waiting?.resume(returning: result)
    }

    /// When to ask again, if the queue was full.
    var retryAfterSeconds: Int? {
        state.withLock { state in
            if case .given(.failure(.queueFull(let seconds))) = state { seconds } else { nil }
        }
    }

    func result() async -> Result<Value, LedgerError> {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state -> Result<Value, LedgerError>? in
                if case .given(let result) = state { return result }
                state = .waiting(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
