import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A key that a durable block holds.
struct ExtractedKey {
    /// Place among the constraints; their number for an idempotency key.
    let set: Int
    let slot: KeySlot
    /// The row's position, or for an idempotency key its batch's.
    let position: Position
}

/// Takes the keys out of durable blocks, of any dictionary's time: for snapshots, for rebuilding
/// them, and for the tail after one.
struct KeyExtraction {
    private let constraints: [KeyConstraint]
    private let fingerprintKey: FingerprintKey
    /// The constraints' layouts by branch, for the schema seen last.
    private var layouts: [[KeyLayout]] = []
    private var schema: LogSchema?
    private var values = RowValues()

    init(constraints: [KeyConstraint], fingerprintKey: FingerprintKey) {
        self.constraints = constraints
        self.fingerprintKey = fingerprintKey
    }

    /// Calls `body` with every key of the block, in the order of the log.
    ///
    /// - Throws: `LogError.corrupt` if a record does not read as its schema says.
    mutating func extract(
        from block: DurableBlock, _ body: (ExtractedKey) -> Void
    ) throws(LogError) {
        if schema != block.schema {
            schema = block.schema
            layouts = block.schema.tables.map { shape in
                constraints.filter { $0.table == shape.name }.compactMap {
                    KeyLayout($0, in: shape)
                }
            }
        }
        do {
            try block.forEachBatch { reader in try extract(&reader, body) }
        } catch {
            throw .corrupt(
                Corruption(
                    file: "block \(block.number)", offset: 0, position: block.firstPosition,
                    what: "a record does not read as its schema says: \(error)"))
        }
    }

    private mutating func extract(
        _ reader: inout BatchReader, _ body: (ExtractedKey) -> Void
    ) throws(AvroDecodingError) {
        if let request = RequestFacts(reader.facts) {
            let place = IdempotencyScope.fingerprint(
                scope: request.scope, key: request.idempotencyKey, under: fingerprintKey)
            body(
                ExtractedKey(
                    set: constraints.count,
                    slot: KeySlot(kind: .fingerprint, low: place.low, high: place.high),
                    position: reader.facts.position))
        }
        var position = reader.facts.position
        while let branch = try reader.nextBranch() {
            if branch < layouts.count, !layouts[branch].isEmpty {
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
