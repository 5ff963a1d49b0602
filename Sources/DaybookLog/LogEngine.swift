/// An implementation of the log: files on one machine, or a replicated stream.
///
/// There is one writer: `append`, `roll` and `close` are called by one thread at a time. All else
/// may be called by any thread at any time, and shows only what is durable. No offset, file name or
/// descriptor passes through here.
public protocol LogEngine: LogSource {
    /// The ledger that the log belongs to.
    var ledger: LedgerID { get }
    /// The time of the last durable batch; 0 for an empty log.
    var lastReceivedAt: Microseconds { get }
    /// The schema of records to come.
    var schema: LogSchema { get }

    /// Writes a group as one block and returns when it is on disk. Blocks.
    ///
    /// - Throws: `diskFull` if the group is absent and a later one may succeed; `syncFailed` if its
    ///   fate is unknown: the caller answers so and ends the process.
    func append(_ group: consuming BlockBuilder) throws(LogError) -> DurableBlock

    /// Writes down that the last block is durable, if nothing after it says so. Called by the
    /// writer after `LogLimits.quietSeconds` without a group. Blocks.
    func attest() throws(LogError)

    /// Ends the segment and begins another whose records have `schema`. Blocks.
    func roll(to schema: LogSchema) throws(LogError)

    /// Blocks until something at or beyond `position` is durable, the time is over, or the engine
    /// is closed; whether it is durable.
    func waitForEvents(from position: Position, timeoutSeconds: Double) -> Bool

    /// Keeps a projector's confirmed checkpoint as evidence for the next start.
    func note(checkpoint: TreeHead)

    /// Attests the last block and lets go of everything.
    func close() throws(LogError)
}
