import DaybookLog
import DaybookSegments
import Synchronization

/// A log that remembers how far it was read.
final class WatchedLog: LogEngine {
    private let log: SegmentLog
    private let furthest = Mutex<Position>(0)

    init(_ log: SegmentLog) { self.log = log }

    /// The position after the last event that anyone was given.
    var readPosition: Position { furthest.withLock(\.self) }

    /// How many segments there are.
    var segmentCount: Int { log.size.segments }

    func blocks(
        from position: Position, byteLimit: Int
    ) throws(LogError) -> [DurableBlock] {
        let blocks = try log.blocks(from: position, byteLimit: byteLimit)
        if let end = blocks.last?.endPosition {
            furthest.withLock { $0 = max($0, end) }
        }
        return blocks
    }

    var ledger: LedgerID { log.ledger }
    var durable: TreeHead { log.durable }
    var lastReceivedAt: Microseconds { log.lastReceivedAt }
    var schema: LogSchema { log.schema }

    func append(_ group: consuming BlockBuilder) throws(LogError) -> DurableBlock {
        try log.append(group)
    }

    func attest() throws(LogError) { try log.attest() }

    func roll(to schema: LogSchema) throws(LogError) { try log.roll(to: schema) }

    func waitForEvents(from position: Position, timeoutSeconds: Double) -> Bool {
        log.waitForEvents(from: position, timeoutSeconds: timeoutSeconds)
    }

    func position(asOf time: Microseconds) throws(LogError) -> Position {
        try log.position(asOf: time)
    }

    func ranges(holding table: String) -> [Range<Position>] { log.ranges(holding: table) }

    func note(checkpoint: TreeHead) { log.note(checkpoint: checkpoint) }

    func close() throws(LogError) { try log.close() }
}
