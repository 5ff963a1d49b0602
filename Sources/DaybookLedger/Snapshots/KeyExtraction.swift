import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A key that a durable block holds.
struct ExtractedKey {
    /// One of `KeySetPlaces`.
    let set: Int
    let slot: KeySlot
    /// The row's position, or for an idempotency key its batch's.
    let position: Position
}

/// Takes the keys out of durable blocks, of any dictionary's time: for snapshots, for rebuilding
/// them, and for the tail after one.
struct KeyExtraction {
    private let places: KeySetPlaces
    private let fingerprintKey: FingerprintKey
    private var known: KeyLayouts
    private var values = RowValues()

    init(catalog: Catalog, fingerprintKey: FingerprintKey) {
        places = KeySetPlaces(catalog.constraints)
        known = KeyLayouts(catalog)
        self.fingerprintKey = fingerprintKey
    }

    /// Calls `body` with every key that the block takes, in the order of the log.
    ///
    /// - Returns: the ranges that it retracts: then the keys of their rows are free, which
    ///   `extract(rowsIn:of:_:)` gives.
    /// - Throws: `LogError.corrupt` if a record does not read as its schema says.
    mutating func extract(
        from block: DurableBlock, _ body: (ExtractedKey) -> Void
    ) throws(LogError) -> [Range<Position>] {
        let layouts = known.of(block.schema)
        do {
            try block.forEachBatch { reader in
                addRequest(reader.facts, body)
                try extract(&reader, layouts, within: nil, body)
            }
        } catch {
            throw .corrupt(
                Corruption(
                    file: "block \(block.number)", offset: 0, position: block.firstPosition,
                    what: "a record does not read as its schema says: \(error)"))
        }
        return try block.retraction()?.spans ?? []
    }

    /// Calls `body` with every key that accepted rows in the ranges took, and every rejection that
    /// they corrected. Idempotency keys and waivers are not among them: what was sent stays sent,
    /// and what was waived waived.
    mutating func extract(
        rowsIn spans: [Range<Position>], of log: any LogSource, _ body: (ExtractedKey) -> Void
    ) throws(LogError) {
        try log.forEachBlock(in: spans) { (block, held) throws(LogError) in
            let layouts = known.of(block.schema)
            var rest = held
            do {
                try block.forEachBatch { reader in
                    let first = reader.facts.position
                    let end = first + Position(reader.rowCount)
                    rest = rest.drop { $0.upperBound <= first }
                    guard let next = rest.first, next.lowerBound < end else { return }
                    try extract(&reader, layouts, within: rest, body)
                }
            } catch {
                throw .unreadableRecord(at: block.firstPosition, error)
            }
        }
    }

    private func addRequest(_ facts: BatchFacts, _ body: (ExtractedKey) -> Void) {
        if let request = RequestFacts(facts) {
            let place = IdempotencyScope.fingerprint(
                scope: request.scope, key: request.idempotencyKey, under: fingerprintKey)
            body(
                ExtractedKey(
                    set: places.idempotency,
                    slot: KeySlot(kind: .fingerprint, low: place.low, high: place.high),
                    position: facts.position))
        }
    }

    private mutating func extract(
        _ reader: inout BatchReader, _ layouts: [[KeyLayout]],
        within spans: ArraySlice<Range<Position>>?, _ body: (ExtractedKey) -> Void
    ) throws(AvroDecodingError) {
        var wanted = AscendingSpans(spans ?? [0..<Position.max])
        var position = reader.facts.position
        var corrections = reader.facts.corrects[...]
        func close(_ rejection: Position, _ set: Int) {
            body(ExtractedKey(set: set, slot: .integer(rejection), position: position))
        }
        while let branch = try reader.nextBranch() {
            let row = Int(position - reader.facts.position)
            let isWanted = wanted.contains(position)
            if let correction = corrections.first, correction.row == row {
                if branch < reader.schema.tables.count, isWanted {
                    close(correction.position, places.corrected)
                }
                corrections.removeFirst()
            }
            if branch == reader.schema.controlBranch {
                let control = try reader.readControl()
                if control.kind == Waiver.kind, spans == nil {
                    for range in control.refersTo {
                        for rejection in range { close(rejection, places.waived) }
                    }
                }
            } else if branch < layouts.count, !layouts[branch].isEmpty, isWanted {
                try values.read(&reader.cursor, shape: reader.schema.tables[branch])
                for layout in layouts[branch] {
                    let slot = try layout.slot(of: values, key: fingerprintKey)
                    if slot.kind == .absent { continue }
                    body(ExtractedKey(set: layout.constraint, slot: slot, position: position))
                }
            } else {
                try reader.skipRow(branch)
            }
            position += 1
        }
    }
}

/// Ranges in order, asked about positions in ascending order.
private struct AscendingSpans {
    private var current: Range<Position> = 0..<0
    private var rest: ArraySlice<Range<Position>>

    init(_ spans: ArraySlice<Range<Position>>) { rest = spans }

    @inline(__always)
    mutating func contains(_ position: Position) -> Bool {
        if position >= current.upperBound { advance(to: position) }
        return position >= current.lowerBound && position < current.upperBound
    }

    private mutating func advance(to position: Position) {
        while position >= current.upperBound, let next = rest.popFirst() { current = next }
    }
}
