import Avro
import TestSupport
import Testing

@testable import DaybookLog

@Suite("Blocks") struct BlockTests {
    private static let sync: [UInt8] = Array(100..<116)

    /// Two batches of 3 and 2 rows at position 10, and the header that fits them.
    private func block() throws -> (content: [UInt8], header: BlockHeader) {
        var builder = BlockBuilder(schema: try Sample.schema())
        _ = Sample.append(jobs: 3, Sample.facts(position: 10, receivedAt: 5), to: &builder)
        _ = Sample.append(jobs: 2, Sample.facts(position: 13, receivedAt: 6), to: &builder)
        let finished = builder.finish(sync: Self.sync).content
        var header = Sample.blockHeader
        header.firstPosition = 10
        header.eventCount = 5
        header.batchCount = 2
        header.firstReceivedAt = 5
        header.lastReceivedAt = 6
        return (finished.bytes.array(in: finished.start..<finished.bytes.count), header)
    }

    private func open(
        _ content: [UInt8], _ header: BlockHeader, sync: [UInt8] = sync
    ) throws -> DurableBlock {
        try DurableBlock(
            header: header, schema: Sample.schema(), content: Bytes(content), sync: sync)
    }

    private func positions(_ block: DurableBlock) throws -> [Position] {
        var positions: [Position] = []
        try block.forEachBatch { positions.append($0.facts.position) }
        return positions
    }

    @Test("A block gives its batches in order, read or unread")
    func batches() throws {
        let (content, header) = try block()
        let durable = try open(content, header)
        #expect(durable.endPosition == 15 && durable.head.position == 15)
        #expect(durable.records.upperBound == content.count - 16)
        #expect(try positions(durable) == [10, 13])
        var rows = 0
        try durable.forEachBatch { reader in
            while let branch = try reader.nextBranch() {
                try reader.skipRow(branch)
                rows += 1
            }
        }
        #expect(rows == 5)
        // The content may stand behind other bytes.
        let behind = try DurableBlock(
            header: header, schema: Sample.schema(), content: Bytes([1, 2, 3] + content),
            start: 3, sync: Self.sync)
        #expect(try positions(behind) == [10, 13])
    }

    @Test("Another count, size or sync marker than stated is refused")
    func wrongContent() throws {
        let (content, header) = try block()
        var other = header
        for count: UInt32 in [1, 3] {
            other.batchCount = count
            #expect(throws: FrameFault.badContent) { try open(content, other) }
        }
        var sync = Self.sync
        sync[15] ^= 1
        #expect(throws: FrameFault.badContent) { try open(content, header, sync: sync) }
        #expect(throws: FrameFault.badContent) { try open(content + [0], header) }
        for count in content.indices {
            #expect(throws: FrameFault.badContent) {
                try open(Array(content.prefix(count)), header)
            }
        }
    }

    @Test("Positions that do not go on, or end elsewhere than stated, are refused")
    func wrongPositions() throws {
        var (content, header) = try block()
        for wrong: Position in [9, 11] {
            header.firstPosition = wrong
            let durable = try open(content, header)
            #expect(throws: FrameFault.badContent) { try positions(durable) }
        }
        header.firstPosition = 10
        for wrong: UInt32 in [4, 6] {
            header.eventCount = wrong
            let durable = try open(content, header)
            #expect(throws: FrameFault.badContent) { try positions(durable) }
        }
        header.eventCount = 5
        // The first batch's position is the first byte behind count and size.
        content[try open(content, header).records.lowerBound] = 24
        let durable = try open(content, header)
        #expect(throws: FrameFault.badContent) { try positions(durable) }
    }

    @Test("A record over its limit is not taken, and the group is as it was")
    func recordLimit() throws {
        let schema = try Sample.schema()
        var one = BlockBuilder(schema: schema)
        var other = BlockBuilder(schema: schema)
        let large = [UInt8](repeating: 65, count: LogLimits.recordByteCount)
        _ = Sample.append(jobs: 3, Sample.facts(position: 10, receivedAt: 5), to: &one)
        _ = Sample.append(jobs: 3, Sample.facts(position: 10, receivedAt: 5), to: &other)
        let before = one.byteCount
        let leaf = one.append(
            Sample.facts(position: 13, receivedAt: 6), rowCount: 1, rejectedCount: 1
        ) { sink in
            sink.append(
                rejection: Rejection(raw: large, rawLength: nil, reasons: []), branch: 2)
        }
        #expect(leaf == nil && one.byteCount == before && one.entries.count == 1)
        let same = Sample.append(jobs: 2, Sample.facts(position: 13, receivedAt: 6), to: &one)
        let plain = Sample.append(jobs: 2, Sample.facts(position: 13, receivedAt: 6), to: &other)
        #expect(same == plain)
        let (left, right) = (one.finish(sync: Self.sync), other.finish(sync: Self.sync))
        #expect(left.entries.map(\.leaf) == right.entries.map(\.leaf))
        let leftBytes = left.content.bytes.array(in: left.content.start..<left.content.bytes.count)
        #expect(leftBytes == right.content.bytes.array(
            in: right.content.start..<right.content.bytes.count))
    }

    @Test("A record just at its limit is taken")
    func recordAtLimit() throws {
        var probe = BlockBuilder(schema: try Sample.schema())
        func append(_ count: Int, to builder: inout BlockBuilder) -> Digest? {
            builder.append(Sample.facts(), rowCount: 1, rejectedCount: 1) { sink in
                sink.append(
                    rejection: Rejection(
                        raw: [UInt8](repeating: 0, count: count), rawLength: nil, reasons: []),
                    branch: 2)
            }
        }
        let nearly = LogLimits.recordByteCount - 1000
        _ = append(nearly, to: &probe)
        let fitting = nearly + LogLimits.recordByteCount - probe.byteCount
        var builder = BlockBuilder(schema: try Sample.schema())
        #expect(append(fitting + 1, to: &builder) == nil && builder.isEmpty)
        #expect(append(fitting, to: &builder) != nil)
        #expect(builder.byteCount == LogLimits.recordByteCount)
    }

    @Test("Each limit fits the next, and the worst block its stored limit")
    func limits() {
        LogLimits.assertNesting()
        #expect(LogLimits.bodyByteCount < LogLimits.recordByteCount)
        #expect(LogLimits.recordByteCount < LogLimits.blockByteCount)
        #expect(LogLimits.blockByteCount < LogLimits.storedByteCount)
        #expect(LogLimits.storedByteCount < LogLimits.segmentByteCount)
        var generator = SeededGenerator(seed: 1)
        let words = (0..<(LogLimits.blockByteCount / 8)).map { _ in generator.next() }
        var sink = ByteSink(capacity: LogLimits.storedByteCount)
        var compressor = LZ4Compressor()
        words.withUnsafeBytes { compressor.compress($0, into: &sink) }
        #expect(sink.count >= LogLimits.blockByteCount && sink.count <= LogLimits.storedByteCount)
    }
}
