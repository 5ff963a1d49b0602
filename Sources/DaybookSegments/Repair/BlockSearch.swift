import DaybookLog

/// Finds the blocks of a damaged segment that hold up by themselves.
///
/// A block counts if its header's checksum holds, it stands where the header says, and its body
/// decodes to what the header says. What lies between is passed over; the next header is found by
/// its tag, wherever it stands.
struct BlockSearch {
    /// Blocks of one segment that follow each other without damage between them.
    struct Run: Sendable {
        let segment: SegmentFile
        /// The name under which the segment is kept: that of another place if files were swapped.
        let storedName: String
        /// Where its first block starts.
        let offset: UInt64
        /// Where its last block ends.
        var endOffset: UInt64
        let first: BlockHeader
        var last: BlockHeader
        var blockCount = 1
    }

    private let segment: SegmentFile
    private let storedName: String
    private let window: FileWindow
    private(set) var runs: [Run] = []

    /// Searches all of a segment from `offset` on.
    init(
        _ segment: SegmentFile, storedName: String, file: any DiskFile, from offset: UInt64
    ) throws {
        self.segment = segment
        self.storedName = storedName
        window = FileWindow(file)
        let byteCount = try file.byteCount()
        let search = FrameSearch(file)
        var place = offset
        while place < byteCount {
            if let end = try end(ofFrameAt: place) {
                place = end
            } else if let next = try search.next(from: place + 1, to: byteCount) {
                place = next
            } else {
                return
            }
        }
    }

    /// Where a valid frame ends that starts at `offset`; a block is added to the runs.
    private mutating func end(ofFrameAt offset: UInt64) throws -> UInt64? {
        do {
            let salt = segment.header.salt
            let prefix = try window.bytes(at: offset, count: 4)
            guard prefix.count == 4 else { return nil }
            switch UInt32(littleEndian: prefix.loadUnaligned(as: UInt32.self)) {
            case FrameMagic.block:
                let header = try add(blockAt: offset)
                return offset + UInt64(BlockHeader.frameByteCount) + UInt64(header.storedByteCount)
            case FrameMagic.attestation:
                let bytes = try window.bytes(at: offset, count: Attestation.frameByteCount)
                _ = try Attestation(reading: bytes, salt: salt)
                return offset + UInt64(Attestation.frameByteCount)
            case FrameMagic.footer:
                let bytes = try window.bytes(at: offset, count: Footer.maximumByteCount)
                return offset + UInt64(try Footer.read(bytes, salt: salt).1)
            default: return nil
            }
        } catch SegmentFault.disk(let error) {
            throw error
        } catch {
            return nil
        }
    }

    private mutating func add(blockAt offset: UInt64) throws -> BlockHeader {
        let (header, _) = try BlockSearch.block(at: offset, of: segment, window)
        let end = offset + UInt64(BlockHeader.frameByteCount) + UInt64(header.storedByteCount)
        if let last = runs.last?.last, last.rootAfter == header.rootBefore,
            last.endPosition == header.firstPosition, last.block + 1 == header.block
        {
            runs[runs.count - 1].last = header
            runs[runs.count - 1].endOffset = end
            runs[runs.count - 1].blockCount += 1
        } else {
            runs.append(
                Run(
                    segment: segment, storedName: storedName, offset: offset, endOffset: end,
                    first: header, last: header))
        }
        return header
    }

    /// Reads the block at `offset` and checks all of it but its place in the ledger's tree.
    static func block(
        at offset: UInt64, of segment: SegmentFile, _ window: FileWindow
    ) throws -> (BlockHeader, ScannedBlock) {
        let front = try window.bytes(at: offset, count: BlockHeader.frameByteCount)
        let header = try BlockHeader(reading: front, salt: segment.header.salt)
        guard header.ledger == segment.header.ledger, header.segment == segment.header.segment,
            header.offset == offset, header.firstPosition >= segment.header.basePosition
        else { throw FrameFault.misplaced }
        let stored = try window.bytes(
            at: offset + UInt64(BlockHeader.frameByteCount), count: Int(header.storedByteCount))
        let block = try BlockBody.decode(stored, header: header, of: segment)
        let entries = try BlockBody.summaries(of: block, header: header)
        return (header, ScannedBlock(header: header, block: block, entries: entries))
    }
}
