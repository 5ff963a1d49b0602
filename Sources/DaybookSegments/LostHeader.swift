import Avro
import DaybookLog

/// Makes up for a segment header that cannot be read, so that a start can go on without it and a
/// repair can save the blocks.
///
/// Of the header a block needs salt, sync marker and schema. A block has two checksums: that of its
/// frame gives the salt, as far as it matters, and that of its body confirms it. The sync marker
/// ends the block's content. The schema stands in the Avro header; where that is damaged too,
/// another segment's is tried, and the block has to be read by it to its end.
struct LostHeader {
    /// A block whose two checksums agree on a salt.
    private struct Witness {
        let salt: [UInt8]
        let header: BlockHeader
    }

    private let name: String
    private let ledger: LedgerID?
    private let window: FileWindow
    /// The first place where one of our tags stands behind the segment's own.
    private var firstFrame: UInt64?
    private var witness: Witness?

    /// Looks at all of the file, under the name that it has in the log's folder.
    ///
    /// - Parameter ledger: whose the blocks must be; nil if nobody knows.
    init(_ name: String, disk: any LogDisk, ledger: LedgerID?) throws {
        self.name = name
        self.ledger = ledger
        let file = try disk.open(name, .read)
        window = FileWindow(file)
        witness = try mostFrequent(FrameSearch(file), byteCount: try file.byteCount())
    }

    /// The segment, as far as its blocks need it; nil if none of them can be read.
    ///
    /// - Parameter schemas: those of other segments.
    func segment(schemas: [LogSchema]) throws -> SegmentFile? {
        guard let witness else { return nil }
        let read = witness.header
        var header = SegmentHeader(
            ledger: read.ledger, segment: read.segment,
            basePosition: min(
                SegmentFile.basePosition(name: name) ?? read.firstPosition, read.firstPosition),
            firstBlock: read.block, epoch: read.epoch, lastReceivedAt: 0, createdAt: 0,
            frontier: MerkleFrontier(), random: { 0 })
        header.salt = witness.salt
        guard let sync = try sync(of: witness) else { return nil }
        header.sync = sync
        for schema in [try ownSchema(sync: sync)].compactMap({ $0 }) + schemas.reversed() {
            let segment = SegmentFile(
                name: SegmentFile.name(basePosition: header.basePosition), header: header,
                schema: schema, blocksOffset: firstFrame ?? read.offset)
            do {
                _ = try BlockSearch.block(at: read.offset, of: segment, window)
                return segment
            } catch SegmentFault.disk(let error) {
                throw error
            } catch {
                continue
            }
        }
        return nil
    }

    /// Bytes that somebody planted in a row may look like a block under a salt of their own. They
    /// lie within a block, which is passed over whole; and the segment's own salt has more blocks.
    private mutating func mostFrequent(
        _ search: FrameSearch, byteCount: UInt64
    ) throws -> Witness? {
        var found: [(first: Witness, count: Int)] = []
        var place = try search.next(from: 0, to: byteCount)
        while let offset = place {
            var next = offset + 1
            if let one = try candidate(at: offset) {
                if let known = found.firstIndex(where: { $0.first.salt == one.salt }) {
                    found[known].count += 1
                } else {
                    found.append((one, 1))
                }
                next = offset + UInt64(BlockHeader.frameByteCount)
                    + UInt64(one.header.storedByteCount)
            }
            if offset > 0, firstFrame == nil { firstFrame = offset }
            place = try search.next(from: next, to: byteCount)
        }
        let most = found.map(\.count).max()
        return found.first { $0.count == most }?.first
    }

    private func candidate(at offset: UInt64) throws -> Witness? {
        let frameByteCount = BlockHeader.frameByteCount
        let front = try window.bytes(at: offset, count: frameByteCount)
        guard front.count == frameByteCount else { return nil }
        let checksum = UInt32(
            littleEndian: front.loadUnaligned(
                fromByteOffset: frameByteCount - 4, as: UInt32.self))
        let salt = StoredChecksum.salt(
            givingChecksum: checksum,
            over: UnsafeRawBufferPointer(rebasing: front[8..<(frameByteCount - 4)]))
        guard let header = try? BlockHeader(reading: front, salt: salt), header.offset == offset,
            ledger == nil || header.ledger == ledger
        else { return nil }
        let stored = try window.bytes(
            at: offset + UInt64(frameByteCount), count: Int(header.storedByteCount))
        guard stored.count == Int(header.storedByteCount),
            StoredChecksum.of(stored, salt: salt) == header.bodyChecksum
        else { return nil }
        return Witness(salt: salt, header: header)
    }

    /// The last bytes of a block's content.
    private func sync(of witness: Witness) throws -> [UInt8]? {
        let header = witness.header
        let stored = try window.bytes(
            at: header.offset + UInt64(BlockHeader.frameByteCount),
            count: Int(header.storedByteCount))
        var decompressor = LZ4Decompressor()
        let content = try? decompressor.decompress(
            stored, contentByteCount: Int(header.contentByteCount))
        guard let content, content.count > 16 else { return nil }
        return content.array(in: (content.count - 16)..<content.count)
    }

    /// By the Avro header, an LZ4 frame before the first of our frames; nil if it is damaged.
    private func ownSchema(sync: [UInt8]) throws -> LogSchema? {
        let end = Int(firstFrame ?? 0)
        guard end > 0, end <= SegmentHeader.maximumByteCount + LogLimits.schemaByteCount + 4096
        else { return nil }
        let front = try window.bytes(at: 0, count: end)
        let magic: [UInt8] = [0x04, 0x22, 0x4D, 0x18]
        guard front.count == end, let start = front.firstRange(of: magic)?.lowerBound,
            end - start > 14
        else { return nil }
        // Behind magic number and two bytes of flags stands the content's length. Source: LZ4
        // frame format 1.6, "Frame Descriptor".
        let length = UInt64(
            littleEndian: front.loadUnaligned(fromByteOffset: start + 6, as: UInt64.self))
        guard length <= UInt64(LogLimits.schemaByteCount) else { return nil }
        var decompressor = LZ4Decompressor()
        let content = try? decompressor.decompress(
            UnsafeRawBufferPointer(rebasing: front[start...]), contentByteCount: Int(length))
        return content.flatMap {
            try? SegmentFile.schema(ofAvroHeader: $0.unsafeBytes, sync: sync)
        }
    }
}
