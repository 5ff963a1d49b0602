import Avro

/// A block that survived a sync, decompressed: one group commit, to be read by anyone.
///
/// An engine hands these out and nothing else; it never shows where the block is kept.
public final class DurableBlock: Sendable {
    /// Number of the block in the ledger, from 0.
    public let number: UInt64
    /// The position of the first event.
    public let firstPosition: Position
    /// The position after the last event.
    public let endPosition: Position
    /// How many records `content` holds; at least one.
    public let batchCount: Int
    /// The first batch's time.
    public let firstReceivedAt: Microseconds
    /// The last batch's time.
    public let lastReceivedAt: Microseconds
    /// The ledger after this block.
    public let head: TreeHead
    /// The schema of the records.
    public let schema: LogSchema
    /// One Avro container block: count, size, records, sync marker.
    public let content: Bytes
    /// Where the records stand in `content`.
    public let records: Range<Int>

    /// Checks that `content` is one Avro container block with the stated number of records.
    ///
    /// - Parameter start: where the container block starts in `content`, if not at its beginning.
    /// - Throws: `FrameFault.badContent` if it is not.
    public init(
        header: BlockHeader, schema: LogSchema, content: Bytes, start: Int = 0, sync: [UInt8]
    ) throws(FrameFault) {
        number = header.block
        firstPosition = header.firstPosition
        endPosition = header.endPosition
        batchCount = Int(header.batchCount)
        firstReceivedAt = header.firstReceivedAt
        lastReceivedAt = header.lastReceivedAt
        head = TreeHead(
            ledger: header.ledger, size: header.treeSize, position: header.endPosition,
            root: header.rootAfter)
        self.schema = schema
        self.content = content
        let found = try content.withUnsafeBytes(in: start..<content.count) {
            (bytes) throws(FrameFault) -> Range<Int> in
            try DurableBlock.records(in: bytes, count: Int64(header.batchCount), sync: sync)
        }
        records = (found.lowerBound + start)..<(found.upperBound + start)
    }

    private static func records(
        in bytes: UnsafeRawBufferPointer, count: Int64, sync: [UInt8]
    ) throws(FrameFault) -> Range<Int> {
        var cursor = ByteCursor(bytes)
        do {
            guard try cursor.readLong() == count else { throw FrameFault.badContent }
            let size = try cursor.readLong()
            guard size >= 0, size == Int64(cursor.remaining) - Int64(sync.count) else {
                throw FrameFault.badContent
            }
            let start = bytes.count - cursor.remaining
            try cursor.skip(Int(size))
            guard try cursor.readRaw(sync.count).elementsEqual(sync) else {
                throw FrameFault.badContent
            }
            return start..<(start + Int(size))
        } catch {
            throw .badContent
        }
    }

    /// Calls `body` with a reader for every batch in order. `body` may leave rows unread.
    ///
    /// - Throws: what `body` throws, and `FrameFault` or `AvroDecodingError` if a record is not
    ///   what the schema says (every checksum held: a bug of the writer, or an attacker's block).
    public func forEachBatch(
        _ body: (inout BatchReader) throws -> Void
    ) throws {
        try content.withUnsafeBytes(in: records) { bytes in
            var cursor = ByteCursor(bytes)
            var expected = firstPosition
            for _ in 0..<batchCount {
                var reader = try BatchReader(at: cursor, schema: schema)
                guard reader.facts.position == expected else { throw FrameFault.badContent }
                expected += Position(reader.rowCount)
                try body(&reader)
                _ = try reader.finish()
                cursor = reader.cursor
            }
            guard cursor.isAtEnd, expected == endPosition else { throw FrameFault.badContent }
        }
    }
}
