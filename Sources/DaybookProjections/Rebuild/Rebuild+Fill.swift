import DaybookLog
import Foundation
import Postgres
import Synchronization

/// Filling: the log is read once and copied in pieces, over several connections.
extension Rebuild {
    /// What those who copy share.
    private final class Fill: Sendable {
        struct State {
            var eventCount: Int64
            var failure: (any Error)?
        }
        let pieces: PieceSource
        let state: Mutex<State>
        let eventCountBefore: Int64
        let start = ContinuousClock.now

        init(_ pieces: PieceSource, eventCountBefore: Int64) {
            self.pieces = pieces
            self.eventCountBefore = eventCountBefore
            state = Mutex(State(eventCount: eventCountBefore))
        }
    }

    /// What one of those who copy needs; it shares nothing else with the others.
    private struct Copying: Sendable {
        let name: String
        let transcoders: @Sendable () -> TranscoderSet
        let connect: @Sendable () throws -> PostgresConnection
        let isStopping: @Sendable () -> Bool
    }

    /// Copies everything before `end` that is not yet copied.
    func fill(_ end: TreeHead, _ connection: PostgresConnection) throws {
        let done = try PieceSource.done(connection, name)
        // Groups of an aggregate are brought up to date by key: two connections would wait for each
        // other, and the more rows are folded in memory, the fewer groups are written.
        let isAggregate = catalog.aggregate(named: name) != nil
        let fill = Fill(
            PieceSource(
                try source(), end: end.position, done: done,
                rowCount: options.pieceRowCount * (isAggregate ? 20 : 1)),
            eventCountBefore: done.reduce(0) { $0 + Int64($1.count) })
        let copying = Copying(
            name: name, transcoders: { [catalog] in TranscoderSet(catalog: catalog) },
            connect: connect, isStopping: isStopping)
        let threads = (0..<(isAggregate ? 1 : max(1, options.connectionCount))).map { number in
            let done = DispatchSemaphore(value: 0)
            let thread = Thread {
                Rebuild.copy(copying, fill)
                done.signal()
            }
            thread.name = "rebuild-\(number)"
            thread.stackSize = 1 << 20
            thread.start()
            return done
        }
        for thread in threads {
            while thread.wait(timeout: .now() + 0.2) == .timedOut { tell(fill, end.position) }
        }
        tell(fill, end.position)
        if let failure = fill.state.withLock({ $0.failure }) { throw failure }
        let copied = fill.state.withLock { $0.eventCount }
        precondition(copied == end.position, "every event is copied once")
    }

    private func tell(_ fill: Fill, _ total: Position) {
        say(
            RebuildProgress(
                projection: name, phase: .filling,
                eventCount: fill.state.withLock { $0.eventCount }, eventCountTotal: total,
                seconds: (ContinuousClock.now - fill.start) / .seconds(1),
                eventCountBefore: fill.eventCountBefore))
    }

    private static func copy(_ copying: Copying, _ fill: Fill) {
        do {
            let connection = try copying.connect()
            try connection.execute("SET synchronous_commit = off")
            let transcoders = copying.transcoders()
            while fill.state.withLock({ $0.failure == nil }), let piece = try fill.pieces.next(),
                let first = piece.first, let last = piece.last
            {
                if copying.isStopping() { throw RebuildError.stopped }
                try connection.transaction {
                    try PieceSource.note(connection, copying.name, piece)
                    let step = ProjectionStep(
                        connection, into: ProjectionTables.destination, transcoders: transcoders,
                        participants: [.init(name: copying.name, from: first.firstPosition)])
                    try step.apply(piece)
                }
                let count = last.endPosition - first.firstPosition
                fill.state.withLock { $0.eventCount += count }
            }
        } catch {
            fill.state.withLock { $0.failure = $0.failure ?? error }
        }
    }
}
