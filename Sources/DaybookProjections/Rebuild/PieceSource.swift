import DaybookLog
import Postgres
import Synchronization

/// A part of the log to be copied: blocks in order, and the positions that are meant. The first
/// block may begin before them and the last end after them, both inside the block.
struct LogPiece {
    let blocks: ArraySlice<DurableBlock>
    let positions: Range<Position>
}

/// Deals the log out in pieces to those who copy it, leaving out what is copied already.
///
/// A piece is noted in the transaction that copies it, so that a rebuild that was killed finds
/// every event copied once.
final class PieceSource: Sendable {
    private struct Place {
        var next: Position
        /// Pieces that were copied before, in order.
        var done: ArraySlice<Range<Position>>
    }

    private let source: any LogSource
    private let end: Position
    private let place: Mutex<Place>

    private let rowCount: Int

    /// How much of the log a piece holds, in bytes of blocks.
    private static let byteCountMax = 128 << 20

    /// Deals out what is in `positions`, which lie between batches, but for `done`, in pieces of
    /// about `rowCount` rows.
    init(
        _ source: any LogSource, positions: Range<Position>, done: [Range<Position>],
        rowCount: Int
    ) {
        precondition(rowCount > 0, "a piece has rows")
        self.source = source
        self.rowCount = rowCount
        end = positions.upperBound
        let sorted = done.sorted { $0.lowerBound < $1.lowerBound }
        place = Mutex(Place(next: positions.lowerBound, done: sorted[...]))
    }

    /// The next piece; nil when all is dealt out.
    func next() throws -> LogPiece? {
        // Whoever takes a piece reads it while the others wait: reading and decompressing is the
        // least part of the work.
        try place.withLock { place in
            while let done = place.done.first, done.lowerBound <= place.next {
                place.next = max(place.next, done.upperBound)
                place.done.removeFirst()
            }
            let limit = min(end, place.done.first?.lowerBound ?? end)
            var blocks: [DurableBlock] = []
            var byteCount = 0
            let start = place.next
            func hasRoom() -> Bool {
                place.next < limit && byteCount < PieceSource.byteCountMax
                    && place.next - start < rowCount
            }
            while hasRoom() {
                for block in try source.blocks(from: place.next, byteLimit: 4 << 20)
                where hasRoom() {
                    precondition(
                        block.firstPosition <= place.next && place.next < block.endPosition,
                        "no position is passed over")
                    blocks.append(block)
                    byteCount += block.content.count
                    place.next = min(block.endPosition, limit)
                }
            }
            return blocks.isEmpty
                ? nil : LogPiece(blocks: blocks[...], positions: start..<place.next)
        }
    }

    /// The pieces that a projection's rebuild has copied.
    static func done(
        _ connection: PostgresConnection, _ name: String
    ) throws -> [Range<Position>] {
        let rows = try connection.query(
            "SELECT from_position, to_position FROM daybook.rebuild_pieces WHERE projection = $1",
            [.text(name)], format: .binary)
        return rows.compactMap { row in
            guard let from = row.int64(0), let to = row.int64(1), from < to else { return nil }
            return from..<to
        }
    }

    static func note(
        _ connection: PostgresConnection, _ name: String, _ piece: LogPiece
    ) throws {
        _ = try connection.query(
            "INSERT INTO daybook.rebuild_pieces VALUES ($1, $2, $3)",
            [
                .text(name), .int64(piece.positions.lowerBound),
                .int64(piece.positions.upperBound),
            ])
    }
}
