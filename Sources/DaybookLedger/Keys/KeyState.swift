import DaybookCatalog
import DaybookIntake
import DaybookLog

/// All keys that are taken: for every uniqueness rule its values, and the idempotency keys; the
/// rejections that are no longer open, and the rows that were retracted.
///
/// Integer keys are bitmaps, all others fingerprints with positions. Every insertion is in a
/// journal until the group that made it is durable, so that a batch or a group can be undone. The
/// state belongs to the writer; copies share the bitmaps.
struct KeyState {
    private struct Insertion {
        let set: Int
        let fingerprint: Fingerprint
    }

    /// By set; nil where the keys are fingerprints.
    private var integers: [IntegerSet?]
    /// By set; nil where the keys are integers.
    private var fingerprints: [FingerprintSet?]
    private var journal: [Insertion] = []

    /// A place in the journal to go back to.
    struct Mark { fileprivate let count: Int }

    /// Where each set stands.
    let places: KeySetPlaces

    /// Place of the idempotency keys among the sets.
    var idempotency: Int { places.idempotency }

    /// Nothing is taken yet, or what `base` and `integers` give by constraint.
    init(
        constraints: [KeyConstraint], number: (Int) -> UInt32 = { UInt32($0) },
        base: (any FingerprintBase)? = nil, integers: (Int) -> IntegerSet = { _ in IntegerSet() }
    ) {
        let places = KeySetPlaces(constraints)
        self.places = places
        self.integers = places.all.map { places.isInteger($0) ? integers($0) : nil }
        fingerprints = places.all.map {
            places.isInteger($0) ? nil : FingerprintSet(number: number($0), base: base)
        }
    }

    /// Whether an integer is a key of the constraint.
    func contains(_ value: UInt64, of constraint: Int) -> Bool {
        guard let set = integers[constraint] else {
            preconditionFailure("an integer is looked up among integers")
        }
        return set.contains(value)
    }

    /// Whether a set of integers has any.
    func hasAny(of place: Int) -> Bool {
        guard let set = integers[place] else {
            preconditionFailure("integers are counted among integers")
        }
        return set.count > 0
    }

    /// Takes an integer; whether it was free.
    mutating func insert(_ value: UInt64, of constraint: Int) -> Bool {
        guard let set = integers[constraint] else {
            preconditionFailure("an integer is kept among integers")
        }
        guard set.insert(value) else { return false }
        journal.append(Insertion(set: constraint, fingerprint: Fingerprint(high: 0, low: value)))
        return true
    }

    /// The position kept for a fingerprint.
    func position(of fingerprint: Fingerprint, in set: Int) -> Position? {
        precondition(fingerprints[set] != nil, "a fingerprint is looked up among fingerprints")
        return fingerprints[set]?.position(of: fingerprint)
    }

    /// Takes a fingerprint that is free.
    mutating func insert(_ fingerprint: Fingerprint, position: Position, in set: Int) {
        precondition(fingerprints[set] != nil, "a fingerprint is kept among fingerprints")
        fingerprints[set]?.insert(fingerprint, position: position)
        journal.append(Insertion(set: set, fingerprint: fingerprint))
    }

    /// Takes a key that a durable block holds. Rows of a time before the rule may share one.
    mutating func restore(_ key: ExtractedKey) {
        if key.slot.kind == .integer {
            _ = integers[key.set]?.insert(key.slot.low)
        } else {
            var place = Fingerprint(key.slot)
            while position(of: place, in: key.set) != nil { place = place.next }
            fingerprints[key.set]?.insert(place, position: key.position)
        }
    }

    /// Frees a key of a row that was retracted; for good, as its retraction is durable. Rows of a
    /// time before the rule may have shared one: then it is free already.
    mutating func free(_ key: ExtractedKey) {
        precondition(journal.isEmpty, "what is retracted is durable")
        guard key.slot.kind != .integer else {
            _ = integers[key.set]?.remove(key.slot.low)
            return
        }
        var place = Fingerprint(key.slot)
        while let holder = position(of: place, in: key.set) {
            if holder == key.position {
                fingerprints[key.set]?.free(place)
                return
            }
            place = place.next
        }
    }

    /// Marks ranges as retracted.
    mutating func retract(_ spans: [Range<Position>]) {
        for position in spans.joined() {
            let isNew = integers[places.retracted]?.insert(UInt64(position)) ?? false
            precondition(isNew, "a row is retracted once")
        }
    }

    /// Where the journal stands now.
    var mark: Mark { Mark(count: journal.count) }

    /// Frees what was taken since `mark`.
    mutating func undo(to mark: Mark) {
        precondition(mark.count <= journal.count, "what is durable is not undone")
        while journal.count > mark.count {
            let last = journal.removeLast()
            if let set = integers[last.set] {
                let wasThere = set.remove(last.fingerprint.low)
                precondition(wasThere, "only what was inserted is undone")
            } else {
                fingerprints[last.set]?.remove(last.fingerprint)
            }
        }
    }

    /// Frees what was taken since the last `commit`.
    mutating func undoAll() { undo(to: Mark(count: 0)) }

    /// What was taken is durable.
    mutating func commit() { journal.removeAll(keepingCapacity: true) }

    /// Begins a generation of fingerprints; see `FingerprintSet`.
    mutating func rotate() {
        precondition(journal.isEmpty, "only durable keys grow old")
        for index in fingerprints.indices { fingerprints[index]?.rotate() }
    }

    /// Forgets the older generation of fingerprints: the snapshot has it.
    mutating func dropOld() {
        for index in fingerprints.indices { fingerprints[index]?.dropOld() }
    }

    /// How many fingerprints are in memory since the last rotation.
    var youngCount: Int { fingerprints.reduce(0) { $0 + ($1?.young.count ?? 0) } }

    /// The older generation with the numbers of its sets, for whoever keeps it elsewhere.
    var oldEntries: [(number: UInt32, fingerprint: Fingerprint, position: Position)] {
        fingerprints.compactMap(\.self).flatMap { set in
            set.old.map { (set.number, $0.key, $0.value) }
        }
    }
}
