import Avro
import DaybookLog
import Foundation

@testable import DaybookSegments

/// The attacker who has the ledger's disk: writes a log anew with something else in it, and makes
/// every checksum, every root and every frame again, so that the log is sound in itself.
public struct LogForger {
    private let folder: String
    private let old: [UInt8]
    private let new: [UInt8]
    private var frontier = MerkleFrontier()
    /// How many records were changed.
    private var changeCount = 0

    /// Puts `new` for `old` in all rows of the log in a data directory, whatever they are; both
    /// have the same length. The log as it was is kept as `log.true`.
    ///
    /// - Returns: how many records were changed.
    public static func forge(
        dataFolder: String, replacing old: String, by new: String
    ) throws -> Int {
        precondition(old.utf8.count == new.utf8.count, "Avro has lengths before its texts")
        var forger = LogForger(
            folder: dataFolder, old: Array(old.utf8), new: Array(new.utf8))
        try forger.run()
        return forger.changeCount
    }

    private init(folder: String, old: [UInt8], new: [UInt8]) {
        self.folder = folder
        self.old = old
        self.new = new
    }

    private mutating func run() throws {
        let files = FileManager.default
        try files.moveItem(atPath: "\(folder)/log", toPath: "\(folder)/log.true")
        let source = SystemDisk(existingFolder: "\(folder)/log.true")
        let target = try SystemDisk(folder: "\(folder)/log")
        var head: TreeHead?
        let names = try source.names().filter { SegmentFile.basePosition(name: $0) != nil }.sorted()
        for name in names { head = try forge(name, from: source, to: target) }
        var headFile = try HeadFile(disk: target)
        if let head { headFile.write(head: head, checkpoint: nil) }
    }

    private mutating func forge(
        _ name: String, from source: SystemDisk, to target: SystemDisk
    ) throws -> TreeHead {
        let (segment, file) = try SegmentFile.open(name, on: source)
        var blocks: [ScannedBlock] = []
        let tail = try SegmentTail(segment, file: file) { found, _ in blocks.append(found) }
        precondition(tail.faultText == nil, "what is forged was sound")
        // Salt, sync marker, times and numbers are those of the true segment.
        var header = segment.header
        header.frontier = frontier
        let (forged, output) = try SegmentFile.create(header, schema: segment.schema, on: target)
        var writer = SegmentWriter(
            forged, file: output, epoch: header.epoch, offset: forged.blocksOffset,
            state: ChainState(forged.header), isAttested: true, contents: SegmentContents())
        for block in blocks {
            _ = try writer.append(try group(of: block, schema: segment.schema))
        }
        if tail.scanner.footer == nil {
            try writer.attest()
        } else {
            _ = try writer.seal()
        }
        frontier = writer.state.frontier
        return writer.state.head
    }

    private mutating func group(
        of found: ScannedBlock, schema: LogSchema
    ) throws -> BlockBuilder {
        var builder = BlockBuilder(schema: schema)
        var index = 0
        try found.block.forEachBatch { reader in
            let start = reader.cursor.address
            let facts = reader.facts
            let record = try reader.finish()
            let end = UnsafeRawPointer(record.baseAddress ?? start) + record.count
            // The last byte ends the array of rows, and is the builder's.
            let rows = Array(UnsafeRawBufferPointer(start: start, count: end - start - 1))
            let forged = Array(rows.replacing(old, with: new))
            if forged != rows { changeCount += 1 }
            let entry = found.entries[index]
            let leaf = builder.append(
                facts, rowCount: entry.eventCount, rejectedCount: entry.rejectedCount
            ) { $0.append(raw: forged) }
            precondition(
                forged != rows || leaf == entry.leaf, "what is not changed is the same to the bit")
            index += 1
        }
        return builder
    }
}
