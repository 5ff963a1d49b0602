import DaybookLog
import Synchronization
import Testing

@testable import DaybookSegments

@Suite("Repair")
struct RepairTests {
    /// A closed log of `blocks` blocks with three rows each, a few blocks a segment.
    private func closedLog(blocks: Int = 8, segmentByteCount: UInt64 = 2000) throws -> MemoryDisk {
        try Sample.closedLog(blocks: blocks, segmentByteCount: segmentByteCount)
    }

    static func options(evidence: [Evidence] = []) -> LogRepair.Options {
        var options = LogRepair.Options(clock: { 77 }) { time in
            "0190a000-0000-7000-8000-\(time + 100_000_000_000)"
        } text: { gap, keptAs in
            Array(#"{"offset":\#(gap.offset),"kept_as":"\#(keptAs)"}"#.utf8)
        }
        options.evidence = evidence
        return options
    }

    private func segments(_ disk: MemoryDisk) -> [String] { disk.segmentNames }

    /// The offsets at which the blocks of a file start.
    private func blocks(_ disk: MemoryDisk, _ name: String) -> [Int] {
        var offsets: [Int] = []
        var bytes = (disk.files[name] ?? [])[...]
        while let found = bytes.firstRange(of: Array("DAYBKBLK".utf8)) {
            offsets.append(found.lowerBound - 8)
            bytes = bytes[found.upperBound...]
        }
        return offsets
    }

    /// Rows by position: what each holds, or nil for a gap's.
    private func rows(_ log: SegmentLog) throws -> [Int64?] {
        var rows: [Int64?] = []
        var position: Position = 0
        while position < log.durable.position {
            for block in try log.blocks(from: position, byteLimit: 1) {
                try block.forEachBatch { reader in
                    while let branch = try reader.nextBranch() {
                        if branch == reader.schema.controlBranch {
                            let control = try reader.readControl()
                            #expect(control.kind == "gap")
                            rows.append(nil)
                        } else {
                            rows.append(try reader.cursor.readLong())
                        }
                    }
                }
                position = block.endPosition
            }
        }
        return rows
    }

    private func reopened(_ disk: MemoryDisk) throws -> SegmentLog {
        let log = try Sample.open(disk, segmentByteCount: 2000)
        #expect(try LogVerifier.run(disk: disk).problems == [])
        return log
    }

    @Test("A sound log is left alone")
    func nothing() throws {
        let disk = try closedLog()
        let before = disk.files
        let plan = try LogRepair(disk: disk, options: Self.options()).apply()
        #expect(plan.isNothing && plan.gaps == [] && plan.faults == [])
        #expect(disk.files == before)
    }

    @Test("Whichever block is damaged, all others keep their positions and the gap is recorded")
    func eachBlock() throws {
        let whole = try closedLog()
        for name in segments(whole) {
            for offset in blocks(whole, name) {
                for inside in [20, 300] {
                    let disk = MemoryDisk(files: whole.files)
                    disk.files[name]?[offset + inside] ^= 1
                    let damaged = disk.files
                    let repair = LogRepair(disk: disk, options: Self.options())
                    let seen = try repair.plan()
                    #expect(disk.files == damaged, "a plan changes nothing")
                    let plan = try repair.apply()
                    #expect(plan == seen && plan.lostEventCount == 3 && plan.gaps.count == 1)
                    let gap = try #require(plan.gaps.first)
                    #expect(gap.file == name && gap.offset <= UInt64(offset + inside))
                    let log = try reopened(disk)
                    let expected = (0..<24).map { row in
                        gap.positions.contains(Position(row)) ? nil : Int64(row)
                    }
                    #expect(try rows(log) == expected)
                    #expect(disk.files["\(name).repaired-1"] == damaged[name])
                    try Sample.append(log)
                    #expect(log.durable.position == 27)
                }
            }
        }
    }

    @Test("A segment that is missing is a gap; the segments after it are saved")
    func missingSegment() throws {
        let whole = try closedLog(blocks: 12)
        let names = segments(whole)
        try #require(names.count >= 3)
        for name in names.dropLast() {
            let disk = MemoryDisk(files: whole.files)
            disk.files[name] = nil
            #expect(throws: LogError.self) { try Sample.open(disk, segmentByteCount: 2000) }
            let plan = try LogRepair(disk: disk, options: Self.options()).apply()
            let first = try #require(SegmentFile.basePosition(name: name))
            let end = try #require(names.firstIndex(of: name).map { names[$0 + 1] })
            let lost = first..<(try #require(SegmentFile.basePosition(name: end)))
            #expect(plan.gaps.map(\.positions) == [lost])
            let log = try reopened(disk)
            #expect(log.ledger == (try Sample.open(MemoryDisk(files: whole.files))).ledger)
            #expect(
                try rows(log) == (0..<36).map { lost.contains(Position($0)) ? nil : Int64($0) })
        }
    }

    @Test("Two files with each other's names are put right without loss, with the same tree")
    func swapped() throws {
        let disk = try closedLog()
        let root = try LogVerifier.run(disk: disk).head
        let names = segments(disk)
        (disk.files[names[0]], disk.files[names[1]]) = (disk.files[names[1]], disk.files[names[0]])
        let plan = try LogRepair(disk: disk, options: Self.options()).apply()
        #expect(plan.gaps == [])
        let log = try reopened(disk)
        #expect(try rows(log) == (0..<24).map { Int64($0) })
        #expect(log.durable == root)
    }

    @Test("A file of another ledger and a file that is there twice are set aside, and kept")
    func strangers() throws {
        let disk = try closedLog()
        let other = try closedLog(blocks: 20)
        let stranger = try #require(segments(other).last)
        let twin = SegmentFile.name(basePosition: 900)
        disk.files[stranger] = other.files[stranger]
        disk.files[twin] = disk.files[segments(disk)[0]]
        let plan = try LogRepair(disk: disk, options: Self.options()).apply()
        #expect(plan.gaps == [] && plan.replacedFiles.contains(stranger))
        #expect(disk.files["\(stranger).repaired-1"] == other.files[stranger])
        #expect(disk.files["\(twin).repaired-1"] != nil)
        #expect(try rows(try reopened(disk)) == (0..<24).map { Int64($0) })
    }

    @Test("Events that only the head file or a witness knows are a gap at the end")
    func lostEnd() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        let shorter = disk.files[Sample.firstSegment]
        try Sample.append(log)
        disk.files[Sample.firstSegment] = shorter
        let witness = Evidence(source: .snapshot, position: 8, root: nil)
        let plan = try LogRepair(
            disk: disk, options: Self.options(evidence: [witness])
        ).apply()
        #expect(plan.gaps.map(\.positions) == [3..<8])
        #expect(try rows(try reopened(disk)) == [0, 1, 2, nil, nil, nil, nil, nil])
    }

    @Test("A gap of more rows than one batch takes is several batches, the first with the range")
    func largeGap() throws {
        let disk = try closedLog(blocks: 1)
        let witness = Evidence(source: .checkpoint, position: 2500, root: nil)
        var options = Self.options(evidence: [witness])
        options.gapRowCountMax = 1000
        _ = try LogRepair(disk: disk, options: options).apply()
        let log = try reopened(disk)
        #expect(log.durable.position == 2500 && log.durable.size == 4)
        let block = try #require(try log.blocks(from: 3, byteLimit: 1).first)
        var first: Control?
        try block.forEachBatch { reader in
            _ = try reader.nextBranch()
            first = try reader.readControl()
        }
        #expect(first?.refersTo == [3..<2500])
    }

    @Test("A log of which nothing can be read is refused, and so are two histories")
    func refused() throws {
        let disk = try closedLog(blocks: 1)
        disk.files = disk.files.mapValues { $0.map { _ in 0 } }
        let before = disk.files
        #expect(throws: LogError.self) {
            try LogRepair(disk: disk, options: Self.options()).apply()
        }
        #expect(disk.files == before)
    }

    @Test("Damage after damage: a second repair keeps what the first one kept")
    func again() throws {
        let disk = try closedLog()
        for _ in 0..<2 {
            let name = try #require(segments(disk).last { blocks(disk, $0).count > 1 })
            let offset = try #require(blocks(disk, name).first)
            disk.files[name]?[offset + 300] ^= 1
            #expect(try LogRepair(disk: disk, options: Self.options()).apply().gaps.count == 1)
        }
        #expect(disk.files.keys.contains { $0.hasSuffix(".repaired-2") })
        _ = try reopened(disk)
    }

    @Test("Whichever call fails, the log is as it was, or a second repair finishes it")
    func everyCall() throws {
        let whole = try closedLog()
        let name = segments(whole)[1]
        let offset = try #require(blocks(whole, name).first)
        whole.files[name]?[offset + 300] ^= 1
        let done = MemoryDisk(files: whole.files)
        _ = try LogRepair(disk: done, options: Self.options()).apply()
        let expected = try rows(try reopened(done))
        let callCount = done.calls.count
        let kept = "\(name).repaired-1"
        var (asBefore, finishedLater) = (0, 0)
        for failing in 0..<callCount {
            let disk = MemoryDisk(files: whole.files)
            let counter = Counter()
            disk.refuse { _ in counter.next() == failing ? (failing % 2 == 0 ? 5 : 28) : nil }
            let isDone = (try? LogRepair(disk: disk, options: Self.options()).apply()) != nil
            disk.refuse(nil)
            if isDone { continue }
            if disk.files[RepairJournal.name] != nil {
                finishedLater += 1
                #expect(throws: LogError.self) { try Sample.open(disk) }
            } else if disk.files[kept] == nil {
                asBefore += 1
                let isAsBefore = whole.files.allSatisfy { disk.files[$0.key] == $0.value }
                #expect(isAsBefore, "call \(failing)")
            }
            _ = try LogRepair(disk: disk, options: Self.options()).apply()
            #expect(try rows(try reopened(disk)) == expected, "call \(failing)")
            #expect(disk.files[kept] == whole.files[name])
        }
        #expect(asBefore > 20 && finishedLater >= 6)
    }
}

/// Counts calls, from 0.
private final class Counter: Sendable {
    private let value = Mutex(0)

    func next() -> Int {
        value.withLock { value in
            value += 1
            return value - 1
        }
    }
}
