import Avro

/// Where a position lies: between two batches, where a state of the ledger ends, or inside one.
public enum LogPlace: Sendable, Equatable {
    /// The ledger after all batches below the position, and the time of the last of these; 0 where
    /// there is none.
    case boundary(TreeHead, receivedAt: Microseconds)
    /// Inside the batch that has these positions.
    case insideBatch(Range<Position>)

    /// The state, if one ends here.
    public var head: TreeHead? {
        if case .boundary(let head, _) = self { head } else { nil }
    }
}

extension TreeHead {
    /// Before the first event.
    public static func start(of ledger: LedgerID) -> TreeHead {
        TreeHead(ledger: ledger, size: 0, position: 0, root: MerkleFrontier().root)
    }
}

extension LogSource {
    /// Where `position` lies. At the end of a block, where states are asked for nearly always, that
    /// is one look; between two batches of a block the tree is made again from
    /// `frontier(before:)`.
    ///
    /// - Throws: `.outOfRange` beyond the durable end, and what reading throws.
    public func place(of position: Position) throws(LogError) -> LogPlace {
        let durable = durable
        guard position >= 0, position <= durable.position else { throw .outOfRange(position) }
        if position == 0 { return .boundary(.start(of: ledger), receivedAt: 0) }
        guard let block = try blocks(from: position - 1, byteLimit: 1).first else {
            throw .outOfRange(position)
        }
        precondition(
            block.firstPosition < position && position <= block.endPosition,
            "the block holds the event before the position")
        if block.endPosition == position {
            return .boundary(block.head, receivedAt: block.lastReceivedAt)
        }
        return try place(of: position, in: block)
    }

    private func place(
        of position: Position, in block: DurableBlock
    ) throws(LogError) -> LogPlace {
        var frontier = try frontier(before: block)
        var found: LogPlace?
        do {
            try block.forEachBatch { reader in
                guard found == nil else { return }
                let facts = reader.facts
                let end = facts.position + Position(reader.rowCount)
                frontier.append(MerkleFrontier.leaf(of: try reader.finish()))
                if end == position {
                    let head = TreeHead(
                        ledger: block.head.ledger, size: frontier.size, position: position,
                        root: frontier.root)
                    found = .boundary(head, receivedAt: facts.receivedAt)
                } else if end > position {
                    found = .insideBatch(facts.position..<end)
                }
            }
        } catch {
            throw .unreadable(block)
        }
        guard let found else { throw .unreadable(block) }
        return found
    }

    /// The tree before a block, made from every batch before it. Engines know a nearer beginning.
    public func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier {
        try frontier(MerkleFrontier(), from: 0, before: block)
    }

    /// `frontier`, which ends at `position`, with the batches that stand between it and a block.
    public func frontier(
        _ frontier: MerkleFrontier, from position: Position, before block: DurableBlock
    ) throws(LogError) -> MerkleFrontier {
        var (frontier, position) = (frontier, position)
        while position < block.firstPosition {
            for earlier in try blocks(from: position, byteLimit: 4 << 20)
            where earlier.endPosition <= block.firstPosition {
                do {
                    try earlier.forEachBatch { reader in
                        frontier.append(MerkleFrontier.leaf(of: try reader.finish()))
                    }
                } catch {
                    throw .unreadable(earlier)
                }
                position = earlier.endPosition
            }
        }
        return frontier
    }
}

extension LogError {
    /// Every checksum of the block held, so a record that cannot be read is its writer's fault.
    public static func unreadable(_ block: DurableBlock) -> LogError {
        .corrupt(
            Corruption(
                file: "block \(block.number)", offset: 0, position: block.firstPosition,
                what: "a record does not read as its schema says"))
    }
}
