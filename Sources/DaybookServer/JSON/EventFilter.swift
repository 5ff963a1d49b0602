import DaybookLog

/// What became of a row, or that an event is the ledger's own.
public enum EventVerdict: String, Sendable, CaseIterable {
    case accepted, rejected, control
}

/// Which events are wanted.
public struct EventFilter: Sendable {
    /// Half open.
    public var positions: Range<Position>
    /// Only events of these tables; nil is all of them, and the ledger's own.
    public var tables: Set<String>?
    /// Only events of this kind.
    public var verdict: EventVerdict?

    /// The events in `positions`, of some tables or of all, of one verdict or of all.
    public init(
        positions: Range<Position>, tables: Set<String>? = nil, verdict: EventVerdict? = nil
    ) {
        self.positions = positions
        self.tables = tables
        self.verdict = verdict
    }

    /// Whether a batch may hold an event that passes.
    func passes(_ facts: BatchFacts, rowCount: Int) -> Bool {
        let end = facts.position + Position(rowCount)
        return positions.overlaps(facts.position..<end) && tables?.contains(facts.table) ?? true
    }
}
