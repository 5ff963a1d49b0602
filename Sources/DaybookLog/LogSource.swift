/// Where durable events are read from: an engine, or a log that another process writes.
public protocol LogSource: AnyObject, Sendable {
    /// The last state that is known to be durable.
    var durable: TreeHead { get }

    /// Durable blocks in order, the first of which holds `position`; at least one unless `position`
    /// is the end, then as many as fit `byteLimit` bytes of content. Blocks if it reads from disk.
    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock]

    /// The position after all batches with `received_at` ≤ `time`.
    func position(asOf time: Microseconds) throws(LogError) -> Position

    /// Ranges of positions, in order, outside of which there are neither accepted rows of `table`
    /// nor events of the ledger's own: what need not be read by who looks for these.
    func ranges(holding table: String) -> [Range<Position>]

    /// The hash tree over all batches before a block of this log. Blocks if it reads from disk.
    func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier
}

extension LogSource {
    /// The ledger that the log belongs to.
    public var ledger: LedgerID { durable.ledger }

    /// All of it, where nothing is known of its parts.
    public func ranges(holding table: String) -> [Range<Position>] { [0..<durable.position] }
}
