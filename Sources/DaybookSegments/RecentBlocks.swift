import DaybookLog

/// The youngest durable blocks, in memory up to a limit, so that projectors that keep up read no
/// files.
struct RecentBlocks: Sendable {
    private var blocks: [DurableBlock] = []
    private var first = 0
    private var byteCount = 0
    private let byteLimit: Int

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    mutating func append(_ block: DurableBlock) {
        if let last = blocks.last {
            precondition(last.endPosition == block.firstPosition, "blocks have no gap")
        }
        blocks.append(block)
        byteCount += block.content.count
        while byteCount > byteLimit, first < blocks.count - 1 {
            byteCount -= blocks[first].content.count
            first += 1
        }
        if first > 64, first * 2 > blocks.count {
            blocks.removeFirst(first)
            first = 0
        }
    }

    /// Blocks from the one that holds `position`; empty if it is not here.
    func blocks(from position: Position, byteLimit: Int) -> [DurableBlock] {
        guard first < blocks.count, blocks[first].firstPosition <= position,
            position < blocks[blocks.count - 1].endPosition
        else { return [] }
        var low = first
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].endPosition <= position { low = middle + 1 } else { high = middle }
        }
        var found: [DurableBlock] = []
        var count = 0
        while low < blocks.count, count < byteLimit {
            found.append(blocks[low])
            count += blocks[low].content.count
            low += 1
        }
        return found
    }
}
