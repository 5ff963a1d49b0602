import DaybookLog

/// Makes snapshots of the keys beside the writer, one at a time, when they are asked for.
// @unchecked: the builder belongs to the thread that runs `run()`, all else is under the monitor.
final class SnapshotThread: @unchecked Sendable {
    private struct State {
        var target: Position?
        var position: Position
        var fault: String?
        var failureCount: UInt64 = 0
        /// When the last one was made.
        var madeAt: ContinuousClock.Instant?
        var isClosing = false
    }

    private enum Work {
        case advance(Position)
        case end
    }

    private let builder: SnapshotBuilder
    private let state: Monitor<State>

    init(_ builder: SnapshotBuilder) {
        self.builder = builder
        state = Monitor(State(target: nil, position: builder.head.log.position))
    }

    /// The position that the snapshot covers.
    var position: Position { state.update { $0.position } }
    /// Why the last snapshot could not be made or used.
    var fault: String? { state.update { $0.fault } }
    /// How often that was.
    var failureCount: UInt64 { state.update { $0.failureCount } }
    /// How long ago the last one was made; nil if none was yet.
    var ageSeconds: Double? {
        state.update { $0.madeAt }.map { (ContinuousClock.now - $0) / .seconds(1) }
    }

    /// Asks for a snapshot up to a durable position.
    func request(_ target: Position) { state.update { $0.target = target } }

    func note(fault: String) {
        state.update {
            $0.fault = fault
            $0.failureCount += 1
        }
    }

    /// Ends the thread, after a last snapshot up to a durable position.
    func close(at target: Position) {
        state.update {
            $0.target = target
            $0.isClosing = true
        }
    }

    /// Works until the end.
    func run() {
        while true {
            let work: Work = state.wait {
                if let target = $0.target {
                    $0.target = nil
                    return .advance(target)
                }
                return $0.isClosing ? .end : nil
            }
            guard case .advance(let target) = work else { return }
            do throws(LedgerError) {
                let isNew = target > builder.head.log.position
                if isNew { try builder.advance(to: target) }
                state.update {
                    if isNew { $0.madeAt = .now }
                    $0.position = builder.head.log.position
                    $0.fault = nil
                }
            } catch {
                // The snapshot before it stands; the writer will ask again.
                note(fault: "\(error)")
            }
        }
    }
}
