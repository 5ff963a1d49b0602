import DaybookLog
import Testing

@testable import DaybookSegments

/// What need not be read by who looks for one table's rows.
@Suite("Ranges of a table") struct TableRangesTests {
    private static let schema: LogSchema = {
        let records = ["a", "b"].map {
            #"{"type":"record","name":"\#($0)","namespace":"daybook.rows","#
                + #""fields":[{"name":"id","type":"long"}]}"#
        }
        guard let schema = try? LogSchema(recordSchemas: records) else {
            preconditionFailure("the schema is valid")
        }
        return schema
    }()

    private func open(_ disk: MemoryDisk) throws -> SegmentLog {
        try SegmentLog(
            disk: disk, options: SegmentLogOptions(schema: Self.schema, clock: { 1_000_000 }))
    }

    /// Appends a batch of two rows, accepted or rejected; of no table: of the ledger's own events.
    private func append(_ log: SegmentLog, _ table: String, isRejected: Bool = false) throws {
        var builder = BlockBuilder(schema: log.schema)
        let time = log.lastReceivedAt + 1
        let facts = BatchFacts(
            position: log.durable.position, receivedAt: time, clock: time,
            id: "0190a000-0000-7000-8000-000000000000", source: "test", principal: "nobody",
            dictionary: "v1", table: table, format: "json")
        _ = builder.append(facts, rowCount: 2, rejectedCount: isRejected ? 2 : 0) { sink in
            for _ in 0..<2 {
                if table.isEmpty {
                    sink.append(control: Control(kind: "x", text: []), branch: 3)
                } else if isRejected {
                    let rejection = Rejection(raw: [], rawLength: nil, reasons: [])
                    sink.append(rejection: rejection, branch: 2)
                } else {
                    sink.append(long: table == "a" ? 0 : 1)
                    sink.append(long: 7)
                }
            }
        }
        _ = try log.append(builder)
    }

    private func ranges(of log: any LogSource) -> [String: [Range<Position>]] {
        Dictionary(uniqueKeysWithValues: ["a", "b", "c"].map { ($0, log.ranges(holding: $0)) })
    }

    @Test("Segments without the table's rows and without own events are left out")
    func leftOut() throws {
        let disk = MemoryDisk()
        let log = try open(disk)
        #expect(log.ranges(holding: "a").isEmpty)
        let segments: [[String]] = [["a"], ["a", "b"], ["b"], [""], ["b"], ["a"]]
        for (number, tables) in segments.enumerated() {
            if number > 0 { try log.roll(to: Self.schema) }
            for table in tables { try append(log, table) }
        }
        // Positions: a 0, a 2, b 4, b 6, own 8, b 10, a 12.
        let expected: [String: [Range<Position>]] = [
            "a": [0..<6, 8..<10, 12..<14], "b": [2..<12], "c": [8..<10],
        ]
        #expect(ranges(of: log) == expected)
        try append(log, "a", isRejected: true)
        #expect(log.ranges(holding: "b") == [2..<12], "rejected rows are not rows of the table")
        #expect(log.ranges(holding: "a").last == 12..<16)
        try log.close()
        let again = try open(disk)
        #expect(ranges(of: again) == ranges(of: log))
        let reader = try LogReader(disk: disk)
        #expect(ranges(of: reader) == ranges(of: log))

        // The third segment, which has rows of b alone, with a bad footer and a bad block.
        let name = SegmentFile.name(basePosition: 6)
        let block = Int(try SegmentFile.open(name, on: disk).0.blocksOffset)
        let end = try #require(disk.files[name]).count - 1
        disk.files[name]?[end] ^= 1
        let footless = try LogReader(disk: disk)
        #expect(ranges(of: footless) == ranges(of: log), "it was counted again")
        disk.files[name]?[block + 20] ^= 1
        let damaged = try LogReader(disk: disk)
        #expect(damaged.ranges(holding: "a") == [0..<10, 12..<16], "nobody knows what it had")
    }
}
