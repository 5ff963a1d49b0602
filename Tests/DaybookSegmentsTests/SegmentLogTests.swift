import CrashDisk
import DaybookLog
import DaybookSegments
import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Segment log")
struct SegmentLogTests {
    @Test("What was appended is read back from memory and, after a start, from the files")
    func roundTrip() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 2000)
        for _ in 0..<40 { try Sample.append(log, batches: 2) }
        let all = Array(Int64(0)..<240)
        #expect(try Sample.values(log) == all)
        let root = log.durable
        try log.close()
        let again = try Sample.open(disk, segmentByteCount: 2000)
        #expect(again.durable == root)
        #expect(disk.files.keys.filter { $0.hasSuffix(".avro.lz4") }.count > 5)
        #expect(try Sample.values(again) == all)
    }

    @Test("Reading can begin at any position, and gives the block that holds it")
    func anyPosition() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 2000)
        for _ in 0..<12 { try Sample.append(log, batches: 2) }
        try log.close()
        let again = try Sample.open(disk, segmentByteCount: 2000)
        for position in 0..<again.durable.position {
            let block = try #require(try again.blocks(from: position, byteLimit: 1).first)
            #expect(block.firstPosition <= position && position < block.endPosition)
        }
        #expect(try again.blocks(from: again.durable.position, byteLimit: 1).isEmpty)
        #expect(throws: LogError.outOfRange(73)) { try again.blocks(from: 73, byteLimit: 1) }
    }

    @Test("A time names exactly one position")
    func asOf() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 2000)
        for _ in 0..<12 { try Sample.append(log, batches: 2) }
        try log.close()
        let again = try Sample.open(disk, segmentByteCount: 2000)
        // Batch n (from 1) has time 10 n and ends at position 3 n.
        for time in Int64(0)...260 {
            #expect(try again.position(asOf: time) == min(time / 10, 24) * 3)
        }
    }

    @Test("A block is synced before the next is written, and before its append returns")
    func syncOrder() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        for _ in 0..<5 { try Sample.append(log) }
        let calls = disk.calls.filter { $0.file == Sample.firstSegment }.map(\.name)
        #expect(calls == Array(repeating: ["pwrite", "fdatasync"], count: 5).flatMap { $0 })
    }

    @Test("A full disk leaves the log as it was, and it goes on when there is space")
    func diskFull() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        let before = disk.files[Sample.firstSegment]
        for free in [0, 1, 100, 300] {
            disk.state.withLock { $0.freeByteCount = free }
            #expect(throws: LogError.diskFull(file: Sample.firstSegment)) {
                try Sample.append(log)
            }
            #expect(disk.files[Sample.firstSegment] == before)
            #expect(log.durable.position == 3)
        }
        disk.state.withLock { $0.freeByteCount = Int.max }
        try Sample.append(log)
        #expect(try Sample.values(log) == Array(0..<6))
        #expect(try Sample.values(try Sample.open(disk)) == Array(0..<6))
    }

    @Test("A full disk while rolling refuses the group, and the roll is made later")
    func diskFullWhileRolling() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk, segmentByteCount: 1)
        try Sample.append(log)
        // Room for nothing, part of a footer, a footer, and part of the next segment's header.
        for free in [0, 10, 300, 600] {
            disk.state.withLock { $0.freeByteCount = free }
            #expect(throws: LogError.self, "\(free)") { try Sample.append(log) }
            disk.state.withLock { $0.freeByteCount = Int.max }
            try Sample.append(log)
            #expect(try Sample.values(log).count == Int(log.durable.position))
        }
        let verification = try LogVerifier.run(disk: disk)
        #expect(verification.problems == [])
        #expect(try Sample.values(try Sample.open(disk)).count == 15)
    }

    @Test("A sealed log opens on a full disk, serves what it has, and goes on when there is space")
    func startOnFullDisk() throws {
        let disk = CrashDisk()
        do {
            let log = try SegmentLog(disk: disk, options: Sample.options())
            try Sample.append(log)
            disk.lay(DiskFault(.death(afterByteCount: 0), of: .write, file: ".tmp"))
            #expect(throws: LogError.self) { try log.roll(to: Sample.schema) }
            disk.kill()
        }
        disk.spaceByteCount = disk.usedByteCount
        let log = try SegmentLog(disk: disk, options: Sample.options())
        #expect(log.durable.position == 3)
        #expect(try Sample.values(log) == [0, 1, 2])
        #expect(throws: LogError.diskFull(file: "00000000000000000003.avro.lz4.tmp")) {
            try Sample.append(log)
        }
        disk.spaceByteCount = .max
        try Sample.append(log)
        #expect(try Sample.values(log) == Array(0..<6))
        #expect(log.size.segments == 2)
    }

    @Test("After a failed sync nothing is written and nothing is synced again")
    func syncFailure() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        disk.refuse { $0.name == "fdatasync" && $0.file == Sample.firstSegment ? 5 : nil }
        #expect(throws: LogError.syncFailed(file: Sample.firstSegment, code: 5)) {
            try Sample.append(log)
        }
        #expect(log.durable.position == 3)
        let syncs = disk.calls.filter { $0.name == "fdatasync" }.count
        disk.refuse(nil)
        #expect(throws: LogError.closed) { try Sample.append(log) }
        #expect(throws: LogError.closed) { try log.attest() }
        #expect(disk.calls.filter { $0.name == "fdatasync" }.count == syncs)
    }

    @Test("An attestation is written once after the last block, and only if there is one")
    func attestation() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        let empty = disk.files[Sample.firstSegment]
        try log.attest()
        #expect(disk.files[Sample.firstSegment] == empty)
        try Sample.append(log)
        try log.attest()
        let attested = disk.files[Sample.firstSegment]
        try log.attest()
        #expect(disk.files[Sample.firstSegment] == attested)
        #expect(
            try Sample.open(disk).recovery.rewrittenByteCount == UInt64(Attestation.frameByteCount))
    }

    @Test("A new schema begins a new segment; one without blocks is replaced")
    func schemaRoll() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        let record =
            #"{"type":"record","name":"t","namespace":"daybook.rows","fields":["#
            + #"{"name":"id","type":"long"},{"name":"note","type":["null","string"]}]}"#
        let wider = try LogSchema(recordSchemas: [record])
        try log.roll(to: wider)
        #expect(log.schema == wider)
        #expect(disk.files.keys.filter { $0.hasSuffix(".avro.lz4") } == [Sample.firstSegment])
        try log.roll(to: Sample.schema)
        try Sample.append(log)
        try log.roll(to: wider)
        #expect(disk.files.keys.filter { $0.hasSuffix(".avro.lz4") }.count == 2)
        let again = try Sample.open(disk)
        #expect(again.schema == wider)
        #expect(try Sample.values(again) == [0, 1, 2])
    }

    @Test("A waiting reader is woken by the next durable block, and by a close")
    func tailing() throws {
        let log = try Sample.open(MemoryDisk())
        #expect(!log.waitForEvents(from: 0, timeoutSeconds: 0.01))
        let first = Waiting(log, from: 0)
        try Sample.append(log)
        #expect(first.result)
        let last = Waiting(log, from: 3)
        try log.close()
        #expect(!last.result)
    }

    /// A thread that waits for events, outside the pool on which tests run.
    private final class Waiting: Sendable {
        private let answer = Mutex<Bool?>(nil)
        private let done = DispatchSemaphore(value: 0)

        init(_ log: SegmentLog, from position: Position) {
            let begun = DispatchSemaphore(value: 0)
            Thread.detachNewThread { [self] in
                begun.signal()
                let woken = log.waitForEvents(from: position, timeoutSeconds: 600)
                answer.withLock { $0 = woken }
                done.signal()
            }
            begun.wait()
            Thread.sleep(forTimeInterval: 0.02)
        }

        /// What the waiting gave; blocks until it ended.
        var result: Bool {
            done.wait()
            return answer.withLock { $0 } ?? false
        }
    }

    @Test("A second process on the same folder is refused, and told who has it")
    func directoryLock() throws {
        let folder = try TemporaryFolder()
        let first = try SegmentLog.open(folder: folder.path, options: Sample.options())
        let error = #expect(throws: LogError.self) {
            try SegmentLog.open(folder: folder.path, options: Sample.options())
        }
        guard case .locked(let holder) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(holder.contains("process"))
        #expect(DirectoryLock.isHeld(folder: folder.path))
        try first.close()
    }
}
