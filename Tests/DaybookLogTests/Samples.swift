import Avro
import DaybookLog

/// Values that the tests of the format share.
enum Sample {
    static let salt: [UInt8] = (0..<16).map { $0 &* 17 &+ 3 }
    static let ledger = LedgerID(high: 0x0123_4567_89AB_CDEF, low: 0xFEDC_BA98_7654_3210)

    static let jobs = """
        {"type":"record","name":"jobs","fields":[\
        {"name":"id","type":"long"},{"name":"job","type":["null","string"]}]}
        """
    static let readings = """
        {"type":"record","name":"readings","fields":[\
        {"name":"sensor","type":"string"},{"name":"celsius","type":"double"},\
        {"name":"on","type":{"type":"int","logicalType":"date"}},\
        {"name":"ok","type":["null","boolean"]},\
        {"name":"price","type":\
        {"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}
        """

    static func schema() throws -> LogSchema { try LogSchema(recordSchemas: [jobs, readings]) }

    /// A digest that is no other sample's.
    static func digest(_ number: UInt8) -> Digest { Digest(of: [[number]]) }

    static func frontier(_ leafCount: Int) -> MerkleFrontier {
        var frontier = MerkleFrontier()
        for leaf in 0..<leafCount { frontier.append(digest(UInt8(leaf))) }
        return frontier
    }

    static func segmentHeader(leafCount: Int = 7) -> SegmentHeader {
        var header = SegmentHeader(
            ledger: ledger, segment: 3, basePosition: 1_234_567, firstBlock: 99, epoch: 4,
            lastReceivedAt: 1_767_225_600_000_000, createdAt: -5, frontier: frontier(leafCount))
        header.schemaDigest = digest(200)
        header.schemaByteCount = 1500
        header.schemaStoredByteCount = 900
        return header
    }

    static let blockHeader = BlockHeader(
        ledger: ledger, segment: 3, epoch: 4, block: 99, offset: 1_900, firstPosition: 1_234_567,
        eventCount: 30, batchCount: 3, firstReceivedAt: 10, lastReceivedAt: 12,
        storedByteCount: 400, contentByteCount: 600, treeSize: 10, rootBefore: digest(1),
        rootAfter: digest(2), bodyChecksum: 0xDEAD_BEEF)

    static let head = TreeHead(ledger: ledger, size: 10, position: 1_234_597, root: digest(2))

    static let attestation = Attestation(segment: 3, offset: 2_400, head: head)

    static let footer = Footer(
        segment: 3, offset: 2_504, basePosition: 1_234_567, blockCount: 2, firstReceivedAt: 10,
        lastReceivedAt: 12, head: head,
        counts: [
            TableCount(table: "", accepted: 1, rejected: 0),
            TableCount(table: "jobs", accepted: 20, rejected: 9),
        ],
        index: [
            IndexEntry(position: 1_234_567, receivedAt: 10, offset: 1_900),
            IndexEntry(position: 1_234_580, receivedAt: 11, offset: 70_000),
        ])

    static func facts(
        position: Position = 0, receivedAt: Microseconds = 1, table: String = "jobs"
    ) -> BatchFacts {
        BatchFacts(
            position: position, receivedAt: receivedAt, clock: receivedAt,
            id: "019b76da-a800-7000-8000-000000000001", source: "http", principal: "clerk",
            dictionary: "v1", table: table, format: "json")
    }

    /// Adds a batch of `jobs` to a group.
    static func append(
        jobs count: Int, _ facts: BatchFacts, to builder: inout BlockBuilder
    ) -> Digest? {
        builder.append(facts, rowCount: count, rejectedCount: 0) { sink in
            for row in 0..<count {
                sink.append(long: 0)
                sink.append(long: Int64(row))
                sink.append(long: 1)
                sink.append(string: "job \(row)")
            }
        }
    }
}

extension Digest {
    /// The digest of parts given as arrays, one after the other.
    init(of parts: [[UInt8]]) {
        self = parts.flatMap { $0 }.withUnsafeBytes { Digest(of: $0) }
    }
}

/// The bytes that `write` appends to an empty sink.
func bytes(_ write: (inout ByteSink) -> Void) -> [UInt8] {
    var sink = ByteSink()
    write(&sink)
    return sink.finish().unsafeArray
}

extension Bytes {
    var unsafeArray: [UInt8] { array(in: 0..<count) }
}
