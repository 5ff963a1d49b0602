import DaybookLog
import Synchronization
import TestSupport

@testable import DaybookSegments

/// A log of two segments with three blocks each, as the engine left it, and what it holds.
///
/// Both segments have an attestation between blocks; the first is sealed.
struct SmallLog {
    /// How the writer ended.
    enum Ending: String, CaseIterable {
        /// In good order: the last block is attested, the head file knows it.
        case closed
        /// By `kill -9`: nothing attests the last block, the head file knows it.
        case killed
        /// With the machine: nothing attests the last block, and the head file is one write behind.
        case powerLost
    }

    struct Block {
        let segment: String
        /// Header and body.
        let bytes: Range<Int>
        let positions: Range<Position>
        let content: [UInt8]
    }

    let ending: Ending
    var files: [String: [UInt8]]
    let blocks: [Block]
    let end: Position
    let segments: [String]
    /// Where frames begin, by segment; the end of the file too.
    let frames: [String: [Int]]

    static let rowCount = 2

    /// - Parameter seed: of its ids and salts, so that the same log comes each time.
    init(_ ending: Ending, seed: UInt64 = 1) throws {
        self.ending = ending
        let disk = MemoryDisk()
        var options = Sample.options()
        let generator = Mutex(SeededGenerator(seed: seed))
        options.random = { generator.withLock { $0.next() } }
        let log = try SegmentLog(disk: disk, options: options)
        var head = disk.files[HeadFile.name]
        for number in 0..<6 {
            if number == 3 { try log.roll(to: Sample.schema) }
            head = disk.files[HeadFile.name]
            try Sample.append(log, rows: SmallLog.rowCount)
            if number == 1 || number == 4 { try log.attest() }
        }
        if ending == .closed { try log.close() }
        var files = disk.files
        if ending == .powerLost { files[HeadFile.name] = head }
        self.files = files
        segments = files.keys.filter { $0.hasSuffix(SegmentFile.suffix) }.sorted()
        var blocks: [Block] = []
        var frames: [String: [Int]] = [:]
        for name in segments {
            let (segment, file) = try SegmentFile.open(name, on: disk)
            _ = try SegmentTail(segment, file: file) { found, _ in
                let start = Int(found.header.offset)
                let end =
                    start + BlockHeader.frameByteCount + Int(found.header.storedByteCount)
                blocks.append(
                    Block(
                        segment: name, bytes: start..<end,
                        positions: found.header.firstPosition..<found.header.endPosition,
                        content: found.block.content.withUnsafeBytes(
                            in: 0..<found.block.content.count, Array.init)))
            }
            let content = files[name] ?? []
            let ends = blocks.filter { $0.segment == name }.flatMap {
                [$0.bytes.lowerBound, $0.bytes.upperBound]
            }
            frames[name] = Array(Set(ends + [Int(segment.blocksOffset), content.count])).sorted()
        }
        self.blocks = blocks
        self.frames = frames
        end = log.durable.position
        precondition(blocks.count == 6 && segments.count == 2, "the log is as it is described")
    }

    var lastBlock: Block { blocks[blocks.count - 1] }
    var sealed: String { segments[0] }
    var active: String { segments[1] }
    /// Whether only the last block's own bytes say that it was durable.
    var isLastBlockExempt: Bool { ending == .powerLost }
}
