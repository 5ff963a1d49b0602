import DaybookLog

/// The youngest durable blocks, in memory up to a limit, so that projectors that keep up read no
/// files.
struct RecentBlocks: Sendable {
    /// Those before `first` were let go.
    private var blocks: [DurableBlock?] = []
    private var first = 0
    private var byteCount = 0
    private let byteLimit: Int

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    mutating func append(_ block: DurableBlock) {
        if let last = blocks.last ?? nil {
            precondition(last.endPosition == block.firstPosition, "blocks have no gap")
        }
        blocks.append(block)
        byteCount += block.content.count
        while byteCount > byteLimit, first < blocks.count - 1, let oldest = blocks[first] {
            byteCount -= oldest.content.count
            blocks[first] = nil
            first += 1
        }
        if first > 64, first * 2 > blocks.count {
            blocks.removeFirst(first)
            first = 0
        }
    }

    /// Blocks from the one that holds `position`; empty if it is not here.
    func blocks(from position: Position, byteLimit: Int) -> [DurableBlock] {
        let kept = blocks[first...].lazy.compactMap(\.self)
        guard let oldest = kept.first, oldest.firstPosition <= position else { return [] }
        var low = first
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            let isBefore = blocks[middle].map { $0.endPosition <= position } ?? true
            if isBefore { low = middle + 1 } else { high = middle }
        }
        var found: [DurableBlock] = []
        var count = 0
        for case let block? in blocks[low...] where count < byteLimit {
            found.append(block)
            count += block.content.count
        }
        return found
    }
}
