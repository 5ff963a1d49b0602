import DaybookLog
import DaybookSegments
import Testing

/// Starts on a disk that is full, or becomes so.
@Suite("Opening on a full disk") struct FullDiskOpeningTests {
    @Test("Fault 20: without room to keep a torn tail the start is refused, and leaves no piece")
    func tornTail() throws {
        let disk = MemoryDisk()
        try Sample.append(try Sample.open(disk))
        let whole = try #require(disk.files[Sample.firstSegment])
        let torn = whole + [UInt8](repeating: 7, count: 500)
        disk.files[Sample.firstSegment] = torn
        for free in [0, 1, 499] {
            disk.state.withLock { $0.freeByteCount = free }
            #expect(throws: LogError.self, "\(free)") { try Sample.open(disk) }
            #expect(disk.files[Sample.firstSegment] == torn, "nothing is cut before it is kept")
            #expect(!disk.files.keys.contains { $0.contains(".torn-") })
        }
        disk.state.withLock { $0.freeByteCount = Int.max }
        let log = try Sample.open(disk)
        let kept = try #require(log.recovery.cut?.keptAs)
        #expect(disk.files[kept]?.count == 500)
        #expect(try Sample.values(log) == [0, 1, 2])
    }
}
