import Avro
import DaybookCatalog
import DaybookIntake
import DaybookLog

/// Makes snapshots of the keys from durable blocks alone; the writer's own state is never asked.
///
/// One thread at a time uses it. A snapshot always ends with a block, so any point at which memory
/// runs short is a good one to write what there is.
final class SnapshotBuilder {
    private let engine: any LogEngine
    private let catalog: Catalog
    private let store: KeyStore
    /// Fingerprints that are gathered before they are written.
    private let fingerprintLimit: Int
    private let readByteLimit = 4 << 20
    private(set) var head: SnapshotHead

    var fingerprintKey: FingerprintKey { FingerprintKey(bytes: head.fingerprintKey) }

    /// Takes up the store's snapshot if the log bears it out, else begins with nothing; then makes
    /// up for constraints that the snapshot does not have.
    init(
        engine: any LogEngine, catalog: Catalog, store: KeyStore, fingerprintLimit: Int = 2_000_000
    ) throws(LedgerError) {
        self.engine = engine
        self.catalog = catalog
        self.store = store
        self.fingerprintLimit = fingerprintLimit
        head = SnapshotHead(ledger: engine.ledger)
        if let kept = try Self.trustworthyHead(store, engine) {
            head = kept
        } else {
            try clear()
        }
        try adoptConstraints()
    }

    /// The store's head, if it is whole and the log has the same root at its position.
    private static func trustworthyHead(
        _ store: KeyStore, _ engine: any LogEngine
    ) throws(LedgerError) -> SnapshotHead? {
        do {
            let view = try store.view()
            guard let head = try view.head(), head.log.ledger == engine.ledger,
                head.log.position <= engine.durable.position
            else { return nil }
            for set in head.sets where set.isInteger {
                guard try view.integers(set) != nil else { return nil }
            }
            if head.log.position == 0 { return head }
            let blocks = try engine.blocks(from: head.log.position - 1, byteLimit: 1)
            return blocks.first?.head == head.log ? head : nil
        } catch let error as LogError {
            throw .log(error)
        } catch {
            return nil
        }
    }

    private func clear() throws(LedgerError) {
        try writing { (writer) throws(KeyStoreFault) in
            try writer.deleteAll()
            try writer.put(head)
        }
    }

    /// The sets' names. Whatever changes the keys of rows that are in the log already, the columns'
    /// types and what stands for a missing value, makes another set of another name.
    static func name(_ constraint: KeyConstraint, _ catalog: Catalog) -> String {
        let table = catalog.table(named: constraint.table)
        let types = constraint.columns.map { name in
            guard let column = table?.columns.first(where: { $0.name == name }) else {
                preconditionFailure("a constraint's table has its columns")
            }
            let fallback = column.isOptional ? nil : column.defaultValue
            return "\(column.type)" + (fallback.map { "=\($0.text(type: column.type))" } ?? "")
        }
        return "\(constraint.name)|\(types.joined(separator: ","))"
    }

    /// The snapshot's set for one of `KeySetPlaces`.
    func set(_ index: Int) -> SnapshotHead.KeySet? {
        let (name, isInteger) = (name(index), places.isInteger(index))
        return head.sets.first { $0.name == name && $0.isInteger == isInteger }
    }

    private var places: KeySetPlaces { KeySetPlaces(catalog.constraints) }

    private func name(_ index: Int) -> String {
        places.name(index) ?? Self.name(catalog.constraints[index], catalog)
    }

    /// Drops the sets of rules that are no more, and fills those of new rules from the log.
    ///
    /// Rows that were retracted before a rule came may have shared its keys with rows that stand,
    /// so their keys must not be taken and freed. They are passed over, which needs a look up to
    /// the log's end: the kept sets are taken there first.
    private func adoptConstraints() throws(LedgerError) {
        let all = places.all
        let kept = all.filter { set($0) != nil }
        let missing = all.filter { set($0) == nil }
        let numbers = kept.compactMap { set($0)?.number }
        let dropped = head.sets.filter { !numbers.contains($0.number) }
        if dropped.isEmpty, missing.isEmpty { return }
        let end = engine.durable
        let retracted = try reading { () throws(LogError) in
            missing.isEmpty
                ? RetractedRows() : try RetractedRows(of: engine, below: end.position)
        }
        head.sets.removeAll { !numbers.contains($0.number) }
        try writing { (writer) throws(KeyStoreFault) in
            for set in dropped { try writer.delete(set) }
            try writer.put(head)
        }
        if !retracted.isEmpty {
            if !kept.isEmpty {
                try fill(kept, from: head.log.position, to: end.position, isWhole: true)
            }
            head.log = end
        }
        for index in missing {
            _ = head.add(name: name(index), isInteger: places.isInteger(index))
        }
        try fill(
            missing, from: 0, to: head.log.position, isWhole: false, without: retracted)
        try writing { (writer) throws(KeyStoreFault) in try writer.put(head) }
    }

    /// Takes the snapshot forward to the block that ends at or beyond `position`.
    func advance(to position: Position) throws(LedgerError) {
        try fill(
            Array(places.all), from: head.log.position, to: position, isWhole: true)
    }

    /// Adds the keys of some sets from the blocks of a range. If `isWhole`, every write of it is a
    /// snapshot; else the head must be written after the last. Rows in `passedOver`, if there are
    /// any, take no keys, and no row's are freed.
    private func fill(
        _ indexes: [Int], from first: Position, to end: Position, isWhole: Bool,
        without passedOver: RetractedRows = RetractedRows()
    ) throws(LedgerError) {
        var gathered = try Gathered(self, indexes, store)
        var extraction = KeyExtraction(catalog: catalog, fingerprintKey: fingerprintKey)
        // What was sent stays sent, whatever became of the rows.
        let idempotency = places.idempotency
        let takesPart = { (key: ExtractedKey) in
            key.set == idempotency || !passedOver.contains(key.position)
        }
        var position = first
        var last: TreeHead?
        while position < end {
            let blocks = try reading { () throws(LogError) in
                try engine.blocks(from: position, byteLimit: readByteLimit)
            }
            for block in blocks where position < end {
                precondition(block.firstPosition == position, "blocks have no gap")
                let retracted = try reading { () throws(LogError) in
                    try extraction.extract(from: block) { key in
                        if takesPart(key) { gathered.add(key) }
                    }
                }
                if !passedOver.isEmpty {
                    gathered.retract(retracted, in: places.retracted)
                } else if !retracted.isEmpty {
                    // What is freed must have been taken before, in the store too.
                    if let last { try write(&gathered, isWhole ? last : nil) }
                    try free(rowsIn: retracted, &extraction, &gathered)
                }
                position = block.endPosition
                last = block.head
                if gathered.fingerprints.count >= fingerprintLimit {
                    try write(&gathered, isWhole ? block.head : nil)
                    last = nil
                }
            }
        }
        if let last { try write(&gathered, isWhole ? last : nil) }
    }

    /// Frees what the rows in the ranges took. Fingerprints are marked in the store at once,
    /// without a head: whoever begins again before the next one finds them marked, and goes on.
    private func free(
        rowsIn spans: [Range<Position>], _ extraction: inout KeyExtraction,
        _ gathered: inout Gathered
    ) throws(LedgerError) {
        gathered.retract(spans, in: places.retracted)
        // So many rows at a time that their keys are few enough to be held.
        let rowCountMax = max(1, fingerprintLimit / max(1, catalog.constraints.count))
        var freed: [Gathered.Entry] = []
        for part in spans.parts(elementCountMax: rowCountMax) {
            try reading { () throws(LogError) in
                try extraction.extract(rowsIn: part, of: engine) { key in
                    if let entry = gathered.free(key) { freed.append(entry) }
                }
            }
            if freed.count >= fingerprintLimit { try mark(&freed) }
        }
        if !freed.isEmpty { try mark(&freed) }
    }

    /// Marks fingerprints as free, in the store's order.
    private func mark(_ freed: inout [Gathered.Entry]) throws(LedgerError) {
        freed.sort { ($0.number, $0.fingerprint) < ($1.number, $1.fingerprint) }
        let taken = freed
        try writing { (writer) throws(KeyStoreFault) in
            for entry in taken {
                try writer.free(
                    entry.fingerprint, position: entry.position, number: entry.number)
            }
        }
        freed.removeAll(keepingCapacity: true)
    }

    private func write(_ gathered: inout Gathered, _ log: TreeHead?) throws(LedgerError) {
        var changed = head
        if let log { changed.log = log }
        // In the store's order, so that every page is touched once; equal ones in the log's order,
        // as memory has them.
        gathered.fingerprints.sort {
            ($0.number, $0.fingerprint, $0.position) < ($1.number, $1.fingerprint, $1.position)
        }
        let taken = gathered
        changed = try writing { (writer) throws(KeyStoreFault) in
            var changed = changed
            for entry in taken.fingerprints {
                try writer.put(entry.fingerprint, position: entry.position, number: entry.number)
            }
            for (number, set) in taken.integers {
                guard let place = changed.sets.firstIndex(where: { $0.number == number }) else {
                    preconditionFailure("a set that is written is in the head")
                }
                changed.sets[place].digest = try writer.put(set, number: number)
            }
            if log != nil { try writer.put(changed) }
            return changed
        }
        gathered.fingerprints.removeAll(keepingCapacity: true)
        head = changed
    }

    private func writing<R>(
        _ body: (KeyStoreWriter) throws(KeyStoreFault) -> R
    ) throws(LedgerError) -> R {
        do { return try store.write(body) } catch { throw .state(error.description) }
    }

    private func reading<R>(_ body: () throws(LogError) -> R) throws(LedgerError) -> R {
        do { return try body() } catch { throw .log(error) }
    }
}

/// The keys taken from blocks since the last write, and the bitmaps that they are added to.
private struct Gathered {
    struct Entry {
        let number: UInt32
        let fingerprint: Fingerprint
        let position: Position
    }

    var fingerprints: [Entry] = []
    private(set) var integers: [UInt32: IntegerSet] = [:]
    /// By place among the constraints: the set's number; nil if it is not wanted.
    private var numbers: [UInt32?]

    init(
        _ builder: SnapshotBuilder, _ indexes: [Int], _ store: KeyStore
    ) throws(LedgerError) {
        numbers = []
        do {
            let view = try store.view()
            for index in 0...(indexes.max() ?? 0) {
                guard indexes.contains(index), let set = builder.set(index) else {
                    numbers.append(nil)
                    continue
                }
                numbers.append(set.number)
                if set.isInteger { integers[set.number] = try view.integers(set) }
            }
        } catch {
            throw .state(error.description)
        }
    }

    /// Frees a key if it is an integer; else gives the entry that is to be marked in the store.
    mutating func free(_ key: ExtractedKey) -> Entry? {
        guard key.set < numbers.count, let number = numbers[key.set] else { return nil }
        if let set = integers[number] {
            _ = set.remove(key.slot.low)
            return nil
        }
        return Entry(number: number, fingerprint: Fingerprint(key.slot), position: key.position)
    }

    mutating func retract(_ spans: [Range<Position>], in place: Int) {
        guard place < numbers.count, let number = numbers[place], let set = integers[number]
        else { return }
        for position in spans.joined() { _ = set.insert(UInt64(position)) }
    }

    mutating func add(_ key: ExtractedKey) {
        guard key.set < numbers.count, let number = numbers[key.set] else { return }
        if let set = integers[number] {
            _ = set.insert(key.slot.low)
        } else {
            fingerprints.append(
                Entry(
                    number: number, fingerprint: Fingerprint(key.slot), position: key.position))
        }
    }
}

extension [Range<Position>] {
    /// The ranges in order, so many of them together, or as much of one, as have no more than
    /// `elementCountMax` elements.
    func parts(elementCountMax: Int) -> [[Range<Position>]] {
        var parts: [[Range<Position>]] = []
        var room = 0
        for range in self {
            var rest = range
            while !rest.isEmpty {
                if room == 0 {
                    parts.append([])
                    room = elementCountMax
                }
                let piece = rest.prefix(room)
                parts[parts.count - 1].append(piece)
                room -= piece.count
                rest = piece.upperBound..<rest.upperBound
            }
        }
        return parts
    }
}
