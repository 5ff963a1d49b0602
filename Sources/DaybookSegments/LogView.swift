import Avro
import DaybookLog

/// A segment as readers see it.
struct ReadableSegment: Sendable {
    let file: SegmentFile
    var contents: SegmentContents
    var endPosition: Position
    /// The end of what is durable.
    var endOffset: UInt64

    /// Whether every event is counted: the counts of a segment that was scanned in part are not
    /// whole.
    var isCounted: Bool {
        let counted = contents.counts.values.reduce(0) { $0 + $1.accepted + $1.rejected }
        return counted >= endPosition - file.header.basePosition
    }

    /// Whether there may be accepted rows of `table` in it; the empty name is the ledger's own.
    func mayHold(_ table: String) -> Bool {
        contents.counts[table].map { $0.accepted > 0 } ?? false || !isCounted
    }
}

/// All segments up to the durable end: what reading needs, and nothing of the writer.
struct LogView: Sendable {
    let disk: any LogDisk
    var segments: [ReadableSegment]
    var head: TreeHead
    var lastReceivedAt: Microseconds

    /// Durable blocks in order, the first of which holds `position`.
    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock] {
        guard position >= 0, position <= head.position else { throw .outOfRange(position) }
        if position == head.position { return [] }
        guard let place = segments.lastIndex(where: { $0.file.header.basePosition <= position })
        else { throw .outOfRange(position) }
        let reader = try SegmentReader(segments[place], disk: disk)
        return try reader.blocks(from: position, byteLimit: byteLimit)
    }

    /// The position after all batches with `received_at` ≤ `time`.
    func position(asOf time: Microseconds) throws(LogError) -> Position {
        if time >= lastReceivedAt { return head.position }
        let place = segments.lastIndex { segment in
            segment.contents.blockCount > 0 && segment.contents.firstReceivedAt <= time
        }
        guard let place else { return 0 }
        let segment = segments[place]
        var position =
            segment.contents.index.last { $0.receivedAt <= time }?.position
            ?? segment.file.header.basePosition
        while position < segment.endPosition {
            for block in try blocks(from: position, byteLimit: 1) {
                if block.firstReceivedAt > time { return block.firstPosition }
                if block.lastReceivedAt > time { return try end(asOf: time, in: block) }
                position = block.endPosition
            }
        }
        return position
    }

    /// The segments that hold accepted rows of `table` or events of the ledger's own, as their
    /// footers say; neighbours together. One whose counts are not whole may hold anything.
    func ranges(holding table: String) -> [Range<Position>] {
        var ranges: [Range<Position>] = []
        for segment in segments {
            let range = segment.file.header.basePosition..<segment.endPosition
            let holds = segment.mayHold(table) || segment.mayHold("")
            guard holds, !range.isEmpty else { continue }
            if let last = ranges.last, last.upperBound == range.lowerBound {
                ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ranges.append(range)
            }
        }
        return ranges
    }

    /// The tree before a block: from its segment's header, and the blocks between.
    func frontier(
        before block: DurableBlock, of source: any LogSource
    ) throws(LogError) -> MerkleFrontier {
        guard
            let segment = segments.last(where: {
                $0.file.header.basePosition <= block.firstPosition
            })
        else { throw .outOfRange(block.firstPosition) }
        let header = segment.file.header
        return try source.frontier(header.frontier, from: header.basePosition, before: block)
    }

    private func end(asOf time: Microseconds, in block: DurableBlock) throws(LogError) -> Position {
        var position = block.firstPosition
        do {
            try block.forEachBatch { reader in
                if reader.facts.receivedAt <= time {
                    position = reader.facts.position + Position(reader.rowCount)
                }
            }
        } catch {
            throw .corrupt(
                Corruption(
                    file: "", offset: 0, position: block.firstPosition,
                    what: "a block's records do not follow the schema"))
        }
        return position
    }
}

/// Reads blocks of one segment, from a position on.
struct SegmentReader {
    private let segment: ReadableSegment
    private let window: FileWindow
    private let search: FrameSearch

    init(_ segment: ReadableSegment, disk: any LogDisk) throws(LogError) {
        self.segment = segment
        do {
            let file = try disk.open(segment.file.name, .read)
            window = FileWindow(file)
            search = FrameSearch(file)
        } catch {
            throw LogError(error)
        }
    }

    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock] {
        precondition(position < segment.endPosition, "the segment holds the position")
        let named = segment.contents.index.last { $0.position <= position }
        var offset = named?.offset ?? segment.file.blocksOffset
        var expected = named?.position ?? segment.file.header.basePosition
        var blocks: [DurableBlock] = []
        var byteCount = 0
        while offset < segment.endOffset, byteCount < byteLimit {
            do throws(SegmentFault) {
                guard let (header, block) = try frame(at: &offset, from: position) else { continue }
                guard header.firstPosition == expected else { throw .frame(.inconsistent) }
                expected = header.endPosition
                offset += UInt64(BlockHeader.frameByteCount) + UInt64(header.storedByteCount)
                guard let block else { continue }
                blocks.append(block)
                byteCount += block.content.count
            } catch {
                if !blocks.isEmpty { return blocks }
                guard let next = try wholeBlock(after: offset, expected: expected, error),
                    next.firstPosition <= position
                else { throw failure(error, offset: offset, position: expected) }
                (offset, expected) = (next.offset, next.firstPosition)
            }
        }
        guard let first = blocks.first else {
            // A damaged segment ends before the next one begins: never an empty answer, which
            // would look like the end of the log.
            throw .corrupt(
                Corruption(
                    file: segment.file.name, offset: segment.endOffset, position: expected,
                    what: "the segment ends before its last position"))
        }
        precondition(
            first.firstPosition <= position && position < first.endPosition,
            "the first block holds the position")
        return blocks
    }

    /// The block at `offset`, or nil for another frame, which `offset` is moved over.
    private func frame(
        at offset: inout UInt64, from position: Position
    ) throws(SegmentFault) -> (BlockHeader, DurableBlock?)? {
        let magic = try window.bytes(at: offset, count: 4)
        guard magic.count == 4 else { throw .frame(.truncated) }
        let salt = segment.file.header.salt
        switch UInt32(littleEndian: magic.loadUnaligned(as: UInt32.self)) {
        case FrameMagic.attestation:
            let bytes = try window.bytes(at: offset, count: Attestation.frameByteCount)
            _ = try SegmentFault.checked { () throws(FrameFault) in
                try Attestation(reading: bytes, salt: salt)
            }
            offset += UInt64(Attestation.frameByteCount)
            return nil
        case FrameMagic.footer:
            let bytes = try window.bytes(at: offset, count: Footer.maximumByteCount)
            _ = try SegmentFault.checked { () throws(FrameFault) in
                try Footer.read(bytes, salt: salt)
            }
            offset = segment.endOffset
            return nil
        default:
            return try block(at: offset, from: position)
        }
    }

    /// The header of the first whole block behind damage at `offset`: blocks after the damaged one
    /// stay readable. Its own checksum and the offset in it vouch for it.
    ///
    /// - Throws: what the system refused.
    private func wholeBlock(
        after offset: UInt64, expected: Position, _ fault: SegmentFault
    ) throws(LogError) -> BlockHeader? {
        if case .disk(let error) = fault { throw LogError(error) }
        do throws(SegmentFault) {
            var place = offset + 1
            while let found = try search.next(from: place, to: segment.endOffset) {
                place = found + 1
                let bytes = try window.bytes(at: found, count: BlockHeader.frameByteCount)
                if let header = try? BlockHeader(reading: bytes, salt: segment.file.header.salt),
                    isOurs(header, at: found), header.firstPosition >= expected
                {
                    return header
                }
            }
            return nil
        } catch {
            throw failure(error, offset: offset, position: expected)
        }
    }

    private func isOurs(_ header: BlockHeader, at offset: UInt64) -> Bool {
        header.ledger == segment.file.header.ledger
            && header.segment == segment.file.header.segment && header.offset == offset
    }

    /// The header at `offset`, and the block itself unless it ends before `position`.
    private func block(
        at offset: UInt64, from position: Position
    ) throws(SegmentFault) -> (BlockHeader, DurableBlock?) {
        let front = try window.bytes(at: offset, count: BlockHeader.frameByteCount)
        let header = try SegmentFault.checked { () throws(FrameFault) in
            try BlockHeader(reading: front, salt: segment.file.header.salt)
        }
        guard isOurs(header, at: offset) else { throw .frame(.misplaced) }
        if header.endPosition <= position { return (header, nil) }
        let stored = try window.bytes(
            at: offset + UInt64(BlockHeader.frameByteCount), count: Int(header.storedByteCount))
        let block = try SegmentFault.checked { () throws(FrameFault) in
            try BlockBody.decode(stored, header: header, of: segment.file)
        }
        return (header, block)
    }

    private func failure(
        _ fault: any Error, offset: UInt64, position: Position
    ) -> LogError {
        if case .disk(let error)? = fault as? SegmentFault { return LogError(error) }
        return .corrupt(
            Corruption(
                file: segment.file.name, offset: offset, position: position,
                what: FaultText.of(fault)))
    }
}

/// Faults in words.
enum FaultText {
    static func of(_ fault: any Error) -> String {
        switch fault {
        case SegmentFault.disk(let error): of(error)
        case let error as DiskError: of(error)
        case SegmentFault.frame(let frame): of(frame)
        case let frame as FrameFault: of(frame)
        default: "\(fault)"
        }
    }

    private static func of(_ error: DiskError) -> String {
        "\(error.call) of \(error.file) failed with errno \(error.code)"
    }

    private static func of(_ fault: FrameFault) -> String {
        switch fault {
        case .truncated: "the file ends inside a frame"
        case .notAFrame: "these bytes are no frame of a segment"
        case .unsupportedVersion(let version): "format version \(version) is not known"
        case .badHeaderChecksum: "a frame's checksum does not hold"
        case .badBodyChecksum: "a block's checksum does not hold"
        case .misplaced: "a frame of another ledger, segment or place"
        case .inconsistent: "a frame contradicts what comes before it"
        case .badContent: "a block does not decode to what its header says"
        }
    }
}
