import Avro
import DaybookCatalog
import DaybookLog
import Synchronization

/// Reads single batches and rows from the log, and keeps the blocks read last.
///
/// Retries and the confirmation of keys ask for the same neighbourhood again and again, so a block
/// that was read stays, with the places of its batches, up to a limit in bytes.
final class LogLookup: Sendable {
    fileprivate struct Cache {
        /// The block used last stands last.
        var blocks: [IndexedBlock] = []
        var byteCount = 0
    }

    let engine: any LogSource
    private let byteLimit: Int
    private let cache = Mutex(Cache())

    init(engine: any LogSource, byteLimit: Int) {
        self.engine = engine
        self.byteLimit = byteLimit
    }

    /// Calls `body` with a reader of the batch that holds `position`; nil beyond the end.
    func withBatch<R>(
        at position: Position, _ body: (inout BatchReader) throws -> R
    ) throws(LedgerError) -> R? {
        guard position >= 0, position < engine.durable.position else { return nil }
        let block = try indexedBlock(holding: position)
        do {
            return try block.withBatch(at: position, body)
        } catch {
            throw .log(Self.corruption(of: block.block, error))
        }
    }

    /// Shows `body` the batches received in `times`, in order, until it gives something.
    func search<R>(
        receivedAt times: Range<Microseconds>, _ body: (inout BatchReader) throws -> R?
    ) throws(LedgerError) -> R? {
        var position = try reading { () throws(LogError) in
            try engine.position(asOf: times.lowerBound - 1)
        }
        while position < engine.durable.position {
            let block = try indexedBlock(holding: position)
            do {
                let from = position
                for index in block.batches.indices where block.batches[index].position >= from {
                    var reader = try block.reader(index)
                    if reader.facts.receivedAt >= times.upperBound { return nil }
                    if let found = try body(&reader) { return found }
                }
            } catch {
                throw .log(Self.corruption(of: block.block, error))
            }
            position = block.block.endPosition
        }
        return nil
    }

    /// The batch with this id: found by the time in it, then compared in full. Nil if there is
    /// none, or if it is no UUIDv7.
    func batch(id: String) throws(LedgerError) -> Receipt? {
        guard let times = BatchID(id)?.receivedAt else { return nil }
        let text = id.lowercased()
        return try search(receivedAt: times) { reader in
            reader.facts.id == text ? try Receipt(reading: &reader, isReplay: true) : nil
        }
    }

    private func indexedBlock(holding position: Position) throws(LedgerError) -> IndexedBlock {
        if let block = cache.withLock({ $0.take(position) }) { return block }
        let blocks = try reading { () throws(LogError) in
            try engine.blocks(from: position, byteLimit: 1)
        }
        guard let block = blocks.first, block.firstPosition <= position,
            position < block.endPosition
        else { throw .log(.outOfRange(position)) }
        let indexed: IndexedBlock
        do {
            indexed = try IndexedBlock(block)
        } catch {
            throw .log(Self.corruption(of: block, error))
        }
        cache.withLock { $0.add(indexed, byteLimit: byteLimit) }
        return indexed
    }

    private func reading<R>(_ body: () throws(LogError) -> R) throws(LedgerError) -> R {
        do { return try body() } catch { throw .log(error) }
    }

    /// Every checksum held, so a record that cannot be read is a fault of whoever wrote it.
    private static func corruption(of block: DurableBlock, _ error: any Error) -> LogError {
        .corrupt(
            Corruption(
                file: "block \(block.number)", offset: 0, position: block.firstPosition,
                what: "a record does not read as its schema says: \(error)"))
    }
}

extension LogSource {
    /// The batch with this id, read from the log; nil if there is none. Blocks if it reads from
    /// disk.
    ///
    /// - Throws: `LedgerError.log` if the log cannot be read.
    public func batch(id: String) throws(LedgerError) -> Receipt? {
        try LogLookup(engine: self, byteLimit: 0).batch(id: id)
    }
}

extension LogLookup.Cache {
    mutating func take(_ position: Position) -> IndexedBlock? {
        guard let place = blocks.lastIndex(where: { $0.holds(position) }) else { return nil }
        let block = blocks.remove(at: place)
        blocks.append(block)
        return block
    }

    mutating func add(_ block: IndexedBlock, byteLimit: Int) {
        if blocks.contains(where: { $0.holds(block.block.firstPosition) }) { return }
        blocks.append(block)
        byteCount += block.block.content.count
        while byteCount > byteLimit, blocks.count > 1 {
            byteCount -= blocks.removeFirst().block.content.count
        }
    }
}

/// A block and where its batches stand in it.
struct IndexedBlock: Sendable {
    struct Place: Sendable {
        let position: Position
        /// The record, in the block's content.
        let start: Int
    }

    let block: DurableBlock
    let batches: [Place]

    init(_ block: DurableBlock) throws(AvroDecodingError) {
        self.block = block
        batches = try block.content.withUnsafeBytes(in: block.records) {
            (bytes) throws(AvroDecodingError) -> [Place] in
            var cursor = ByteCursor(bytes)
            var places: [Place] = []
            while !cursor.isAtEnd {
                let start = bytes.count - cursor.remaining
                var reader = try BatchReader(at: cursor, schema: block.schema)
                places.append(
                    Place(
                        position: reader.facts.position, start: block.records.lowerBound + start))
                _ = try reader.finish()
                cursor = reader.cursor
            }
            return places
        }
    }

    func holds(_ position: Position) -> Bool {
        block.firstPosition <= position && position < block.endPosition
    }

    /// A reader of the batch with this index. The block must stay alive while it is used.
    func reader(_ index: Int) throws(AvroDecodingError) -> BatchReader {
        let rest = UnsafeRawBufferPointer(
            rebasing: block.content.unsafeBytes[batches[index].start..<block.records.upperBound])
        return try BatchReader(at: ByteCursor(rest), schema: block.schema)
    }

    func withBatch<R>(
        at position: Position, _ body: (inout BatchReader) throws -> R
    ) throws -> R {
        precondition(holds(position), "a batch is looked for in the block that holds it")
        var low = 0
        var high = batches.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if batches[middle].position <= position { low = middle } else { high = middle }
        }
        return try withExtendedLifetime(block) {
            var reader = try reader(low)
            return try body(&reader)
        }
    }
}
