/// Where durable events are read from: an engine, or a log that another process writes.
public protocol LogSource: AnyObject, Sendable {
    /// The last state that is known to be durable.
    var durable: TreeHead { get }

    /// Durable blocks in order, the first of which holds `position`; at least one unless `position`
    /// is the end, then as many as fit `byteLimit` bytes of content. Blocks if it reads from disk.
    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock]

    /// The position after all batches with `received_at` ≤ `time`.
    func position(asOf time: Microseconds) throws(LogError) -> Position

    /// The parts of `range` in which there may be events of a table, in order; under the empty name
    /// those of the ledger's own. Elsewhere there are none. Reads nothing.
    func ranges(ofTable table: String, in range: Range<Position>) -> [Range<Position>]

    /// The hash tree over all batches before a block of this log. Blocks if it reads from disk.
    func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier
}

extension LogSource {
    /// The ledger that the log belongs to.
    public var ledger: LedgerID { durable.ledger }

    /// All of it: engines that count know better.
    public func ranges(
        ofTable table: String, in range: Range<Position>
    ) -> [Range<Position>] {
        range.isEmpty ? [] : [range]
    }
}
