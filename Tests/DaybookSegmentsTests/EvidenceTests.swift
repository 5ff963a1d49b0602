import Avro
import DaybookLog
import Testing

@testable import DaybookSegments

/// How far a witness of durability is trusted: no event less, and none more.
@Suite("Evidence")
struct EvidenceTests {
    @Test("An attestation is synced before it is reported")
    func attestationSync() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        try log.attest()
        let calls = disk.calls.filter { $0.file == Sample.firstSegment }.map(\.name)
        #expect(calls == ["pwrite", "fdatasync", "pwrite", "fdatasync"])
    }

    @Test("A head file that knows a single event more than the segments halts")
    func oneEventAhead() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        let whole = disk.files[Sample.firstSegment]
        try Sample.append(log, rows: 1)
        var files = disk.files
        files[Sample.firstSegment] = whole
        let error = #expect(throws: LogError.self) { try Sample.open(MemoryDisk(files: files)) }
        guard case .corrupt(let corruption)? = error else { throw error ?? .closed }
        #expect(corruption.position == 3)
        // Not another history: less of this one.
        #expect(corruption.what.contains("is ahead of what is valid"), "\(corruption)")
    }

    @Test("A reader beside the writer shows what is attested, and no block more", arguments: [0, 1])
    func unattested(knownCount: Int) throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        var heads = [disk.files["HEAD"]]
        for _ in 0..<3 {
            try Sample.append(log)
            heads.append(disk.files["HEAD"])
        }
        // The head file of an earlier moment: a later one may not have been written out.
        var files = disk.files
        files["HEAD"] = heads[knownCount]
        let reader = try LogReader(disk: MemoryDisk(files: files))
        // The third block attests the second.
        #expect(reader.durable.position == 6)
        #expect(
            try Sample.values(from: 0, end: 6) { position throws(LogError) in
                try reader.blocks(from: position, byteLimit: 1)
            } == Array(0..<6))
    }

    @Test("A block whose root is not that of its batches is refused, though all checksums hold")
    func falseRoot() throws {
        let disk = MemoryDisk()
        let log = try Sample.open(disk)
        try Sample.append(log)
        let start = disk.files[Sample.firstSegment]?.count ?? 0
        try Sample.append(log)
        var files = disk.files
        files["HEAD"] = nil
        let salt = try SegmentFile.open(Sample.firstSegment, on: disk).0.header.salt
        let bytes = try #require(files[Sample.firstSegment])
        let read = try bytes[start...].withUnsafeBytes {
            try BlockHeader(
                reading: UnsafeRawBufferPointer(rebasing: $0[..<BlockHeader.frameByteCount]),
                salt: salt)
        }
        let forged = BlockHeader(
            ledger: read.ledger, segment: read.segment, epoch: read.epoch, block: read.block,
            offset: read.offset, firstPosition: read.firstPosition, eventCount: read.eventCount,
            batchCount: read.batchCount, firstReceivedAt: read.firstReceivedAt,
            lastReceivedAt: read.lastReceivedAt, storedByteCount: read.storedByteCount,
            contentByteCount: read.contentByteCount, treeSize: read.treeSize,
            rootBefore: read.rootBefore, rootAfter: read.rootBefore,
            bodyChecksum: read.bodyChecksum)
        var frame = ByteSink(capacity: BlockHeader.frameByteCount)
        forged.append(to: &frame, salt: salt)
        files[Sample.firstSegment]?.replaceSubrange(
            start..<start + BlockHeader.frameByteCount, with: Array(frame.unsafeBytes))
        let again = try Sample.open(MemoryDisk(files: files))
        #expect(again.durable.position == 3)
        #expect(again.recovery.cut?.offset == UInt64(start))
    }
}
