import DaybookLog
import DaybookSegments
import Testing

/// Small logs for tests: a table of one integer, batches of a few rows.
enum Sample {
    static let schema: LogSchema = {
        let record =
            #"{"type":"record","name":"t","namespace":"daybook.rows","fields":["#
            + #"{"name":"id","type":"long"}]}"#
        guard let schema = try? LogSchema(recordSchemas: [record]) else {
            preconditionFailure("the sample's schema is valid")
        }
        return schema
    }()

    static func options(segmentByteCount: UInt64 = 1 << 20) -> SegmentLogOptions {
        var options = SegmentLogOptions(schema: schema, clock: { 1_000_000 })
        options.segmentByteCount = segmentByteCount
        return options
    }

    static func open(
        _ disk: any LogDisk, segmentByteCount: UInt64 = 1 << 20
    ) throws(LogError) -> SegmentLog {
        try SegmentLog(disk: disk, options: options(segmentByteCount: segmentByteCount))
    }

    /// Appends a group of batches with `rows` rows each; every row holds its own position.
    @discardableResult
    static func append(
        _ log: SegmentLog, batches: Int = 1, rows: Int = 3
    ) throws(LogError) -> DurableBlock {
        var builder = BlockBuilder(schema: log.schema)
        var position = log.durable.position
        var time = log.lastReceivedAt
        for _ in 0..<batches {
            time += 10
            let facts = BatchFacts(
                position: position, receivedAt: time, clock: time,
                id: "0190a000-0000-7000-8000-000000000000", source: "test", principal: "nobody",
                dictionary: "v1", table: "t", format: "json")
            let start = position
            let leaf = builder.append(facts, rowCount: rows, rejectedCount: 0) { sink in
                for row in 0..<rows {
                    sink.append(long: 0)
                    sink.append(long: start + Int64(row))
                }
            }
            precondition(leaf != nil, "a small record is within its limit")
            position += Int64(rows)
        }
        return try log.append(builder)
    }

    /// What a log of `blocks` blocks with three rows each leaves behind, closed in good order.
    static func closedLog(blocks: Int, segmentByteCount: UInt64) throws -> MemoryDisk {
        let disk = MemoryDisk()
        let log = try open(disk, segmentByteCount: segmentByteCount)
        for _ in 0..<blocks { try append(log) }
        try log.close()
        return disk
    }

    /// All values of all rows from `position` on, as the blocks give them.
    static func values(_ log: SegmentLog, from position: Position = 0) throws -> [Int64] {
        try values(from: position, end: log.durable.position) { position throws(LogError) in
            try log.blocks(from: position, byteLimit: 1)
        }
    }

    static func values(
        from start: Position, end: Position,
        _ read: (Position) throws(LogError) -> [DurableBlock]
    ) throws -> [Int64] {
        var values: [Int64] = []
        var position = start
        while position < end {
            let blocks = try read(position)
            try #require(!blocks.isEmpty)
            for block in blocks {
                try block.forEachBatch { reader in
                    while try reader.nextBranch() != nil {
                        values.append(try reader.cursor.readLong())
                    }
                }
                position = block.endPosition
            }
        }
        return values
    }

    static var firstSegment: String { "00000000000000000000.avro.lz4" }
}
