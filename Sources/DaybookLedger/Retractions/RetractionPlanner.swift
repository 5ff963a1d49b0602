import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Finds the rows that a request means, and whether others refer to them, by looking through the
/// log. Blocks on the disk; the writer goes on meanwhile.
struct RetractionPlanner {
    /// So many referring rows are named.
    static let exampleCount = 10
    /// Rows that refer to rows that go are looked for so often at most. A look finds those that
    /// stand behind what they refer to, however far; only changed dictionaries leave others.
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
        var wanted = RetractedRows()
        wanted.add(try TargetSearch(catalog, log, lookup).ranges(of: request.targets))
        // Read behind the search, which may have found what came only now.
        let end = log.durable.position
        let gone = try reading { () throws(LogError) in try RetractedRows(of: log, below: end) }
        for _ in 0..<Self.depthMax {
            let plan = try plan(wanted, gone, request, end)
            let scan = try references(
                plan, gone, from: 0,
                isFollowing: request.takesReferring)
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
            extended, gone, from: plan.position, isFollowing: false)
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
        let referred = catalog.referredConstraints
        var extraction = KeyExtraction(catalog: catalog, fingerprintKey: fingerprintKey)
        var counts: [String: Int64] = [:]
        var found: [Range<Position>] = []
        let left = wanted.spans.flatMap { gone.remainder(of: $0) }
        try reading { () throws(LogError) in
            try log.forEachBlock(in: left) { (block, held) throws(LogError) in
                found += try block.accepted(in: held, &counts)
            }
        }
        var going = RetractedRows()
        going.add(found)
        guard !going.isEmpty else { throw .nothingLeft }
        guard going.spans.count <= Retraction.spanCountMax else {
            throw .tooManyPieces(going.spans.count)
        }
        if !referred.isEmpty {
            try reading { () throws(LogError) in
                try extraction.extract(rowsIn: going.spans, of: log) { key in
                    if referred.contains(key.set) { keys.insert(key) }
                }
            }
        }
        return RetractionPlan(
            retraction: request.retraction, spans: going.spans,
            tables: counts.sorted { $0.key < $1.key }.map {
                RetractionPlan.TableCount(table: $0.key, rowCount: $0.value)
            }, position: end, keys: keys)
    }

    /// Looks for rows between a position and the plan's that refer to what goes; if `isFollowing`,
    /// also for those that refer to these, and so on, and the plan's keys are spent.
    private func references(
        _ plan: RetractionPlan, _ gone: RetractedRows, from start: Position, isFollowing: Bool
    ) throws(RetractionError) -> ReferenceScan {
        var going = RetractedRows()
        going.add(plan.spans)
        var scan = ReferenceScan(
            catalog, fingerprintKey, keys: plan.keys, going: going,
            foundCountMax: isFollowing ? .max : Self.exampleCount, isFollowing: isFollowing)
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
    /// The parts of `ranges`, which are in order, in the block's batches that have an accepted row
    /// in them; counts those rows by table.
    fileprivate func accepted(
        in ranges: ArraySlice<Range<Position>>, _ counts: inout [String: Int64]
    ) throws(LogError) -> [Range<Position>] {
        var found: [Range<Position>] = []
        var rest = ranges
        do {
            try forEachBatch { reader in
                let first = reader.facts.position
                let batch = first..<first + Position(reader.rowCount)
                rest = rest.drop { $0.upperBound <= first }
                guard let next = rest.first, next.lowerBound < batch.upperBound else { return }
                var rows: [Position] = []
                var position = first
                while let branch = try reader.nextBranch() {
                    if branch < reader.schema.tables.count { rows.append(position) }
                    try reader.skipRow(branch)
                    position += 1
                }
                var left = rows[...]
                for part in rest.prefix(while: { $0.lowerBound < batch.upperBound }) {
                    left = left.drop { $0 < part.lowerBound }
                    let count = left.prefix { $0 < part.upperBound }.count
                    if count == 0 { continue }
                    counts[reader.facts.table, default: 0] += Int64(count)
                    found.append(part.clamped(to: batch))
                }
            }
        } catch {
            throw .unreadableRecord(at: firstPosition, error)
        }
        return found
    }
}
