import Avro
import DaybookLog
import DaybookSegments
import Foundation

/// The ledger of `eventlog/golden`: two segments, two schemas, every kind of row and of frame.
///
/// What it holds is written here as values and never read back: `expected.json` says what was
/// meant, not what a reader made of it. Salts, sync markers and the ledger's id are random, so the
/// files differ at every making and their content does not.
struct GoldenLedger {
    private let log: SegmentLog
    private var batches: [JSONValue] = []
    private var leaves: [Digest] = []
    private var nextReceivedAt: Microseconds = GoldenLedger.epoch

    /// 2026-01-01T00:00Z.
    static let epoch: Microseconds = 1_767_225_600_000_000

    static let jobs = """
        {"type":"record","name":"jobs","fields":[\
        {"name":"id","type":"long"},{"name":"job","type":"string"}]}
        """
    static let readings = """
        {"type":"record","name":"readings","fields":[\
        {"name":"sensor","type":{"type":"string","logicalType":"uuid"}},\
        {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},\
        {"name":"celsius","type":["null","double"]},\
        {"name":"is_calibrated","type":["null","boolean"]}]}
        """
    static let payments = """
        {"type":"record","name":"payments","fields":[\
        {"name":"account","type":"string"},\
        {"name":"on","type":{"type":"int","logicalType":"date"}},\
        {"name":"amount","type":\
        {"type":"bytes","logicalType":"decimal","precision":12,"scale":2}},\
        {"name":"note","type":["null","string"]}]}
        """

    /// Makes the log, `HEAD` and `expected.json` in `folder`, which must exist.
    static func write(to folder: String) throws {
        let first = try LogSchema(recordSchemas: [jobs, readings])
        let disk = try SystemDisk(folder: folder)
        let log = try SegmentLog(
            disk: disk, options: SegmentLogOptions(schema: first, clock: { epoch }))
        var ledger = GoldenLedger(log: log)
        try ledger.writeFirstSegment()
        try log.attest()
        try ledger.writeCorrections()
        try log.roll(to: LogSchema(recordSchemas: [jobs, payments, readings]))
        try ledger.writeSecondSegment()
        let head = log.durable
        try log.close()
        let root = NaiveTree.root(ledger.leaves[...])
        try expected(log.ledger, position: head.position, root: root, ledger.batches)
            .write(toFile: "\(folder)/expected.json", atomically: false, encoding: .utf8)
    }

    /// JSON with a line for each batch.
    private static func expected(
        _ ledger: LedgerID, position: Position, root: Digest, _ batches: [JSONValue]
    ) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let lines = try batches.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
        return """
            {"ledger": "\(ledger)", "position": \(position),
            "root": "\(root)",
            "batches": [
            \(lines.joined(separator: ",\n"))
            ]}

            """
    }

    private init(log: SegmentLog) { self.log = log }

    private mutating func writeFirstSegment() throws {
        try append([
            system(Control(kind: "genesis", text: json("ledger", log.ledger.description))),
            system(Control(kind: "catalog", text: json("version", "v1"))),
        ])
        var jobs = facts(source: "http", table: "jobs", format: "json")
        jobs.idempotencyKey = "a key, naïve ✓"
        jobs.requestDigest = Array(0..<32)
        var readings = facts(source: "csv:readings.csv", table: "readings", format: "csv")
        readings.firstLine = 2
        readings.lineSkips = [LineSkip(row: 1, lines: 2), LineSkip(row: 2, lines: 1)]
        let sensor = AvroValue.string("6f1b2c9e-0d5a-4c3e-9b7a-2f4d8e6a1c05")
        try append([
            (
                jobs,
                [
                    .accepted(0, [.long(1), .string("Märchenerzähler ✓")]),
                    .rejected(
                        Rejection(
                            raw: Array(#"{"id":"2"}"#.utf8), rawLength: nil,
                            reasons: [
                                .init(code: "missing_field", column: "job", message: "no job"),
                                .init(code: "wrong_type", column: "id", message: "id is a string"),
                            ])),
                    .accepted(0, [.long(.min), .string("")]),
                ]
            ),
            (
                readings,
                [
                    .accepted(
                        1, [sensor, .long(-1), .union(1, .double(-21.625)), .union(0, .null)]),
                    .rejected(
                        Rejection(
                            raw: [0xFF, 0x00, 0x2C, 0x0A, 0x80], rawLength: nil,
                            reasons: [
                                .init(code: "malformed_row", column: nil, message: "no UTF-8")
                            ])),
                    .accepted(
                        1, [sensor, .long(.max), .union(0, .null), .union(1, .boolean(true))]),
                ]
            ),
        ])
    }

    private mutating func writeCorrections() throws {
        var mended = facts(source: "http", table: "jobs", format: "json")
        mended.corrects = [Correction(row: 0, position: 3)]
        try append([(mended, [.accepted(0, [.long(2), .string("clerk")])])])
        try append([
            (
                facts(source: "http", table: "jobs", format: "json"),
                [
                    .rejected(
                        Rejection(
                            raw: Array("[[[[".utf8), rawLength: 9_000_000,
                            reasons: [
                                .init(code: "malformed_batch", column: nil, message: "too deep")
                            ]))
                ]
            )
        ])
    }

    private mutating func writeSecondSegment() throws {
        try append([system(Control(kind: "catalog", text: json("version", "v2")))])
        log.note(checkpoint: log.durable)
        // 40 rows of a kind, so that this block does compress.
        let payments = (0..<40).map(payment)
        try append([
            (facts(source: "avro:payments.avro", table: "payments", format: "avro"), payments),
            system(Control(kind: "waiver", refersTo: [6..<7, 9..<10], text: json("note", "known"))),
        ])
    }

    private func payment(_ number: Int) -> GoldenRow {
        let amount: [UInt8] = number % 2 == 0 ? [0x30, 0x39] : [0xCF, 0xC7]
        let note: AvroValue =
            number % 3 == 0 ? .union(0, .null) : .union(1, .string("No. \(number)"))
        let account = AvroValue.string("account \(number % 7)")
        return .accepted(1, [account, .int(Int32(20_000 - number)), .bytes(amount), note])
    }

    private typealias Batch = (facts: BatchFacts, rows: [GoldenRow])

    private func facts(source: String, table: String, format: String) -> BatchFacts {
        BatchFacts(
            position: 0, receivedAt: 0, clock: 0, id: "", source: source, principal: "clerk-1",
            dictionary: "sha256:00ff", table: table, format: format)
    }

    private func system(_ control: Control) -> Batch {
        var facts = facts(source: "system", table: "", format: "control")
        facts.principal = "system"
        return (facts, [.control(control)])
    }

    private func json(_ name: String, _ value: String) -> [UInt8] {
        Array(#"{"\#(name)":"\#(value)"}"#.utf8)
    }

    /// Appends a group, one block, and keeps what it was meant to be.
    private mutating func append(_ group: [Batch]) throws {
        let schema = log.schema
        let encoders = try BatchJSON.tableSchemas(of: schema).map { AvroEncoder($0) }
        var builder = BlockBuilder(schema: schema)
        var position = log.durable.position
        for var batch in group {
            batch.facts.position = position
            batch.facts.receivedAt = nextReceivedAt
            // The clock of the second batch went back: time in the log does not.
            batch.facts.clock = leaves.count == 1 ? nextReceivedAt - 5_000_000 : nextReceivedAt
            batch.facts.id = "019b76da-a800-7000-8000-" + hexadecimal(leaves.count)
            nextReceivedAt += 1_000_001
            position += Position(batch.rows.count)
            let rejected = batch.rows.count { if case .rejected = $0 { true } else { false } }
            var failure: (any Error)?
            let leaf = builder.append(
                batch.facts, rowCount: batch.rows.count, rejectedCount: rejected
            ) { sink in
                do {
                    for row in batch.rows { try append(row, schema, encoders, to: &sink) }
                } catch { failure = error }
            }
            if let failure { throw failure }
            guard let leaf else { preconditionFailure("a golden batch is small") }
            leaves.append(leaf)
            batches.append(BatchJSON.value(batch.facts, rows: batch.rows, schema: schema))
        }
        _ = try log.append(builder)
    }

    private func append(
        _ row: GoldenRow, _ schema: LogSchema, _ encoders: [AvroEncoder], to sink: inout ByteSink
    ) throws {
        switch row {
        case .accepted(let branch, let values):
            sink.append(long: Int64(branch))
            try encoders[branch].encode(.record(values), into: &sink)
        case .rejected(let rejection):
            sink.append(rejection: rejection, branch: schema.rejectionBranch)
        case .control(let control):
            sink.append(control: control, branch: schema.controlBranch)
        }
    }

    private func hexadecimal(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 12 - digits.count) + digits
    }
}

/// RFC 6962, section 2.1, word for word: slow, and nothing like the frontier.
enum NaiveTree {
    static func root(_ leaves: ArraySlice<Digest>) -> Digest {
        if leaves.isEmpty { return Digest(of: []) }
        if leaves.count == 1 { return leaves[leaves.startIndex] }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        let middle = leaves.startIndex + split
        return MerkleFrontier.parent(root(leaves[..<middle]), root(leaves[middle...]))
    }
}
