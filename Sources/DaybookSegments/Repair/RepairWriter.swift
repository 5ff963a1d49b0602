import Avro
import DaybookLog

/// Writes again what could be saved, and the gaps between.
struct RepairWriter {
    let log: SegmentLog
    let disk: any LogDisk
    let options: LogRepair.Options
    let journal: RepairJournal
    /// The dictionary that the last batch was judged by.
    private var dictionary = ""
    private static let groupByteCount = 1 << 20

    init(
        log: SegmentLog, disk: any LogDisk, options: LogRepair.Options, journal: RepairJournal
    ) {
        self.log = log
        self.disk = disk
        self.options = options
        self.journal = journal
    }

    mutating func write(_ salvage: Salvage, _ progress: (Int64, Int64) -> Void) throws {
        dictionary = try lastDictionary()
        var gaps = salvage.plan.gaps[...]
        var savedCount: Int64 = 0
        for run in salvage.runs {
            if let gap = gaps.first, gap.positions.lowerBound == log.durable.position {
                gaps.removeFirst()
                try write(gap, before: run.first.firstReceivedAt, as: run.segment.schema)
            }
            try copy(run) { count in
                savedCount += count
                progress(savedCount, salvage.plan.savedEventCount)
            }
        }
        if let gap = gaps.first { try write(gap, before: .max, as: log.schema) }
    }

    private func lastDictionary() throws -> String {
        guard log.durable.position > 0 else { return "" }
        var found = ""
        for block in try log.blocks(from: log.durable.position - 1, byteLimit: 1) {
            try block.forEachBatch { found = $0.facts.dictionary }
        }
        return found
    }

    /// Writes a run's records again, byte for byte, in larger blocks.
    private mutating func copy(
        _ run: BlockSearch.Run, _ progress: (Int64) -> Void
    ) throws {
        // A new dictionary is looked for where segments begin: what began one begins one again.
        let beginsSegment = run.first.firstPosition == run.segment.header.basePosition
        if beginsSegment || log.schema != run.segment.schema {
            try log.roll(to: run.segment.schema)
        }
        let window = FileWindow(try disk.open(run.storedName, .read))
        var offset = run.offset
        var builder = BlockBuilder(schema: run.segment.schema)
        while offset < run.endOffset {
            let magic = try window.bytes(at: offset, count: 4)
            if UInt32(littleEndian: magic.loadUnaligned(as: UInt32.self)) != FrameMagic.block {
                offset += UInt64(Attestation.frameByteCount)
                continue
            }
            let (header, found) = try BlockSearch.block(at: offset, of: run.segment, window)
            offset += UInt64(BlockHeader.frameByteCount) + UInt64(header.storedByteCount)
            var index = 0
            let isFull =
                builder.byteCount + Int(header.contentByteCount) > RepairWriter.groupByteCount
            if isFull, !builder.isEmpty {
                _ = try log.append(builder)
                builder = BlockBuilder(schema: run.segment.schema)
            }
            var last = dictionary
            try found.block.forEachBatch { reader in
                last = reader.facts.dictionary
                try builder.append(
                    recordOf: &reader, rejectedCount: found.entries[index].rejectedCount)
                index += 1
            }
            dictionary = last
            progress(Int64(header.eventCount))
        }
        if !builder.isEmpty { _ = try log.append(builder) }
    }

    /// Writes the events that stand for those that are lost: the first says what is known of them.
    private mutating func write(
        _ gap: RepairPlan.Gap, before end: Microseconds, as schema: LogSchema
    ) throws {
        if log.schema != schema, log.durable.position == 0 { try log.roll(to: schema) }
        let kept = journal.kept.first { $0.from == gap.file }?.to ?? ""
        let first = Control(
            kind: "gap", refersTo: [gap.positions], text: options.text(gap, kept))
        let later = Control(kind: "gap", text: Array("{}".utf8))
        let count = Int64(gap.positions.count)
        let batchCount = (count - 1) / options.gapRowCountMax + 1
        guard end - 1 - log.lastReceivedAt >= batchCount else {
            throw LogError.corrupt(
                Corruption(
                    file: gap.file, offset: gap.offset, position: gap.positions.lowerBound,
                    what: "there are not \(batchCount) microseconds for what is lost"))
        }
        var position = gap.positions.lowerBound
        while position < gap.positions.upperBound {
            let rowCount = Int(
                min(options.gapRowCountMax, gap.positions.upperBound - position))
            let time = log.lastReceivedAt + 1
            let facts = BatchFacts(
                position: position, receivedAt: time, clock: options.clock(),
                id: options.batchID(time), source: "system", principal: "system",
                dictionary: dictionary, table: "", format: "control")
            var builder = BlockBuilder(schema: log.schema)
            let isFirst = position == gap.positions.lowerBound
            let branch = log.schema.controlBranch
            let leaf = builder.append(facts, rowCount: rowCount, rejectedCount: 0) { sink in
                for row in 0..<rowCount {
                    sink.append(control: isFirst && row == 0 ? first : later, branch: branch)
                }
            }
            precondition(leaf != nil, "a gap's record is within its limit")
            _ = try log.append(builder)
            position += Position(rowCount)
        }
    }
}
