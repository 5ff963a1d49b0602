import DaybookLog
import TestSupport
import Testing

@testable import DaybookSegments

/// A segment's header has the salt of all its checksums; a repair does without it.
@Suite("Lost segment headers")
struct LostHeaderTests {
    private let whole: [String: [UInt8]]
    /// Each segment's name, and where its blocks begin.
    private let segments: [(name: String, blocksOffset: Int)]

    init() throws {
        let disk = try Sample.closedLog(blocks: 10, segmentByteCount: 2000)
        whole = disk.files
        segments = try disk.segmentNames.map {
            ($0, Int(try SegmentFile.open($0, on: disk).0.blocksOffset))
        }
        try #require(segments.count > 2)
    }

    /// Repairs damaged files.
    /// - Returns: the rows by position, nil for a gap's.
    private func repaired(_ files: [String: [UInt8]]) throws -> [Int64?] {
        let disk = MemoryDisk(files: files)
        let plan = try LogRepair(disk: disk, options: RepairTests.options()).apply()
        #expect(try LogVerifier.run(disk: disk).problems == [])
        for name in plan.replacedFiles { #expect(disk.files["\(name).repaired-1"] == files[name]) }
        let log = try Sample.open(disk)
        var rows: [Int64?] = []
        for position in 0..<log.durable.position where rows.count <= position {
            for block in try log.blocks(from: position, byteLimit: 1) {
                try block.forEachBatch { reader in
                    while let branch = try reader.nextBranch() {
                        let isGap = branch == reader.schema.controlBranch
                        rows.append(isGap ? nil : try reader.cursor.readLong())
                        if isGap { _ = try reader.readControl() }
                    }
                }
            }
        }
        return rows
    }

    private let all = (0..<30).map { Int64?($0) }

    @Test("Wherever a bit of a header is wrong, no event is lost")
    func anyBit() throws {
        for (place, (name, blocksOffset)) in segments.enumerated() {
            // Each segment's every eleventh byte, with other bits and bytes in each.
            for offset in stride(from: place, to: blocksOffset, by: 11) {
                var files = whole
                files[name]?[offset] ^= 1 << UInt8(offset % 8)
                if let log = try? Sample.open(MemoryDisk(files: files)),
                    log.recovery.damage.isEmpty
                {
                    // LZ4 ignores some bits; the Avro header has a digest.
                    continue
                }
                #expect(try repaired(files) == all, "byte \(offset) of \(name)")
            }
        }
    }

    @Test("A header of zeros, with the Avro header or without it, loses no event")
    func zeros() throws {
        for (name, blocksOffset) in segments {
            for count in [300, blocksOffset] {
                var files = whole
                for offset in 0..<count { files[name]?[offset] = 0 }
                // It may open where only the header is gone; never without a word.
                if let log = try? Sample.open(MemoryDisk(files: files)) {
                    #expect(log.recovery.damage.map(\.file) == [name])
                }
                #expect(try repaired(files) == all, "\(count) bytes of \(name)")
            }
        }
    }

    @Test("All headers and the head file gone, the blocks and the Avro headers are enough")
    func allHeaders() throws {
        var files = whole
        files["HEAD"] = nil
        for (name, _) in segments {
            for offset in 0..<200 { files[name]?[offset] = 0 }
        }
        #expect(try repaired(files) == all)
    }

    @Test("A damaged block behind a lost header is a gap, and the only one")
    func damagedBlockToo() throws {
        let (name, blocksOffset) = segments[1]
        var files = whole
        for offset in 0..<blocksOffset { files[name]?[offset] = 0 }
        files[name]?[blocksOffset + BlockHeader.frameByteCount + 10] ^= 4
        let first = Int(try #require(SegmentFile.basePosition(name: name)))
        let lost = first..<first + 3
        #expect(try repaired(files) == (0..<30).map { lost.contains($0) ? nil : Int64($0) })
    }

    @Test("Without any block that holds up the segment is a gap")
    func noBlock() throws {
        let (name, _) = segments[1]
        var files = whole
        files[name] = Array(repeating: 0, count: whole[name]?.count ?? 0)
        let next = try #require(SegmentFile.basePosition(name: segments[2].name))
        let first = try #require(SegmentFile.basePosition(name: name))
        let lost = first..<next
        #expect(try repaired(files) == (0..<30).map { lost.contains($0) ? nil : Int64($0) })
    }

    @Test("A salt of the same effect follows from any bytes and their checksum")
    func equalSalt() {
        var random = SeededGenerator()
        func bytes(_ count: Int) -> [UInt8] {
            (0..<count).map { _ in .random(in: 0...255, using: &random) }
        }
        for _ in 0..<500 {
            let salt = bytes(16)
            let (one, other) = (bytes(.random(in: 0...300, using: &random)), bytes(40))
            let found = one.withUnsafeBytes {
                StoredChecksum.salt(
                    givingChecksum: StoredChecksum.of($0, salt: salt), over: $0)
            }
            #expect(found.count == 16)
            #expect(
                other.withUnsafeBytes {
                    StoredChecksum.of($0, salt: salt) == StoredChecksum.of($0, salt: found)
                }, "seed \(random.seed)")
        }
    }
}
