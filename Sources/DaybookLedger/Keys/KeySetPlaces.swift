import DaybookCatalog

/// The sets of keys that a ledger has, in order: one for every constraint, the idempotency keys,
/// the rejections that are no longer open, and the rows that were retracted.
struct KeySetPlaces {
    /// By constraint, whether its keys are integers.
    private let constraints: [Bool]

    init(_ constraints: [KeyConstraint]) { self.constraints = constraints.map(\.isInteger) }

    /// Place of the idempotency keys: after all constraints.
    var idempotency: Int { constraints.count }

    /// Place of the positions of rejections that were corrected.
    var corrected: Int { constraints.count + 1 }

    /// Place of the positions of rejections that were waived.
    var waived: Int { constraints.count + 2 }

    /// Place of the positions in ranges that were retracted.
    var retracted: Int { constraints.count + 3 }

    /// All places.
    var all: ClosedRange<Int> { 0...retracted }

    /// Whether a set holds integers and not fingerprints.
    func isInteger(_ place: Int) -> Bool {
        precondition(all.contains(place), "a set has a place")
        return place < constraints.count ? constraints[place] : place != idempotency
    }

    /// What stands for a set that is no constraint's in a snapshot. (No constraint has a slash.)
    func name(_ place: Int) -> String? {
        switch place {
        case idempotency: ""
        case corrected: "/corrected"
        case waived: "/waived"
        case retracted: "/retracted"
        default: nil
        }
    }
}
