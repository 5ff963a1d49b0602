import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Finds the rows that a request means, and whether others refer to them, by looking through the
/// log. Blocks on the disk; the writer goes on meanwhile.
struct RetractionPlanner {
    /// So many referring rows are named.
    static let exampleCount = 10
    /// Rows that refer to rows that go are looked for so often at most, each time further away.
    private static let depthMax = 64

    let catalog: Catalog
    let fingerprintKey: FingerprintKey
    let log: any LogSource
    private let lookup: LogLookup

    init(_ catalog: Catalog, _ fingerprintKey: FingerprintKey, _ log: any LogSource) {
        self.catalog = catalog
        self.fingerprintKey = fingerprintKey
        self.log = log
        lookup = LogLookup(engine: log, byteLimit: 32 << 20)
    }

    func plan(_ request: RetractionRequest) throws(RetractionError) -> RetractionPlan {
        let end = log.durable.position
        let gone = try reading { () throws(LogError) in try RetractedRows(of: log, below: end) }
        var wanted = RetractedRows()
        wanted.add(try TargetSearch(catalog, log, lookup, end: end).ranges(of: request.targets))
        for _ in 0..<Self.depthMax {
            let plan = try plan(wanted, gone, request, end)
            let scan = try references(
                plan, gone, from: 0,
                foundCountMax: request.takesReferring ? .max : Self.exampleCount)
            if scan.count == 0 { return plan }
            guard request.takesReferring else { throw try refusal(scan) }
            wanted.add(scan.found.map { $0.position..<$0.position + 1 })
        }
        throw .tooManyPieces(wanted.spans.count)
    }

    /// The plan, looked through up to the log's end of now.
    ///
    /// - Throws: `.referred` if a row has come that refers to what is to go.
    func extend(_ plan: RetractionPlan) throws(RetractionError) -> RetractionPlan {
        var extended = plan
        extended.position = log.durable.position
        let gone = try reading { () throws(LogError) in
            try RetractedRows(of: log, below: extended.position)
        }
        let scan = try references(
            extended, gone, from: plan.position, foundCountMax: Self.exampleCount)
        if scan.count > 0 { throw try refusal(scan) }
        return extended
    }

    private func refusal(_ scan: ReferenceScan) throws(RetractionError) -> RetractionError {
        do { return .referred(count: scan.count, first: try scan.rows(lookup)) } catch {
            throw .ledger(error)
        }
    }

    /// What there is to go of `wanted`: whole ranges of batches that have an accepted row in them.
    private func plan(
        _ wanted: RetractedRows, _ gone: RetractedRows, _ request: RetractionRequest,
        _ end: Position
    ) throws(RetractionError) -> RetractionPlan {
        let keys = ReferredKeys()
        let referred = Set(
            catalog.tables.flatMap(\.slots)
                .filter { $0.role == .reference(rejectMissing: true) }.map(\.constraint))
        var extraction = KeyExtraction(catalog: catalog, fingerprintKey: fingerprintKey)
        var going = RetractedRows()
        var counts: [String: Int64] = [:]
        for range in wanted.spans.flatMap({ gone.remainder(of: $0) }) {
            var found: [Range<Position>] = []
            try reading { () throws(LogError) in
                try log.forEachBlock(in: range) { (block) throws(LogError) in
                    found += try block.accepted(in: range, &counts)
                }
                if !referred.isEmpty {
                    try extraction.extract(rowsIn: [range], of: log) { key in
                        if referred.contains(key.set) { keys.insert(key) }
                    }
                }
            }
            going.add(found)
        }
        guard !going.isEmpty else { throw .nothingLeft }
        guard going.spans.count <= Retraction.spanCountMax else {
            throw .tooManyPieces(going.spans.count)
        }
        return RetractionPlan(
            retraction: request.retraction, spans: going.spans,
            tables: counts.sorted { $0.key < $1.key }.map {
                RetractionPlan.TableCount(table: $0.key, rowCount: $0.value)
            }, position: end, keys: keys)
    }

    /// Looks for rows between a position and the plan's that refer to what goes.
    private func references(
        _ plan: RetractionPlan, _ gone: RetractedRows, from start: Position, foundCountMax: Int
    ) throws(RetractionError) -> ReferenceScan {
        var going = RetractedRows()
        going.add(plan.spans)
        var scan = ReferenceScan(
            catalog, fingerprintKey, keys: plan.keys, going: going, foundCountMax: foundCountMax)
        if plan.keys.isEmpty { return scan }
        var ranges = RetractedRows()
        ranges.add(
            scan.tables.flatMap { log.ranges(holding: $0) }
                .map { $0.clamped(to: start..<plan.position) })
        for range in ranges.spans {
            try reading { () throws(LogError) in
                try log.forEachBlock(in: range) { (block) throws(LogError) in
                    try scan.read(block) { gone.contains($0) }
                }
            }
        }
        return scan
    }

    private func reading<R>(_ body: () throws(LogError) -> R) throws(RetractionError) -> R {
        do { return try body() } catch { throw .ledger(.log(error)) }
    }
}

extension DurableBlock {
    /// The parts of `range` in the block's batches that have an accepted row in them; counts those
    /// rows by table.
    fileprivate func accepted(
        in range: Range<Position>, _ counts: inout [String: Int64]
    ) throws(LogError) -> [Range<Position>] {
        var found: [Range<Position>] = []
        do {
            try forEachBatch { reader in
                let first = reader.facts.position
                let part = (first..<first + Position(reader.rowCount)).clamped(to: range)
                if part.isEmpty { return }
                var position = first
                var count: Int64 = 0
                while let branch = try reader.nextBranch() {
                    let isRow = branch < reader.schema.tables.count
                    if isRow, part.contains(position) { count += 1 }
                    try reader.skipRow(branch)
                    position += 1
                }
                if count == 0 { return }
                counts[reader.facts.table, default: 0] += count
                found.append(part)
            }
        } catch {
            throw .unreadableRecord(at: firstPosition, error)
        }
        return found
    }
}
