import Avro
import DaybookLog
import DaybookSegments
import Foundation
import Glibc

/// The log's append beside the same bytes written and synced by hand: both grow a file, one write
/// and one `fdatasync` a group.
struct LogBench {
    let folder: String
    let schema: LogSchema
    let rowCount: Int

    init(rowCount: Int) throws {
        self.rowCount = rowCount
        let record = """
            {"type":"record","name":"hired_employees","namespace":"daybook.rows","fields":[\
            {"name":"id","type":"long"},{"name":"name","type":"string"},\
            {"name":"datetime","type":{"type":"long","logicalType":"timestamp-micros"}},\
            {"name":"department_id","type":"long"},{"name":"job_id","type":"long"}]}
            """
        schema = try LogSchema(recordSchemas: [record])
        var template = Array("daybook-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LogError.closed }
        folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    /// Measures groups of so many batches of so many rows.
    func run(rowsPerBatch: Int, batchesPerGroup: Int, groupCount: Int) throws {
        let data = "\(folder)/\(rowsPerBatch)-\(batchesPerGroup)"
        let options = SegmentLogOptions(schema: schema, clock: { 1 })
        let log = try SegmentLog.open(folder: data, options: options)
        var sizes: [Int] = []
        let clock = ContinuousClock()
        var appendSeconds = 0.0
        for _ in 0..<groupCount {
            let before = log.size.bytes
            let start = clock.now
            _ = try log.append(group(log, rowsPerBatch, batchesPerGroup))
            appendSeconds += start.duration(to: clock.now).seconds
            sizes.append(Int(log.size.bytes - before))
        }
        try log.close()
        let limitSeconds = try bare(sizes)
        let rows = Double(groupCount * rowsPerBatch * batchesPerGroup)
        Report.row(
            "log append, groups of \(batchesPerGroup) × \(rowsPerBatch) rows",
            figure: Report.rate(rows / appendSeconds, "rows"),
            limit: "write + fdatasync of the same bytes: "
                + Report.rate(rows / limitSeconds, "rows"),
            ratio: limitSeconds / appendSeconds, command: "daybook-bench log --rows \(rowCount)")
    }

    /// A group as the ledger would assemble it: the rows' bytes are there, the record is made.
    private func group(_ log: SegmentLog, _ rows: Int, _ batches: Int) -> BlockBuilder {
        var builder = BlockBuilder(schema: schema, capacity: rows * batches * 32)
        var position = log.durable.position
        var time = log.lastReceivedAt
        for _ in 0..<batches {
            time += 1
            let facts = BatchFacts(
                position: position, receivedAt: time, clock: time,
                id: "0190a000-0000-7000-8000-000000000000", source: "http", principal: "bench",
                dictionary: "v1", table: "hired_employees", format: "json")
            let first = position
            _ = builder.append(facts, rowCount: rows, rejectedCount: 0) { sink in
                for row in 0..<Int64(rows) {
                    sink.append(long: 0)
                    sink.append(long: first + row)
                    sink.append(string: "Harold Vogt")
                    sink.append(long: 1_636_253_322_000_000 + row * 1_000_003)
                    sink.append(long: row % 12 + 1)
                    sink.append(long: row % 183 + 1)
                }
            }
            position += Position(rows)
        }
        return builder
    }

    /// Writes and syncs blocks of these sizes to a growing file; the seconds it took.
    private func bare(_ sizes: [Int]) throws -> Double {
        let path = "\(folder)/bare"
        let descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { throw LogError.closed }
        defer {
            close(descriptor)
            unlink(path)
        }
        let bytes = (0..<(sizes.max() ?? 0)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let clock = ContinuousClock()
        let start = clock.now
        var offset = 0
        for size in sizes {
            guard pwrite(descriptor, bytes, size, offset) == size, fdatasync(descriptor) == 0 else {
                throw LogError.closed
            }
            offset += size
        }
        return start.duration(to: clock.now).seconds
    }
}

/// Appends to a log of its own, in groups of three sizes.
func measureLog(rowCount: Int) throws {
    let bench = try LogBench(rowCount: rowCount)
    defer { try? FileManager.default.removeItem(atPath: bench.folder) }
    try bench.run(rowsPerBatch: 1, batchesPerGroup: 1, groupCount: 2_000)
    try bench.run(rowsPerBatch: 1_000, batchesPerGroup: 1, groupCount: rowCount / 1_000)
    try bench.run(rowsPerBatch: 1_000, batchesPerGroup: 8, groupCount: rowCount / 8_000)
}
