import DaybookLog
import Postgres
import Synchronization

/// Deals the log out in pieces to those who copy it, leaving out what is copied already.
///
/// A piece is some blocks in order. It is noted in the transaction that copies it, so that a
/// rebuild that was killed finds every event copied once.
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

    /// Deals out what is before `end`, but for `done`, in pieces of about `rowCount` rows.
    init(_ source: any LogSource, end: Position, done: [Range<Position>], rowCount: Int) {
        precondition(rowCount > 0, "a piece has rows")
        self.source = source
        self.rowCount = rowCount
        self.end = end
        let sorted = done.sorted { $0.lowerBound < $1.lowerBound }
        place = Mutex(Place(next: 0, done: sorted[...]))
    }

    /// The next piece; nil when all is dealt out.
    func next() throws -> ArraySlice<DurableBlock>? {
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
                        block.firstPosition == place.next && block.endPosition <= limit,
                        "pieces begin and end where blocks do, and no position is passed over")
                    blocks.append(block)
                    byteCount += block.content.count
                    place.next = block.endPosition
                }
            }
            return blocks.isEmpty ? nil : blocks[...]
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
        _ connection: PostgresConnection, _ name: String, _ piece: ArraySlice<DurableBlock>
    ) throws {
        guard let first = piece.first, let last = piece.last else { return }
        _ = try connection.query(
            "INSERT INTO daybook.rebuild_pieces VALUES ($1, $2, $3)",
            [.text(name), .int64(first.firstPosition), .int64(last.endPosition)])
    }
}
