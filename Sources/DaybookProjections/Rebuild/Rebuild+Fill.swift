import Avro
import DaybookCatalog
import DaybookLog
import Foundation
import Postgres
import Synchronization

/// Filling: rows to begin with and the log after them are read once and copied in pieces, over
/// several connections.
extension Rebuild {
    /// What those who copy share.
    private final class Fill: Sendable {
        struct State {
            var eventCount: Int64
            var baseRowCount: Int64 = 0
            var failure: (any Error)?
        }
        let base: (any BaseRows)?
        let pieces: PieceSource
        let state: Mutex<State>
        let eventCountBefore: Int64
        let start = ContinuousClock.now

        init(_ pieces: PieceSource, base: (any BaseRows)?, eventCountBefore: Int64) {
            self.pieces = pieces
            self.base = base
            self.eventCountBefore = eventCountBefore
            state = Mutex(State(eventCount: eventCountBefore))
        }
    }

    /// What one of those who copy needs; it shares nothing else with the others.
    private struct Copying: Sendable {
        let name: String
        /// The table whose rows are copied or folded; nil for the audit.
        let table: Table?
        let baseRowCount: Int
        /// All that was retracted up to the filling's end.
        let retracted: RetractedRows
        let transcoders: @Sendable () -> TranscoderSet
        let connect: @Sendable () throws -> PostgresConnection
        let isStopping: @Sendable () -> Bool
    }

    /// Copies everything before `end` that is not yet copied.
    func fill(_ end: TreeHead, _ connection: PostgresConnection) throws {
        let done = try PieceSource.done(connection, name)
        // Groups of an aggregate are brought up to date by key: two connections would wait for each
        // other, and the more rows are folded in memory, the fewer groups are written.
        let aggregate = catalog.aggregate(named: name)
        let table = catalog.table(named: aggregate?.table ?? name)
        let start = options.base?.head.position ?? 0
        let log = try source()
        let fill = Fill(
            PieceSource(
                log, positions: start..<end.position, done: done,
                rowCount: options.pieceRowCount * (aggregate == nil ? 1 : 20)),
            base: try table.flatMap { try options.base?.rows(of: $0.name) },
            eventCountBefore: start + done.reduce(0) { $0 + Int64($1.count) })
        let copying = Copying(
            name: name, table: table, baseRowCount: options.pieceRowCount,
            retracted: try RetractedRows(of: log, below: end.position),
            transcoders: { [catalog] in TranscoderSet(catalog: catalog) },
            connect: connect, isStopping: isStopping)
        let count = aggregate == nil ? max(1, options.connectionCount) : 1
        let threads = (0..<count).map { number in
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
        let state = fill.state.withLock { $0 }
        if let failure = state.failure { throw failure }
        precondition(state.eventCount == end.position, "every event is copied once")
        precondition(
            state.baseRowCount == fill.base?.rowCount ?? 0, "every row to begin with is copied once"
        )
    }

    private func tell(_ fill: Fill, _ total: Position) {
        let state = fill.state.withLock { $0 }
        let baseTotal = fill.base?.rowCount ?? 0
        if state.baseRowCount < baseTotal {
            return say(
                RebuildProgress(
                    projection: name, phase: .base, eventCount: state.baseRowCount,
                    eventCountTotal: baseTotal, seconds: (.now - fill.start) / .seconds(1),
                    eventCountBefore: 0))
        }
        say(
            RebuildProgress(
                projection: name, phase: .filling,
                eventCount: state.eventCount, eventCountTotal: total,
                seconds: (.now - fill.start) / .seconds(1),
                eventCountBefore: fill.eventCountBefore))
    }

    private static func copy(_ copying: Copying, _ fill: Fill) {
        do {
            let connection = try copying.connect()
            try connection.execute("SET synchronous_commit = off")
            let transcoders = copying.transcoders()
            if let base = fill.base, let table = copying.table {
                try copyBase(base, of: table, transcoders, copying, fill, connection)
            }
            while fill.state.withLock({ $0.failure == nil }), let piece = try fill.pieces.next() {
                if copying.isStopping() { throw RebuildError.stopped }
                try connection.transaction {
                    try PieceSource.note(connection, copying.name, piece)
                    let step = ProjectionStep(
                        connection, into: ProjectionTables.destination, transcoders: transcoders,
                        participants: [
                            .init(name: copying.name, from: piece.positions.lowerBound)
                        ], end: piece.positions.upperBound,
                        retractions: .known(copying.retracted), setsStates: false)
                    try step.apply(piece.blocks)
                }
                fill.state.withLock { $0.eventCount += Int64(piece.positions.count) }
            }
        } catch {
            fill.state.withLock { $0.failure = $0.failure ?? error }
        }
    }

    /// Copies rows to begin with, or folds them, until all are dealt out.
    private static func copyBase(
        _ base: any BaseRows, of table: Table, _ transcoders: TranscoderSet, _ copying: Copying,
        _ fill: Fill, _ connection: PostgresConnection
    ) throws {
        let transcoder = try BaseTranscoder(
            base.schema, table: table, without: copying.retracted)
        let target = SQL.identifier(ProjectionTables.buildSchema, copying.name)
        func take() throws -> ContainerBlock? {
            if copying.isStopping() { throw RebuildError.stopped }
            guard fill.state.withLock({ $0.failure == nil }) else { return nil }
            return try base.next()
        }
        do {
            if let plan = transcoders.aggregate(named: copying.name) {
                try foldBase(take, transcoder, plan, into: target, fill, connection)
            } else {
                while let first = try take() {
                    try copyPiece(first, take, transcoder, into: target, copying, fill, connection)
                }
            }
        } catch let error as AvroDecodingError {
            throw RebuildError.unreadableBase(table.name, "\(error)")
        }
    }

    /// Copies `first` and what follows it, until that is a transaction.
    private static func copyPiece(
        _ first: ContainerBlock, _ take: () throws -> ContainerBlock?,
        _ transcoder: BaseTranscoder, into target: String, _ copying: Copying, _ fill: Fill,
        _ connection: PostgresConnection
    ) throws {
        let names = transcoder.columns.map(SQL.identifier).joined(separator: ", ")
        var sink = ByteSink(capacity: 1 << 18)
        var rowCount = 0
        _ = try connection.copyIn("COPY \(target) (\(names)) FROM STDIN (FORMAT binary)") {
            try $0.write(BinaryCopy.header)
            var next: ContainerBlock? = first
            while let piece = next {
                try transcoder.append(piece, to: &sink)
                try $0.write(sink.unsafeBytes)
                sink.removeAll()
                rowCount += piece.count
                next = rowCount < copying.baseRowCount ? try take() : nil
            }
            try $0.write(BinaryCopy.trailer)
        }
        fill.state.withLock { $0.baseRowCount += Int64(rowCount) }
    }

    private static func foldBase(
        _ take: () throws -> ContainerBlock?, _ transcoder: BaseTranscoder, _ plan: AggregatePlan,
        into target: String, _ fill: Fill, _ connection: PostgresConnection
    ) throws {
        let fold = AggregateFold(plan)
        let columns = transcoder.columns
        let upsert = plan.upsert(into: target)
        var sink = ByteSink(capacity: 1024)
        while let piece = try take() {
            try transcoder.forEachRow(of: piece, &sink) { row in
                fold.add(row, columns: columns)
                if fold.isFull { _ = try connection.query(upsert, fold.takeParameters()) }
            }
            fill.state.withLock { $0.baseRowCount += Int64(piece.count) }
        }
        if !fold.isEmpty { _ = try connection.query(upsert, fold.takeParameters()) }
    }
}
