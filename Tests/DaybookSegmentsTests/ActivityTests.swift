import DaybookLog
import DaybookSegments
import Testing

@Suite("What the log's disk did")
struct ActivityTests {
    @Test("Every group's write is counted once, over rolls, and nothing else is")
    func writes() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 500)
        #expect(log.activity.writes.count == 0)
        for _ in 0..<12 { try Sample.append(log, batches: 2) }
        try log.attest()
        #expect(log.size.segments > 3)
        #expect(log.activity.writes.count == 12 && log.activity.writes.sum > 0)
        try log.close()
        #expect(try Sample.open(disk).activity.writes.count == 0, "since the start")
    }

    @Test("A read that meets damage is counted, one beyond the end is not")
    func readFailures() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 1)
        for _ in 0..<4 { try Sample.append(log) }
        try log.close()
        let name = "00000000000000000003.avro.lz4"
        let bytes = try #require(disk.files[name])
        let block = try #require(bytes.firstRange(of: Array("DAYBKBLK".utf8))).lowerBound - 8
        disk.files[name]?[block + 240] ^= 4
        let damaged = try Sample.open(disk)
        #expect(throws: LogError.outOfRange(99)) { try damaged.blocks(from: 99, byteLimit: 1) }
        #expect(damaged.activity.readFailureCount == 0)
        for count in 1...3 {
            #expect(throws: LogError.self) { try damaged.blocks(from: 4, byteLimit: 1) }
            #expect(damaged.activity.readFailureCount == UInt64(count))
        }
    }
}
