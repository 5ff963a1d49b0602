/// Where a batch stands in the tree, with what proves it.
public struct BatchPath: Sendable, Equatable {
    /// A tree that the ledger had before, and what shows that the later one began with it.
    public struct Earlier: Sendable, Equatable {
        /// How many leaves it had; at least one.
        public let size: UInt64
        /// Its root.
        public let root: Digest
        /// RFC 6962 consistency path to the later tree.
        public let path: [Digest]

        /// An earlier tree and its path.
        public init(size: UInt64, root: Digest, path: [Digest]) {
            self.size = size
            self.root = root
            self.path = path
        }
    }

    /// The batch's number in the ledger, from 0: the index of its leaf.
    public let index: UInt64
    /// The digest of its record.
    public let leaf: Digest
    /// The tree that it is shown to be in.
    public let head: TreeHead
    /// RFC 6962 inclusion path, the leaf's neighbour first.
    public let inclusion: [Digest]
    /// The earlier tree that was asked for.
    public let earlier: Earlier?

    /// A path as somebody gives it: `holds` says whether it leads anywhere.
    public init(
        index: UInt64, leaf: Digest, head: TreeHead, inclusion: [Digest], earlier: Earlier?
    ) {
        self.index = index
        self.leaf = leaf
        self.head = head
        self.inclusion = inclusion
        self.earlier = earlier
    }
}

extension LogSource {
    /// What proves that the batch that holds `position` is in the tree of `head`, and, with
    /// `earlierSize`, that this tree began as the one of so many leaves.
    ///
    /// Reads every record from the batch's block on, or from the block of the earlier tree's end if
    /// that comes first, in pieces of 4 MiB; what stands before is known by its segment's header.
    /// Blocks if it reads from disk.
    ///
    /// - Parameters:
    ///   - head: a state at the end of a block of this log, such as `durable`.
    ///   - earlierSize: from 1 to the size of `head`.
    /// - Throws: `.outOfRange` if `head` does not cover the position; `.corrupt` if the records do
    ///   not give the tree that their blocks' headers say; and what reading throws.
    public func merklePath(
        ofBatchAt position: Position, in head: TreeHead, from earlierSize: UInt64? = nil
    ) throws(LogError) -> BatchPath {
        precondition(earlierSize.map { (1...head.size).contains($0) } ?? true, "it was before")
        guard position >= 0, position < head.position,
            let block = try blocks(from: position, byteLimit: 1).first
        else { throw .outOfRange(position) }
        let (index, leaf) = try place(ofBatchAt: position, in: block)
        let first = min(index, earlierSize ?? index)
        let start = try self.block(holdingLeaf: first, notAfter: block)

        let inclusion = MerkleProof.inclusion(of: index, in: head.size)
        let consistency = earlierSize.map { MerkleProof.consistency(from: $0, to: head.size) } ?? []
        let whole = earlierSize.map { [0..<$0] } ?? []
        var subtrees = MerkleSubtrees(
            inclusion + consistency + whole, after: try frontier(before: start))
        try forEachLeaf(from: start.firstPosition, to: head.position) { subtrees.append($0) }
        guard subtrees.size == head.size else { throw .contradiction(block) }

        let roots = subtrees.roots
        var earlier: BatchPath.Earlier?
        if let earlierSize, let root = roots.last {
            earlier = BatchPath.Earlier(
                size: earlierSize, root: root,
                path: Array(roots[inclusion.count..<(inclusion.count + consistency.count)]))
        }
        let path = BatchPath(
            index: index, leaf: leaf, head: head, inclusion: Array(roots.prefix(inclusion.count)),
            earlier: earlier)
        guard path.holds else { throw .contradiction(block) }
        return path
    }

    /// The batch's leaf, and the leaf's index.
    private func place(
        ofBatchAt position: Position, in block: DurableBlock
    ) throws(LogError) -> (index: UInt64, leaf: Digest) {
        var index = block.head.size - UInt64(block.batchCount)
        var found: (UInt64, Digest)?
        do {
            try block.forEachBatch { reader in
                let end = reader.facts.position + Position(reader.rowCount)
                if found == nil, position < end {
                    found = (index, MerkleFrontier.leaf(of: try reader.finish()))
                }
                index += 1
            }
        } catch {
            throw .unreadable(block)
        }
        guard let found else { throw .unreadable(block) }
        return found
    }

    /// The block with the leaf of this index, which is in `last` or before: by halves, over
    /// positions.
    private func block(
        holdingLeaf index: UInt64, notAfter last: DurableBlock
    ) throws(LogError) -> DurableBlock {
        var positions = 0..<last.endPosition
        var block = last
        while true {
            let first = block.head.size - UInt64(block.batchCount)
            if index < first {
                positions = positions.lowerBound..<block.firstPosition
            } else if index >= block.head.size {
                positions = block.endPosition..<positions.upperBound
            } else {
                return block
            }
            let middle = positions.lowerBound + Position(positions.count / 2)
            guard !positions.isEmpty, let next = try blocks(from: middle, byteLimit: 1).first else {
                throw .contradiction(block)
            }
            block = next
        }
    }

    /// Calls `body` with the leaves of all batches between two ends of blocks.
    private func forEachLeaf(
        from start: Position, to end: Position, _ body: (Digest) -> Void
    ) throws(LogError) {
        var position = start
        while position < end {
            for block in try blocks(from: position, byteLimit: 4 << 20) where position < end {
                do {
                    try block.forEachBatch { reader in
                        body(MerkleFrontier.leaf(of: try reader.finish()))
                    }
                } catch {
                    throw .unreadable(block)
                }
                position = block.endPosition
            }
        }
    }
}

extension BatchPath {
    /// Whether the paths lead where they are said to.
    public var holds: Bool {
        MerkleProof.isIncluded(
            leaf, at: index, in: head.size, root: head.root, path: inclusion)
            && (earlier?.leads(to: head) ?? true)
    }
}

extension BatchPath.Earlier {
    /// Whether the path shows that the tree of `head` began as this one.
    public func leads(to head: TreeHead) -> Bool {
        MerkleProof.isConsistent(size, root: root, with: head.size, root: head.root, path: path)
    }
}

extension LogError {
    fileprivate static func contradiction(_ block: DurableBlock) -> LogError {
        .corrupt(
            Corruption(
                file: "block \(block.number)", offset: 0, position: block.firstPosition,
                what: "the records from here on do not give the tree that the blocks say"))
    }
}
