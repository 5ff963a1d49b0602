import DaybookLog

/// What became of an import's accepted rows since: some were retracted, or all.
public struct ImportRetraction: Sendable, Equatable {
    /// The position of the last retraction that took any of them.
    public let position: Position
    /// When the ledger took it.
    public let receivedAt: Microseconds
    /// Whether no accepted row of the import stands any more.
    public let isWhole: Bool

    /// What the log says of the rows in `spans`; nil if nothing of them was retracted. Blocks if
    /// it reads from disk.
    init?(of spans: [Range<Position>], in log: any LogSource) throws(LogError) {
        let end = log.durable.position
        var gone = RetractedRows()
        var last: StoredRetraction?
        try log.forEachRetraction(below: end) { retraction in
            var rows = RetractedRows()
            rows.add(retraction.spans)
            guard spans.contains(where: rows.intersects) else { return }
            gone.add(retraction.spans)
            last = retraction
        }
        guard let last else { return nil }
        position = last.position
        receivedAt = last.receivedAt
        isWhole = try !Self.hasAccepted(in: spans.flatMap { gone.remainder(of: $0) }, of: log)
    }

    /// Whether a row of the ranges was accepted. What was rejected is not retracted, and stays.
    private static func hasAccepted(
        in ranges: [Range<Position>], of log: any LogSource
    ) throws(LogError) -> Bool {
        for range in ranges {
            var position = range.lowerBound
            while position < range.upperBound {
                for block in try log.blocks(from: position, byteLimit: 1 << 20) {
                    if try block.hasAccepted(in: range) { return true }
                    position = block.endPosition
                    if position >= range.upperBound { break }
                }
            }
        }
        return false
    }
}

extension DurableBlock {
    /// Whether it has an accepted row in the range.
    fileprivate func hasAccepted(in range: Range<Position>) throws(LogError) -> Bool {
        var isFound = false
        do {
            try forEachBatch { reader in
                var position = reader.facts.position
                while let branch = try reader.nextBranch() {
                    let isRow = branch < reader.schema.tables.count
                    if isRow, range.contains(position) { isFound = true }
                    try reader.skipRow(branch)
                    position += 1
                }
            }
        } catch {
            throw .unreadableRecord(at: firstPosition, error)
        }
        return isFound
    }
}
