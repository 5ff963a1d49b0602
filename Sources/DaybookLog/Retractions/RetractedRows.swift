/// The positions whose accepted rows were retracted up to some point of the log: ranges in order,
/// no two of which touch.
public struct RetractedRows: Sendable, Equatable {
    /// The ranges. What was rejected in them was never a row.
    public private(set) var spans: [Range<Position>] = []

    /// Nothing was retracted.
    public init() {}

    /// What was retracted below `end`, read from the log.
    ///
    /// Only segments that hold events of the ledger's own are read. Blocks if it reads from disk.
    public init(of log: any LogSource, below end: Position) throws(LogError) {
        var found: [Range<Position>] = []
        try log.forEachRetraction(below: end) { found += $0.spans }
        add(found)
    }

    /// Whether nothing was retracted.
    public var isEmpty: Bool { spans.isEmpty }

    /// Whether the row at `position` was retracted.
    @inline(__always)
    public func contains(_ position: Position) -> Bool {
        if spans.isEmpty { return false }
        return span(holding: position) != nil
    }

    /// Whether a row of the range was retracted.
    public func intersects(_ range: Range<Position>) -> Bool {
        guard !range.isEmpty, !spans.isEmpty else { return false }
        let next = firstIndex(endingAfter: range.lowerBound)
        return next < spans.count && spans[next].lowerBound < range.upperBound
    }

    /// The parts of the range that were not retracted, in order.
    public func remainder(of range: Range<Position>) -> [Range<Position>] {
        var parts: [Range<Position>] = []
        var start = range.lowerBound
        var next = firstIndex(endingAfter: start)
        while next < spans.count, spans[next].lowerBound < range.upperBound {
            if spans[next].lowerBound > start { parts.append(start..<spans[next].lowerBound) }
            start = spans[next].upperBound
            next += 1
        }
        if start < range.upperBound { parts.append(start..<range.upperBound) }
        return parts
    }

    /// Adds ranges, in any order.
    public mutating func add(_ ranges: [Range<Position>]) {
        if ranges.isEmpty { return }
        let sorted = (spans + ranges).filter { !$0.isEmpty }
            .sorted { $0.lowerBound < $1.lowerBound }
        spans = []
        for range in sorted {
            if let last = spans.last, range.lowerBound <= last.upperBound {
                spans[spans.count - 1] =
                    last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                spans.append(range)
            }
        }
    }

    private func span(holding position: Position) -> Range<Position>? {
        let next = firstIndex(endingAfter: position)
        guard next < spans.count, spans[next].lowerBound <= position else { return nil }
        return spans[next]
    }

    private func firstIndex(endingAfter position: Position) -> Int {
        var low = 0
        var high = spans.count
        while low < high {
            let middle = (low + high) / 2
            if spans[middle].upperBound > position { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension LogSource {
    /// Calls `body` with every retraction whose event stands below `end`, in order. Blocks if it
    /// reads from disk.
    public func forEachRetraction(
        below end: Position, _ body: (StoredRetraction) -> Void
    ) throws(LogError) {
        for range in ranges(holding: "") {
            try forEachBlock(in: range.clamped(to: 0..<end)) { (block) throws(LogError) in
                guard block.firstPosition < end else { return }
                if let found = try block.retraction() { body(found) }
            }
        }
    }

    /// Calls `body` with the durable blocks that hold positions of `range`, in order.
    public func forEachBlock(
        in range: Range<Position>, byteLimit: Int = 4 << 20,
        _ body: (DurableBlock) throws(LogError) -> Void
    ) throws(LogError) {
        try forEachBlock(in: [range], byteLimit: byteLimit) { (block, _) throws(LogError) in
            try body(block)
        }
    }

    /// Calls `body` with the durable blocks that hold positions of the ranges, each block once, in
    /// order, and with those of the ranges that it holds positions of.
    ///
    /// - Precondition: the ranges are in order, and none overlaps another.
    /// - Throws: `LogError.outOfRange` if they go beyond the end.
    public func forEachBlock(
        in ranges: [Range<Position>], byteLimit: Int = 4 << 20,
        _ body: (DurableBlock, ArraySlice<Range<Position>>) throws(LogError) -> Void
    ) throws(LogError) {
        var rest = ranges.filter { !$0.isEmpty }[...]
        var position: Position = 0
        while let first = rest.first {
            position = max(position, first.lowerBound)
            let found = try blocks(from: position, byteLimit: byteLimit)
            guard !found.isEmpty else { throw .outOfRange(position) }
            for block in found {
                position = block.endPosition
                let held = rest.prefix { $0.lowerBound < block.endPosition }
                if held.isEmpty { continue }
                try body(block, held)
                rest = rest.drop { $0.upperBound <= block.endPosition }
            }
        }
    }
}
