import Avro

/// Builds a group's block: the batches' records one after the other, each hashed when it is done.
///
/// One builder, one owner, one buffer: the records are assembled where they will be compressed
/// from.
public struct BlockBuilder: ~Copyable, Sendable {
    /// Facts of one batch that the engine counts by.
    public struct Entry: Sendable {
        /// The table of the rows; empty for the ledger's own batches.
        public let table: String
        /// The first row's position.
        public let firstPosition: Position
        /// How many rows the batch has, accepted and rejected.
        public let eventCount: Int
        /// How many of them were rejected.
        public let rejectedCount: Int
        /// The batch's time: later than that of the batch before it.
        public let receivedAt: Microseconds
        /// RFC 6962 leaf digest of the record.
        public let leaf: Digest
    }

    /// The schema of the records: that of the segment they will stand in.
    public let schema: LogSchema
    /// The batches so far.
    public private(set) var entries: [Entry] = []
    var sink: ByteSink
    /// Room before the records for Avro's count and size, which are known only at the end.
    static let gapByteCount = 20

    /// An empty group of records of `schema`.
    public init(schema: LogSchema, capacity: Int = 1 << 16) {
        LogLimits.assertNesting()
        self.schema = schema
        sink = ByteSink(capacity: capacity + BlockBuilder.gapByteCount)
        sink.append(raw: [UInt8](repeating: 0, count: BlockBuilder.gapByteCount))
    }

    /// Bytes of the records so far.
    public var byteCount: Int { sink.count - BlockBuilder.gapByteCount }
    /// Whether no batch was appended yet.
    public var isEmpty: Bool { entries.isEmpty }

    /// Appends one batch's record. `rows` writes exactly `rowCount` rows, each with its branch.
    ///
    /// - Returns: the record's leaf digest, or nil if the record would outgrow its limit; then the
    ///   builder is as it was before.
    public mutating func append(
        _ facts: BatchFacts, rowCount: Int, rejectedCount: Int, rows: (inout ByteSink) -> Void
    ) -> Digest? {
        precondition(rowCount > 0, "a batch has at least one row")
        precondition(
            rejectedCount >= 0 && rejectedCount <= rowCount, "rows are accepted or rejected")
        if let last = entries.last {
            precondition(
                facts.position == last.firstPosition + Position(last.eventCount),
                "positions have no gap")
            precondition(facts.receivedAt > last.receivedAt, "time is strictly increasing")
        }
        let start = sink.count
        sink.append(facts)
        sink.append(long: Int64(rowCount))
        rows(&sink)
        sink.append(long: 0)
        guard sink.count - start <= LogLimits.recordByteCount else {
            sink.truncate(to: start)
            return nil
        }
        let record = UnsafeRawBufferPointer(rebasing: sink.unsafeBytes[start...])
        let leaf = MerkleFrontier.leaf(of: record)
        entries.append(
            Entry(
                table: facts.table, firstPosition: facts.position, eventCount: rowCount,
                rejectedCount: rejectedCount, receivedAt: facts.receivedAt, leaf: leaf))
        return leaf
    }

    /// Appends a batch's record as it was read, byte for byte.
    ///
    /// - Throws: `AvroDecodingError` if the rows that were not read yet are none.
    public mutating func append(
        recordOf reader: inout BatchReader, rejectedCount: Int
    ) throws(AvroDecodingError) {
        precondition(reader.schema == schema, "a group's records have one schema")
        if let last = entries.last {
            precondition(
                reader.facts.position == last.firstPosition + Position(last.eventCount),
                "positions have no gap")
            precondition(reader.facts.receivedAt > last.receivedAt, "time is strictly increasing")
        }
        let record = try reader.finish()
        sink.append(raw: record)
        entries.append(
            Entry(
                table: reader.facts.table, firstPosition: reader.facts.position,
                eventCount: reader.rowCount, rejectedCount: rejectedCount,
                receivedAt: reader.facts.receivedAt, leaf: MerkleFrontier.leaf(of: record)))
    }

    /// Ends the block: puts count and size before the records and the sync marker behind them.
    ///
    /// - Returns: one Avro container block, and the entries.
    public consuming func finish(sync: [UInt8]) -> (content: Content, entries: [Entry]) {
        precondition(!entries.isEmpty, "a block has at least one batch")
        var prefix = ByteSink(capacity: BlockBuilder.gapByteCount)
        prefix.append(long: Int64(entries.count))
        prefix.append(long: Int64(byteCount))
        precondition(prefix.count <= BlockBuilder.gapByteCount, "count and size fit the gap")
        let start = BlockBuilder.gapByteCount - prefix.count
        UnsafeMutableRawBufferPointer(rebasing: sink.unsafeMutableBytes[start...])
            .copyMemory(from: prefix.unsafeBytes)
        sink.append(raw: sync)
        let entries = self.entries
        return (Content(bytes: sink.finish(), start: start), entries)
    }

    /// One Avro container block inside a buffer that has some unused bytes before it.
    public struct Content: Sendable {
        /// The buffer, of which the container block is the end.
        public let bytes: Bytes
        /// Where the container block starts in `bytes`.
        public let start: Int
    }
}
