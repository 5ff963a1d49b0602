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

    /// Calls `body` with every key of the block, in the order of the log.
    ///
    /// - Throws: `LogError.corrupt` if a record does not read as its schema says.
    mutating func extract(
        from block: DurableBlock, _ body: (ExtractedKey) -> Void
    ) throws(LogError) {
        let layouts = known.of(block.schema)
        do {
            try block.forEachBatch { reader in try extract(&reader, layouts, body) }
        } catch {
            throw .corrupt(
                Corruption(
                    file: "block \(block.number)", offset: 0, position: block.firstPosition,
                    what: "a record does not read as its schema says: \(error)"))
        }
    }

    private mutating func extract(
        _ reader: inout BatchReader, _ layouts: [[KeyLayout]], _ body: (ExtractedKey) -> Void
    ) throws(AvroDecodingError) {
        if let request = RequestFacts(reader.facts) {
            let place = IdempotencyScope.fingerprint(
                scope: request.scope, key: request.idempotencyKey, under: fingerprintKey)
            body(
                ExtractedKey(
                    set: places.idempotency,
                    slot: KeySlot(kind: .fingerprint, low: place.low, high: place.high),
                    position: reader.facts.position))
        }
        var position = reader.facts.position
        var corrections = reader.facts.corrects[...]
        func close(_ rejection: Position, _ set: Int) {
            body(ExtractedKey(set: set, slot: .integer(rejection), position: position))
        }
        while let branch = try reader.nextBranch() {
            let row = Int(position - reader.facts.position)
            if let correction = corrections.first, correction.row == row {
                if branch < reader.schema.tables.count {
                    close(correction.position, places.corrected)
                }
                corrections.removeFirst()
            }
            if branch == reader.schema.controlBranch {
                let control = try reader.readControl()
                if control.kind == Waiver.kind {
                    for range in control.refersTo {
                        for rejection in range { close(rejection, places.waived) }
                    }
                }
            } else if branch < layouts.count, !layouts[branch].isEmpty {
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
