import DaybookLog
import Synchronization
import TestSupport
import Testing

@testable import DaybookSegments

@Suite("Verification by several threads, and beside a writer")
struct LogVerifierTests {
    private func log(segments: Int) throws -> (disk: MemoryDisk, heads: [TreeHead]) {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        var heads: [TreeHead] = []
        for number in 0..<segments {
            if number > 0 { try log.roll(to: Sample.schema) }
            for _ in 0..<3 {
                try Sample.append(log, batches: 2)
                heads.append(log.durable)
            }
        }
        try log.close()
        return (disk, heads)
    }

    @Test("The findings are the same, in the same order, for any number of threads")
    func sameFindings() throws {
        var (disk, heads) = try log(segments: 12)
        var generator = SeededGenerator()
        let anchors = heads + [
            TreeHead(
                ledger: heads[0].ledger, size: heads[7].size, position: heads[7].position,
                root: heads[0].root)
        ]
        let whole = disk.files
        let names = whole.keys.filter { $0.hasSuffix(SegmentFile.suffix) }.sorted()
        for round in 0..<12 {
            disk = MemoryDisk(files: whole)
            for _ in 0..<round {
                let name = try #require(names.randomElement(using: &generator))
                let count = try #require(whole[name]?.count)
                let place = Int.random(in: 0..<count, using: &generator)
                disk.files[name]?[place] ^= 1
            }
            if round == 11 { disk.files[names[5]] = nil }
            let alone = try LogVerifier.run(disk: disk, anchors: anchors, jobs: 1)
            #expect(alone.isSound == false && (round > 0 || alone.problems.count == 1))
            for jobs in [2, 5, 64] {
                let together = try LogVerifier.run(disk: disk, anchors: anchors, jobs: jobs)
                #expect(together == alone, "seed \(generator.seed)")
            }
        }
    }

    @Test("Progress goes on within a segment, never back, and ends with all bytes")
    func progress() throws {
        let (disk, _) = try log(segments: 4)
        let total = UInt64(
            disk.files.filter { $0.key.hasSuffix(SegmentFile.suffix) }.reduce(0) {
                $0 + $1.value.count
            })
        for jobs in [1, 3] {
            var seen: [UInt64] = []
            let found = try LogVerifier.run(disk: disk, jobs: jobs) { done, all in
                #expect(all == total)
                seen.append(done)
            }
            #expect(found.isSound && found.byteCount == total)
            #expect(seen.last == total && seen == seen.sorted())
            if jobs == 1 { #expect(Set(seen).count > 12, "after every block") }
        }
    }

    @Test("A read that fails is an error, not damage, whichever thread meets it")
    func readFailure() throws {
        let (disk, _) = try log(segments: 6)
        let name = SegmentFile.name(basePosition: 36)
        disk.refuse { $0.name == "open" && $0.file == name ? 5 : nil }
        for jobs in [1, 4] {
            #expect(throws: LogError.system(call: "open", file: name, code: 5)) {
                try LogVerifier.run(disk: disk, jobs: jobs)
            }
        }
    }

    @Test("A segment's header, first or next, that does not follow is a problem with its place")
    func chain() throws {
        let (disk, _) = try log(segments: 3)
        let names = disk.files.keys.filter { $0.hasSuffix(SegmentFile.suffix) }.sorted()
        let shorter = MemoryDisk(files: disk.files)
        // A closed segment that ends in a whole block, two blocks early.
        let (segment, file) = try SegmentFile.open(names[1], on: disk)
        let tail = try SegmentTail(segment, file: file)
        let cut = Int(tail.ends[0].offset)
        shorter.files[names[1]] = Array(try #require(disk.files[names[1]])[..<cut])
        let early = try LogVerifier.run(disk: shorter)
        #expect(early.problems.map(\.segment) == [names[1]])
        #expect(early.problems.map(\.offset) == [UInt64(cut)])
        #expect(early.problems.map(\.position) == [tail.ends[0].head.position])
    }

    @Test("A head file of another history is a problem")
    func headFile() throws {
        let (disk, heads) = try log(segments: 2)
        for (place, root) in [(2, heads[1].root), (4, heads[5].root)] {
            let other = MemoryDisk(files: disk.files)
            let head = heads[place]
            other.files[HeadFile.name] = HeadFile.bytes(
                head: TreeHead(
                    ledger: head.ledger, size: head.size, position: head.position, root: root))
            let found = try LogVerifier.run(disk: other)
            #expect(found.problems.map(\.position) == [head.position])
            #expect(found.problems[0].what.contains("head file knows another root"))
            other.files[HeadFile.name] = HeadFile.bytes(head: head)
            #expect(try LogVerifier.run(disk: other).isSound, "behind is normal")
        }
    }

    @Test("A block that is being written while it is read is no damage, though others follow it")
    func besideTheWriter() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        for _ in 0..<4 { try Sample.append(log) }
        try log.attest()
        // As it was before any of these blocks.
        disk.files[HeadFile.name] = nil
        let (segment, file) = try SegmentFile.open(Sample.firstSegment, on: disk)
        let ends = try SegmentTail(segment, file: file).ends.map(\.offset)
        for end in ends.dropLast() {
            let growing = GrowingDisk(disk, name: Sample.firstSegment, cutTo: end + 100)
            #expect(try LogVerifier.run(disk: growing, jobs: 1).problems == [])
            #expect(growing.cutCount > 0)
            let again = GrowingDisk(disk, name: Sample.firstSegment, cutTo: end + 100)
            let reader = try LogReader(disk: again)
            #expect(reader.corruption == nil && reader.durable == log.durable)
            #expect(again.cutCount > 0)
        }
    }
}

/// A disk on which one file shows bytes beyond a length as zeros, at the first read that gets
/// there: as a reader may see what is being written.
private final class GrowingDisk: LogDisk {
    private let disk: MemoryDisk
    private let name: String
    private let cut: UInt64
    private let count = Mutex(0)

    init(_ disk: MemoryDisk, name: String, cutTo cut: UInt64) {
        self.disk = disk
        self.name = name
        self.cut = cut
    }

    var cutCount: Int { count.withLock { $0 } }

    func names() throws(DiskError) -> [String] { try disk.names() }
    func rename(_ name: String, to newName: String) throws(DiskError) {}
    func remove(_ name: String) throws(DiskError) {}
    func syncFolder() throws(DiskError) {}

    func open(_ name: String, _ mode: DiskMode) throws(DiskError) -> any DiskFile {
        let file = try disk.open(name, mode)
        return name == self.name ? GrowingFile(file, disk: self) : file
    }

    private final class GrowingFile: DiskFile {
        private let file: any DiskFile
        private let disk: GrowingDisk
        private let readCount = Mutex(0)

        init(_ file: any DiskFile, disk: GrowingDisk) {
            self.file = file
            self.disk = disk
        }

        func byteCount() throws(DiskError) -> UInt64 { try file.byteCount() }
        func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskError) -> Int {
            bytes.count
        }
        func sync() throws(DiskError) {}
        func truncate(to byteCount: UInt64) throws(DiskError) {}

        /// The headers are the first read, the scan's window the second.
        func read(
            _ bytes: UnsafeMutableRawBufferPointer, at offset: UInt64
        ) throws(DiskError) -> Int {
            let count = try file.read(bytes, at: offset)
            let isScan = disk.count.withLock { count in
                guard offset > 0, count == 0 else { return false }
                count += 1
                return true
            }
            if isScan, offset < disk.cut, disk.cut - offset < UInt64(count) {
                for place in Int(disk.cut - offset)..<count { bytes[place] = 0 }
            }
            return count
        }
    }
}
