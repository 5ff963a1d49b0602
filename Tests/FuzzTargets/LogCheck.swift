import Avro
import DaybookLog
import DaybookSegments

/// Opens a folder as the server does, reads it, verifies it, appends to it and opens it again.
enum LogCheck {
    static func run(_ files: [String: [UInt8]]) throws {
        let verified = try verify(files)
        try readBeside(files)
        let disk = FuzzDisk(files)
        let log: SegmentLog
        do {
            log = try open(disk)
        } catch {
            try accept(error, verified, hasHead: files["HEAD"] != nil)
            return
        }
        let end = log.durable
        let count = try read(log, isSound: verified?.isSound ?? false)
        if let verified, verified.isSound, log.recovery.cut == nil, verified.head == end {
            try require(
                count == verified.eventCount,
                "verifying counts \(verified.eventCount) events, "
                    + "reading \(count)")
        }
        _ = log.ranges(holding: "jobs")
        _ = try? log.position(asOf: log.lastReceivedAt / 2)
        try append(to: log)
        try log.close()
        let head = log.durable
        let again = try open(disk)
        try require(again.durable == head, "a log is opened as it was closed")
        try require(
            again.recovery.cut == nil, "nothing is cut from a log that was closed")
    }

    private static func open(_ disk: FuzzDisk) throws(LogError) -> SegmentLog {
        guard let schema = try? LogSchema(recordSchemas: []) else {
            preconditionFailure("a schema without tables is one")
        }
        return try SegmentLog(
            disk: disk, options: SegmentLogOptions(schema: schema, clock: { 1_000_000 }))
    }

    private static func verify(_ files: [String: [UInt8]]) throws -> LogVerification? {
        do {
            return try LogVerifier.run(disk: FuzzDisk(files))
        } catch LogError.notALedger, LogError.unsupportedVersion {
            return nil
        }
    }

    /// What `LogReader` shows beside a writer that it knows nothing of.
    private static func readBeside(_ files: [String: [UInt8]]) throws {
        let reader: LogReader
        do {
            reader = try LogReader(disk: FuzzDisk(files))
        } catch {
            return
        }
        _ = reader.segments
        _ = reader.ranges(holding: "jobs")
        _ = try? reader.durableFiles()
        try read(reader, isSound: false)
    }

    private static func accept(
        _ error: LogError, _ verified: LogVerification?, hasHead: Bool
    ) throws {
        switch error {
        case .corrupt(let corruption):
            try require(
                hasHead || verified == nil || !(verified?.isSound ?? false)
                    || (verified?.unfinishedByteCount ?? 0) > 0,
                "verifying finds nothing, and a start halts: \(corruption)")
        case .unsupportedVersion: break
        default: throw FuzzFault("a log in memory is refused with \(error)")
        }
    }

    /// Reads all events; damage must be reported as such, and never where verifying found none.
    @discardableResult
    private static func read(_ log: some LogSource, isSound: Bool) throws -> Int64 {
        let end = log.durable.position
        var position: Position = 0
        var count: Int64 = 0
        while position < end {
            let blocks: [DurableBlock]
            do {
                blocks = try log.blocks(from: position, byteLimit: 1 << 20)
            } catch {
                switch error {
                case .corrupt, .outOfRange:
                    try require(!isSound, "verifying finds nothing, and reading: \(error)")
                    return count
                default: throw FuzzFault("reading a log in memory fails: \(error)")
                }
            }
            try require(!blocks.isEmpty, "below the end there is a block")
            for block in blocks {
                try require(
                    block.firstPosition <= position && position < block.endPosition,
                    "blocks follow each other without a gap")
                do {
                    count += try rows(of: block)
                } catch let fault as FuzzFault {
                    throw fault
                } catch {
                    try require(!isSound, "verifying finds nothing, and a record: \(error)")
                }
                position = block.endPosition
            }
        }
        return count
    }

    private static func rows(of block: DurableBlock) throws -> Int64 {
        var count: Int64 = 0
        try block.forEachBatch { reader in
            count += Int64(try RecordCheck.rows(&reader))
        }
        return count
    }

    /// Appends a batch after whatever was there.
    private static func append(to log: SegmentLog) throws {
        let before = log.durable
        var builder = BlockBuilder(schema: log.schema)
        let facts = BatchFacts(
            position: before.position, receivedAt: log.lastReceivedAt + 1, clock: 1,
            id: "0190a000-0000-7000-8000-000000000000", source: "system", principal: "system",
            dictionary: "v1", table: "", format: "control")
        let branch = log.schema.controlBranch
        let leaf = builder.append(facts, rowCount: 1, rejectedCount: 0) { sink in
            sink.append(control: Control(kind: "note", text: []), branch: branch)
        }
        try require(leaf != nil, "a small batch is within its limit")
        let block = try log.append(builder)
        try require(
            block.firstPosition == before.position && log.durable.position == before.position + 1,
            "an append goes to the end")
        let read = try log.blocks(from: before.position, byteLimit: 1)
        try require(read.first?.head == block.head, "what was appended can be read")
    }
}
