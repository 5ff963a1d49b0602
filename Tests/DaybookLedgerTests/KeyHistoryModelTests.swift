import Avro
import DaybookCatalog
import DaybookLog
import DaybookSegments
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DaybookLedger

/// A log that remembers which blocks were asked for.
private final class SpiedLog: LogSource {
    private let log: LogReader
    private let seen = Mutex<[Range<Position>]>([])

    init(_ log: LogReader) { self.log = log }

    var durable: TreeHead { log.durable }
    var read: [Range<Position>] { seen.withLock(\.self) }

    func ranges(holding table: String) -> [Range<Position>] { log.ranges(holding: table) }

    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock] {
        let blocks = try log.blocks(from: position, byteLimit: byteLimit)
        seen.withLock { $0 += blocks.map { $0.firstPosition..<$0.endPosition } }
        return blocks
    }

    func position(asOf time: Microseconds) throws(LogError) -> Position {
        try log.position(asOf: time)
    }

    func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier {
        try log.frontier(before: block)
    }
}

/// Random logs, written batch by batch without a ledger: rows come again after retractions.
private struct RandomLog {
    /// What a model knows of a row.
    struct Row {
        let position: Position
        let leaf: Digest
        var retraction: Position?
    }

    let log: SegmentLog
    let catalog: Catalog
    /// By table and id.
    var rows: [String: [Int64: [Row]]] = [:]
    private let schema: LogSchema

    init(folder: String) throws {
        catalog = try CatalogLoader.load(
            text: """
                table: goods
                key: [shelf, id]
                columns:
                  - {name: id, type: integer}
                  - {name: shelf, type: string}
                  - {name: note, type: string, optional: true}
                ---
                table: jobs
                key: [id]
                columns:
                  - {name: id, type: integer}
                  - {name: job, type: string}
                """)
        schema = try catalog.logSchema()
        var options = SegmentLogOptions(schema: schema, clock: { 1 })
        options.segmentByteCount = 3_000
        log = try SegmentLog.open(folder: folder, options: options)
    }

    private func facts(_ table: String) -> BatchFacts {
        let time = log.lastReceivedAt + 1
        return BatchFacts(
            position: log.durable.position, receivedAt: time, clock: time,
            id: "0190a000-0000-7000-8000-000000000000", source: table.isEmpty ? "system" : "http",
            principal: "ann", dictionary: catalog.version, table: table, format: "json")
    }

    /// Appends a batch of a table: accepted rows of these ids, nil a rejected one.
    mutating func append(_ table: String, _ ids: [Int64?], _ vary: (inout BatchFacts) -> Void)
        throws
    {
        var facts = facts(table)
        vary(&facts)
        var builder = BlockBuilder(schema: schema)
        let leaf = builder.append(
            facts, rowCount: ids.count, rejectedCount: ids.count { $0 == nil }
        ) { sink in
            for id in ids {
                guard let id else {
                    sink.append(
                        rejection: Rejection(
                            raw: Array("{}".utf8), rawLength: nil,
                            reasons: [.init(code: "missing_field", column: "id", message: "m")]),
                        branch: 2)
                    continue
                }
                sink.append(long: table == "goods" ? 0 : 1)
                sink.append(long: id)
                sink.append(string: "s\(id % 3)")
                guard table == "goods" else { continue }
                sink.append(long: id % 2)
                if id % 2 == 1 { sink.append(string: "n") }
            }
        }
        guard let leaf else { return }
        _ = try log.append(builder)
        for (index, id) in ids.enumerated() {
            guard let id else { continue }
            rows[table, default: [:]][id, default: []].append(
                Row(position: facts.position + Position(index), leaf: leaf))
        }
    }

    /// Takes back the rows in these ranges.
    mutating func retract(_ ranges: [Range<Position>]) throws {
        let facts = facts("")
        var builder = BlockBuilder(schema: schema)
        _ = builder.append(facts, rowCount: 2, rejectedCount: 0) { sink in
            sink.append(control: Control(kind: "note", refersTo: ranges, text: []), branch: 3)
            let text = Array(#"{"note":"n","by":"b"}"#.utf8)
            sink.append(
                control: Control(kind: "retraction", refersTo: ranges, text: text), branch: 3)
        }
        _ = try log.append(builder)
        for (table, byID) in rows {
            for (id, known) in byID {
                rows[table]?[id] = known.map { row in
                    var row = row
                    let isTaken = ranges.contains { $0.contains(row.position) }
                    if row.retraction == nil, isTaken { row.retraction = facts.position + 1 }
                    return row
                }
            }
        }
    }
}

@Suite("Histories of keys in random logs")
struct KeyHistoryModelTests {
    private func history(
        _ id: Int64, of table: String, in world: RandomLog, log: (any LogSource)? = nil,
        after: Position? = nil
    ) throws -> KeyHistory {
        let key = table == "goods" ? ["s\(id % 3)", "\(id)"] : ["\(id)"]
        let asked = try AskedKey(key, of: table, in: world.catalog)
        return try KeyHistory(
            of: asked, by: world.catalog, in: log ?? world.log, after: after)
    }

    @Test("Rows that came again and again and were taken back have the history of a model")
    func histories() throws {
        var random = SeededGenerator()
        let seed = random.seed
        let folder = try TemporaryFolder()
        var world = try RandomLog(folder: folder.path("data"))
        for _ in 0..<250 {
            let end = world.log.durable.position
            if Int.random(in: 0..<6, using: &random) == 0, end > 0 {
                let ranges = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    let from = Position.random(in: 0..<end, using: &random)
                    return from..<min(end, from + Position.random(in: 0...4, using: &random))
                }
                try world.retract(ranges)
                continue
            }
            let table = Bool.random(using: &random) ? "goods" : "jobs"
            let ids = (0..<Int.random(in: 1...5, using: &random)).map { _ -> Int64? in
                let id = Int64.random(in: -20...120, using: &random)
                return id < 0 ? nil : id
            }
            let hasAll = Bool.random(using: &random)
            try world.append(table, ids) { facts in
                guard hasAll else { return }
                facts.idempotencyKey = "k"
                facts.requestDigest = Array(0..<32)
                facts.firstLine = 100
                facts.lineSkips = [LineSkip(row: 0, lines: 2)]
            }
        }
        #expect(world.log.size.segments > 5)
        try world.log.attest()
        let reader = try LogReader.open(folder: folder.path("data"))
        for table in ["goods", "jobs"] {
            for id in Int64(0)...121 {
                let expected = world.rows[table]?[id] ?? []
                for log: any LogSource in [world.log, reader] {
                    let found = try history(id, of: table, in: world, log: log)
                    let what: Comment = "\(table) \(id), seed \(seed)"
                    #expect(found.events.map(\.position) == expected.map(\.position), what)
                    #expect(found.events.map(\.leaf) == expected.map(\.leaf), what)
                    #expect(
                        found.events.map { $0.retraction?.position } == expected.map(\.retraction),
                        what)
                    let presence: KeyPresence =
                        expected.isEmpty
                        ? .absent
                        : expected.contains { $0.retraction == nil } ? .present : .retracted
                    #expect(found.presence == presence, what)
                }
            }
        }
    }

    @Test("After a hundred events the next ones are asked for, and the state is of all")
    func pages() throws {
        let folder = try TemporaryFolder()
        var world = try RandomLog(folder: folder.path("data"))
        for _ in 0..<230 { try world.append("jobs", [7, 8, 7]) { _ in } }
        let all = (world.rows["jobs"]?[7] ?? []).map(\.position)
        try world.retract([all[0]..<(all[459] + 1)])
        var positions: [Position] = []
        var next: Position?
        for _ in 0..<5 {
            let page = try history(7, of: "jobs", in: world, after: next)
            #expect(page.presence == .retracted && page.events.allSatisfy { $0.retraction != nil })
            #expect(page.events.count == (positions.count < 400 ? 100 : 60))
            positions += page.events.map(\.position)
            next = page.next
        }
        #expect(positions == all && next == nil)
        // A row has five bytes: after three of them there are more than ten.
        let scan = KeyScan(
            key: try AskedKey(["7"], of: "jobs", in: world.catalog), catalog: world.catalog,
            after: all[1], rowByteCountMax: 10)
        let short = try KeyHistory(of: scan.key, by: scan, in: world.log)
        #expect(short.events.map(\.position) == Array(all[2...4]) && short.next == all[4])
        let none = try history(7, of: "jobs", in: world, after: all[459])
        #expect(none.events.isEmpty && none.next == nil && none.presence == .retracted)
    }

    @Test("Segments without rows of the table are not read")
    func skipped() throws {
        let folder = try TemporaryFolder()
        var world = try RandomLog(folder: folder.path("data"))
        for table in ["jobs", "goods", "jobs", "goods"] {
            try world.log.roll(to: world.log.schema)
            for _ in 0..<3 { try world.append(table, [1, 2, 3]) { _ in } }
        }
        try world.log.attest()
        let spy = SpiedLog(try LogReader.open(folder: folder.path("data")))
        let found = try history(2, of: "jobs", in: world, log: spy)
        #expect(found.events.map(\.position) == (world.rows["jobs"]?[2] ?? []).map(\.position))
        #expect(found.events.count == 6 && spy.read.count == 6)
        #expect(spy.read.allSatisfy { $0.lowerBound / 9 % 2 == 0 })
    }
}
