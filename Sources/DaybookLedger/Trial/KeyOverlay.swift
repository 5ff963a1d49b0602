import DaybookIntake
import DaybookLog

/// Keys as a row's judgement sees them: looked up, taken, and freed again.
protocol KeySpace {
    associatedtype Mark

    /// Where to go back to.
    var mark: Mark { get }
    /// Whether an integer is a key of the constraint.
    func contains(_ value: UInt64, of constraint: Int) -> Bool
    /// Takes an integer; whether it was free.
    mutating func insert(_ value: UInt64, of constraint: Int) -> Bool
    /// The position kept for a fingerprint.
    func position(of fingerprint: Fingerprint, in set: Int) -> Position?
    /// Takes a fingerprint that is free.
    mutating func insert(_ fingerprint: Fingerprint, position: Position, in set: Int)
    /// Frees what was taken since `mark`.
    mutating func undo(to mark: Mark)
}

extension KeyState: KeySpace {}

/// The keys that rows of a trial would take, on top of those that the ledger has.
///
/// Integers are bitmaps as the ledger's own. Fingerprints are kept up to a number; beyond it a
/// trial does not notice when later rows repeat the rows of its own file.
struct KeyOverlay: KeySpace {
    private enum Insertion {
        case integer(Int, UInt64)
        case fingerprint(Int, Fingerprint)
    }

    /// The ledger's keys, while a slice is judged.
    private var base: KeyState?
    private var integers: [Int: IntegerSet] = [:]
    private var fingerprints: [Int: [Fingerprint: Position]] = [:]
    private var fingerprintCount = 0
    private let fingerprintCountMax: Int
    private var journal: [Insertion] = []

    /// Nothing is taken yet. About 50 bytes a fingerprint are used at most.
    init(fingerprintCountMax: Int = 4_000_000) {
        self.fingerprintCountMax = fingerprintCountMax
    }

    /// Judges on top of `keys`. The copy is let go of at the end, so that the ledger's own does not
    /// pay for it when it next changes.
    mutating func over<R>(_ keys: KeyState, _ body: (inout KeyOverlay) -> R) -> R {
        base = keys
        defer {
            base = nil
            journal.removeAll(keepingCapacity: true)
        }
        return body(&self)
    }

    struct Mark { fileprivate let count: Int }
    var mark: Mark { Mark(count: journal.count) }

    func contains(_ value: UInt64, of constraint: Int) -> Bool {
        if integers[constraint]?.contains(value) ?? false { return true }
        return base?.contains(value, of: constraint) ?? false
    }

    mutating func insert(_ value: UInt64, of constraint: Int) -> Bool {
        if base?.contains(value, of: constraint) ?? false { return false }
        let set = integers[constraint] ?? IntegerSet()
        integers[constraint] = set
        guard set.insert(value) else { return false }
        journal.append(.integer(constraint, value))
        return true
    }

    func position(of fingerprint: Fingerprint, in set: Int) -> Position? {
        fingerprints[set]?[fingerprint] ?? base?.position(of: fingerprint, in: set)
    }

    mutating func insert(_ fingerprint: Fingerprint, position: Position, in set: Int) {
        guard fingerprintCount < fingerprintCountMax else { return }
        fingerprints[set, default: [:]][fingerprint] = position
        fingerprintCount += 1
        journal.append(.fingerprint(set, fingerprint))
    }

    mutating func undo(to mark: Mark) {
        while journal.count > mark.count {
            switch journal.removeLast() {
            case .integer(let constraint, let value):
                let wasThere = integers[constraint]?.remove(value) ?? false
                precondition(wasThere, "only what was inserted is undone")
            case .fingerprint(let set, let fingerprint):
                fingerprints[set]?[fingerprint] = nil
                fingerprintCount -= 1
            }
        }
    }
}
