import Avro
import DaybookLog
import Glibc
import Synchronization

/// A log in memory that can fail when it is told to.
final class MemoryLog: LogEngine {
    enum Fault: Sendable {
        case diskFull, syncFailed
    }

    private struct State {
        var blocks: [DurableBlock] = []
        var head: TreeHead
        var lastReceivedAt: Microseconds = 0
        var schema: LogSchema
        var frontier = MerkleFrontier()
        var appendCount = 0
        var attestCount = 0
        var rollCount = 0
        /// What the append of this number (from 0) does instead.
        var faults: [Int: Fault] = [:]
        var isBlocked = false
        var failsReads = false
    }

    let ledger: LedgerID
    private let state: Mutex<State>
    private let sync = [UInt8](repeating: 0x5A, count: 16)

    init(schema: LogSchema, ledger: LedgerID = .random()) {
        self.ledger = ledger
        let head = TreeHead(ledger: ledger, size: 0, position: 0, root: MerkleFrontier().root)
        state = Mutex(State(head: head, schema: schema))
    }

    var durable: TreeHead { state.withLock { $0.head } }
    var lastReceivedAt: Microseconds { state.withLock { $0.lastReceivedAt } }
    var schema: LogSchema { state.withLock { $0.schema } }
    var appendCount: Int { state.withLock { $0.appendCount } }
    var attestCount: Int { state.withLock { $0.attestCount } }
    var rollCount: Int { state.withLock { $0.rollCount } }
    var allBlocks: [DurableBlock] { state.withLock { $0.blocks } }

    /// Makes the append of this number, counted from the next one, fail.
    func fail(append number: Int, _ fault: Fault) {
        state.withLock { $0.faults[$0.appendCount + number] = fault }
    }

    /// Holds appends back until it is called with false.
    func block(_ isBlocked: Bool) { state.withLock { $0.isBlocked = isBlocked } }

    /// Whether blocks cannot be read from now on.
    func failReads(_ fails: Bool) { state.withLock { $0.failsReads = fails } }

    func append(_ group: consuming BlockBuilder) throws(LogError) -> DurableBlock {
        while state.withLock({ $0.isBlocked }) { usleep(200) }
        let schema = group.schema
        let (content, entries) = group.finish(sync: sync)
        let fault = state.withLock { state in
            defer { state.appendCount += 1 }
            return state.faults[state.appendCount]
        }
        switch fault {
        case .diskFull: throw .diskFull(file: "memory")
        case .syncFailed: throw .syncFailed(file: "memory", code: 5)
        case nil: break
        }
        return state.withLock { state in
            precondition(schema == state.schema, "records have the segment's schema")
            let before = state.head
            for entry in entries {
                precondition(entry.receivedAt > state.lastReceivedAt, "time is increasing")
                state.frontier.append(entry.leaf)
                state.lastReceivedAt = entry.receivedAt
            }
            let events = entries.reduce(0) { $0 + $1.eventCount }
            let header = BlockHeader(
                ledger: ledger, segment: 0, epoch: 0, block: UInt64(state.blocks.count), offset: 0,
                firstPosition: before.position, eventCount: UInt32(events),
                batchCount: UInt32(entries.count), firstReceivedAt: entries[0].receivedAt,
                lastReceivedAt: state.lastReceivedAt, storedByteCount: 0,
                contentByteCount: UInt32(content.bytes.count - content.start),
                treeSize: state.frontier.size, rootBefore: before.root,
                rootAfter: state.frontier.root, bodyChecksum: 0)
            guard
                let block = try? DurableBlock(
                    header: header, schema: schema, content: content.bytes, start: content.start,
                    sync: sync)
            else { preconditionFailure("a block reads as it was written") }
            state.blocks.append(block)
            state.head = block.head
            return block
        }
    }

    func attest() throws(LogError) { state.withLock { $0.attestCount += 1 } }

    func roll(to schema: LogSchema) throws(LogError) {
        state.withLock {
            $0.schema = schema
            $0.rollCount += 1
        }
    }

    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock] {
        try state.withLock { state throws(LogError) in
            if state.failsReads { throw .system(call: "pread", file: "memory", code: 5) }
            guard position <= state.head.position else { throw .outOfRange(position) }
            guard let first = state.blocks.firstIndex(where: { position < $0.endPosition })
            else { return [] }
            var bytes = 0
            var end = first
            while end < state.blocks.count, end == first || bytes < byteLimit {
                bytes += state.blocks[end].content.count
                end += 1
            }
            return Array(state.blocks[first..<end])
        }
    }

    func position(asOf time: Microseconds) throws(LogError) -> Position {
        var position: Position = 0
        for block in allBlocks {
            do {
                try block.forEachBatch {
                    if $0.facts.receivedAt <= time {
                        position = $0.facts.position + Position($0.rowCount)
                    }
                }
            } catch { throw .outOfRange(block.firstPosition) }
        }
        return position
    }

    func waitForEvents(from position: Position, timeoutSeconds: Double) -> Bool {
        durable.position > position
    }

    func note(checkpoint: TreeHead) {}
    func close() throws(LogError) {}
}
