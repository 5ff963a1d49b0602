import Avro
import DaybookLog

/// Why events cannot be read on.
public enum EventReadError: Error, Sendable {
    /// The log cannot be read.
    case log(LogError)
    /// A block's bytes are not what its schema says.
    case text(EventTextError)
}

/// Reads a log front to back as NDJSON, a piece at a time: a line an event that passes a filter.
///
/// It holds one read of blocks and one piece of text, whatever the log's length.
public struct EventReader: Sendable {
    /// How much of the log is read at once, in bytes of blocks; at least one block.
    static let readByteCount = 1 << 20
    /// How long a piece of text becomes, but for its last line.
    static let pieceByteCount = 256 << 10

    /// Everything before it was given out, or did not pass.
    public private(set) var position: Position
    private let source: any LogSource
    private let filter: EventFilter
    private var lineLimit: Int
    private var blocks: ArraySlice<DurableBlock> = []
    private var text = EventText()

    /// A reader of the events that pass `filter`, at most `limit` of them.
    public init(_ source: any LogSource, filter: EventFilter, limit: Int = .max) {
        position = filter.positions.lowerBound
        self.source = source
        self.filter = filter
        lineLimit = limit
    }

    /// Whether it has given out all that was asked for, whatever is appended.
    public var isDone: Bool { lineLimit == 0 || position >= filter.positions.upperBound }

    /// The next piece; empty if nothing passed in what was read, nil at the end of the log as it is
    /// now, and when it is done. Blocks on the disk.
    public mutating func next() throws(EventReadError) -> Bytes? {
        if isDone { return nil }
        if blocks.isEmpty { try readBlocks() }
        guard !blocks.isEmpty else { return nil }
        var json = JSONWriter(capacity: 16 << 10)
        while let block = blocks.first, !isDone, json.count < Self.pieceByteCount {
            let rest = EventFilter(
                positions: position..<filter.positions.upperBound, tables: filter.tables,
                verdict: filter.verdict)
            let limits = EventText.Limits(
                lineCount: lineLimit, byteCount: Self.pieceByteCount)
            let progress: EventText.Progress
            do throws(EventTextError) {
                progress = try text.write(block, filter: rest, limits: limits, to: &json)
            } catch {
                throw .text(error)
            }
            lineLimit -= progress.lineCount
            position = max(position, progress.position)
            if progress.position == block.endPosition { blocks.removeFirst() }
        }
        return json.finish()
    }

    private mutating func readBlocks() throws(EventReadError) {
        do throws(LogError) {
            blocks = try source.blocks(from: position, byteLimit: Self.readByteCount)[...]
        } catch {
            throw .log(error)
        }
        precondition(
            blocks.first.map { $0.firstPosition <= position && position < $0.endPosition } ?? true,
            "the first block holds the position")
    }
}
