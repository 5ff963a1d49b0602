import DaybookLog

extension Sequencer {
    /// Whether what was planned still holds: no row of it is retracted, and none has come that
    /// refers to one.
    ///
    /// - Throws: `.rowRetracted`, `.rowsReferred`, `.retractionBehind` for a plan that is too old.
    func requireRetractable(_ plan: RetractionPlan) throws(LedgerError) {
        guard let last = plan.spans.last, last.upperBound <= plan.position,
            plan.position <= durable.position
        else { preconditionFailure("a plan is of rows of the log") }
        for position in plan.spans.joined()
        where keys.contains(UInt64(position), of: keys.places.retracted) {
            throw .rowRetracted(position)
        }
        if plan.keys.isEmpty { return }
        guard durable.position - plan.position <= retractionLagMax else {
            throw .retractionBehind
        }
        var going = RetractedRows()
        going.add(plan.spans)
        var scan = ReferenceScan(
            catalog, fingerprintKey, keys: plan.keys, going: going,
            foundCountMax: RetractionPlanner.exampleCount)
        do throws(LogError) {
            try stored.log.forEachBlock(in: plan.position..<durable.position) {
                (block) throws(LogError) in
                try scan.read(block) {
                    keys.contains(UInt64($0), of: keys.places.retracted)
                }
            }
        } catch {
            throw .log(error)
        }
        guard scan.count == 0 else {
            let lookup = LogLookup(engine: stored.log, byteLimit: 0)
            throw .rowsReferred(count: scan.count, first: try scan.rows(lookup))
        }
    }

    /// Whether any row was ever retracted.
    var hasRetractions: Bool { keys.hasAny(of: keys.places.retracted) }

    /// Frees what the rows in the ranges took. Their retraction is durable: nothing is undone, and
    /// what cannot be read now leaves the process without the keys that the log says it has.
    ///
    /// Apart from the sequencer, so that nothing else refers to the keys that change.
    static func free(
        rowsIn spans: [Range<Position>], of keys: inout KeyState, _ extraction: KeyExtraction,
        _ log: any LogSource
    ) {
        var extraction = extraction
        do {
            try extraction.extract(rowsIn: spans, of: log) { keys.free($0) }
        } catch {
            preconditionFailure("rows that were planned with are read again: \(error)")
        }
        keys.retract(spans)
    }
}
