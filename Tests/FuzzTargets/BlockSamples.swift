import Avro
import DaybookLog

/// What the block target builds its segments from: always the same bytes, so that an input means
/// the same in every run.
enum BlockSamples {
    static let salt = [UInt8](0x10..<0x20)
    static let sync = [UInt8](0xA0..<0xB0)
    static let ledger = LedgerID(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)

    static let jobs = """
        {"type":"record","name":"jobs","fields":[\
        {"name":"id","type":"long"},{"name":"job","type":"string"}]}
        """
    static let readings = """
        {"type":"record","name":"readings","fields":[\
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},\
        {"name":"celsius","type":["null","double"]},\
        {"name":"is_calibrated","type":["null","boolean"]}]}
        """

    static let schema: LogSchema = {
        guard let schema = try? LogSchema(recordSchemas: [jobs, readings], keepsDigests: true)
        else { preconditionFailure("the sample's schema is valid") }
        return schema
    }()

    /// A segment's two headers.
    static let header: [UInt8] = {
        guard let parsed = try? AvroSchema(json: schema.json) else {
            preconditionFailure("a log's schema is one of Avro")
        }
        var avro = ByteSink()
        ContainerHeader(schema: parsed, codec: .null, syncMarker: SyncMarker(sync))
            .encode(into: &avro)
        var compressor = LZ4Compressor()
        var stored = ByteSink()
        compressor.compress(avro.unsafeBytes, into: &stored)
        var header = SegmentHeader(
            ledger: ledger, segment: 0, basePosition: 0, firstBlock: 0, epoch: 1,
            lastReceivedAt: 0, createdAt: 0, frontier: MerkleFrontier())
        header.salt = salt
        header.sync = sync
        header.schemaDigest = Digest(of: avro.unsafeBytes)
        header.schemaByteCount = UInt32(avro.count)
        header.schemaStoredByteCount = UInt32(stored.count)
        var sink = ByteSink()
        header.append(to: &sink)
        sink.append(raw: stored.unsafeBytes)
        return Array(sink.unsafeBytes)
    }()

    /// A block around records; its header is right but for what `FrameRepair` fills in.
    static func block(_ records: [UInt8], batchCount: Int64) -> [UInt8] {
        var content = ByteSink()
        content.append(long: batchCount)
        content.append(long: Int64(records.count))
        content.append(raw: records)
        content.append(raw: sync)
        var compressor = LZ4Compressor()
        var stored = ByteSink()
        compressor.compress(content.unsafeBytes, into: &stored)
        let none = Digest(of: UnsafeRawBufferPointer(start: nil, count: 0))
        let header = BlockHeader(
            ledger: ledger, segment: 0, epoch: 1, block: 0, offset: 0, firstPosition: 0,
            eventCount: 1, batchCount: 1, firstReceivedAt: 1, lastReceivedAt: 1,
            storedByteCount: UInt32(stored.count), contentByteCount: UInt32(content.count),
            treeSize: 1, rootBefore: none, rootAfter: none, bodyChecksum: 0)
        var sink = ByteSink()
        header.append(to: &sink, salt: salt)
        sink.append(raw: stored.unsafeBytes)
        return Array(sink.unsafeBytes)
    }
}
