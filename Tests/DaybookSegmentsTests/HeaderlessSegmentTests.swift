import DaybookLog
import Testing

@testable import DaybookSegments

/// A closed segment's header is one of the places where a bit may turn over: no reason to stop.
@Suite("Closed segments without a header")
struct HeaderlessSegmentTests {
    private let whole: [String: [UInt8]]
    /// Each segment's name, the length of its header, and where its blocks begin.
    private let segments: [(name: String, headerByteCount: Int, blocksOffset: Int)]

    init() throws {
        let disk = try Sample.closedLog(blocks: 10, segmentByteCount: 1500)
        whole = disk.files
        segments = try disk.segmentNames.map { name in
            let file = try SegmentFile.open(name, on: disk).0
            let stored = Int(file.header.schemaStoredByteCount)
            return (name, Int(file.blocksOffset) - stored, Int(file.blocksOffset))
        }
        try #require(segments.count > 3)
    }

    private func zeroed(_ count: Int, of name: String) -> [String: [UInt8]] {
        var files = whole
        files[name]?.replaceSubrange(0..<count, with: Array(repeating: 0, count: count))
        return files
    }

    /// Opens the log, reads all of it beside, appends, closes, and opens it again.
    /// - Returns: what is wrong with it, both times.
    private func damage(_ files: [String: [UInt8]]) throws -> [Corruption] {
        let disk = MemoryDisk(files: files)
        let reader = try LogReader(disk: disk)
        let all = (0..<30).map(Int64.init)
        let read = try Sample.values(from: 0, end: reader.durable.position) {
            position throws(LogError) in try reader.blocks(from: position, byteLimit: 1)
        }
        #expect(read == all && reader.corruption == nil)
        let log = try Sample.open(disk, segmentByteCount: 1500)
        #expect(try Sample.values(log) == all)
        #expect(log.recovery.damage == reader.damage)
        for _ in 0..<3 { try Sample.append(log) }
        try log.close()
        let again = try Sample.open(disk)
        #expect(try Sample.values(again) == (0..<39).map(Int64.init))
        #expect(again.recovery.damage == reader.damage)
        // What cannot be read whole is never written to.
        for damaged in reader.damage { #expect(disk.files[damaged.file] == files[damaged.file]) }
        return reader.damage
    }

    private func halt(_ files: [String: [UInt8]]) throws -> Corruption {
        let disk = MemoryDisk(files: files)
        var found: Corruption?
        #expect {
            try Sample.open(disk)
        } throws: { error in
            guard case LogError.corrupt(let corruption) = error else { return false }
            found = corruption
            return disk.files == files
        }
        return try #require(found)
    }

    @Test("Fault 12: whichever byte of its headers is wrong, all is read, and appends go on")
    func anyByte() throws {
        for (place, segment) in segments.dropLast().enumerated() {
            for offset in stride(from: place, to: segment.blocksOffset, by: 7) {
                var files = whole
                files[segment.name]?[offset] ^= 1 << UInt8(offset % 8)
                let damage = try damage(files)
                // LZ4 ignores some bits of the Avro header's frame.
                if damage.isEmpty, offset >= segment.headerByteCount { continue }
                #expect(damage.map(\.file) == [segment.name], "byte \(offset)")
                #expect(damage.first?.offset == 0)
                #expect(
                    damage.first?.position == SegmentFile.basePosition(name: segment.name))
                let problems = try LogVerifier.run(disk: MemoryDisk(files: files)).problems
                #expect(problems.map(\.segment) == [segment.name])
            }
        }
    }

    @Test("Two in a row do without one, and a repair makes both anew")
    func two() throws {
        var files = zeroed(segments[1].headerByteCount, of: segments[1].name)
        let other = segments[2]
        files[other.name] = zeroed(other.headerByteCount, of: other.name)[other.name]
        #expect(try damage(files).map(\.file) == [segments[1].name, other.name])
        let disk = MemoryDisk(files: files)
        _ = try LogRepair(disk: disk, options: RepairTests.options()).apply()
        let log = try Sample.open(disk)
        #expect(log.recovery.damage == [])
        #expect(try Sample.values(log) == (0..<30).map(Int64.init))
    }

    @Test("The newest segment's header is not made up: nothing says where it ends")
    func newest() throws {
        let last = try #require(segments.last)
        let corruption = try halt(zeroed(last.headerByteCount, of: last.name))
        #expect(corruption.file == last.name && corruption.offset == 0)
    }

    @Test("Without its Avro header, too, it is not read by another segment's schema")
    func withoutSchema() throws {
        let (name, _, blocksOffset) = segments[1]
        let corruption = try halt(zeroed(blocksOffset, of: name))
        #expect(corruption.file == name)
        #expect(corruption.position == SegmentFile.basePosition(name: name))
    }

    @Test("A damaged Avro header is taken from the segment whose schema has its digest")
    func otherSchema() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        // Alike to the bytes of rows, and another table's.
        let record =
            #"{"type":"record","name":"u","namespace":"daybook.rows","fields":["#
            + #"{"name":"id","type":"long"}]}"#
        let renamed = try LogSchema(recordSchemas: [record])
        for schema in [renamed, Sample.schema] {
            try log.roll(to: schema)
            try Sample.append(log)
            try log.roll(to: schema)
            try Sample.append(log)
        }
        try log.close()
        for name in disk.segmentNames.dropLast() {
            let file = try SegmentFile.open(name, on: disk).0
            let damaged = MemoryDisk(files: disk.files)
            damaged.files[name]?[Int(file.blocksOffset) - 20] ^= 0x10
            let again = try Sample.open(damaged)
            #expect(again.recovery.damage.map(\.file) == [name])
            let block = try #require(
                try again.blocks(from: file.header.basePosition, byteLimit: 1).first)
            #expect(block.schema == file.schema)
        }
    }

    @Test("With a damaged block too, or without its last one, it halts as a missing one would")
    func moreIsWrong() throws {
        let (name, headerByteCount, blocksOffset) = segments[1]
        let base = SegmentFile.basePosition(name: name)
        var files = zeroed(headerByteCount, of: name)
        files[name]?[blocksOffset + BlockHeader.frameByteCount + 10] ^= 4
        let damaged = try halt(files)
        #expect(damaged.file == name && damaged.offset == 0 && damaged.position == base)

        files = zeroed(headerByteCount, of: name)
        let (segment, file) = try SegmentFile.open(name, on: MemoryDisk(files: whole))
        let ends = try SegmentTail(segment, file: file).ends
        files[name]?.removeSubrange(Int(ends[ends.count - 2].offset)...)
        let short = try halt(files)
        #expect(short.file == name && short.offset == 0 && short.position == base)
        #expect(!damaged.what.contains("rows can be") && !short.what.contains("rows can be"))
    }

    @Test("With a damaged footer too all is read, and the footer stays as it is")
    func footerToo() throws {
        let (name, headerByteCount, _) = segments[1]
        var files = zeroed(headerByteCount, of: name)
        let count = try #require(files[name]?.count)
        files[name]?[count - 40] ^= 4
        #expect(try damage(files).map(\.file) == [name])
    }

    @Test("A sound segment of the wrong place is not taken for one without a header")
    func misplaced() throws {
        let (one, other) = (segments[1].name, segments[2].name)
        var files = whole
        (files[one], files[other]) = (files[other], files[one])
        #expect(try halt(files).file == one)
    }

    @Test("The scrub shows it until the header is put right")
    func scrubbed() throws {
        let name = segments[1].name
        let disk = MemoryDisk(files: zeroed(segments[1].headerByteCount, of: name))
        let log = try Sample.open(disk)
        var options = LogScrubber.Options()
        options.wait = { _ in }
        let scrubber = LogScrubber(log, options: options) { _ in
            Issue.record("what the opening told was told again")
        }
        scrubber.runPass()
        #expect(scrubber.report.damage == log.recovery.damage)
        disk.files[name] = whole[name]
        scrubber.runPass()
        #expect(scrubber.report.damage == [])
    }
}
