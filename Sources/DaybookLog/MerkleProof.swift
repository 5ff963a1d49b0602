/// Proofs in a Merkle tree: which subtrees they need, and whether they hold. Pure functions.
///
/// Sources: RFC 6962, sections 2.1.1 and 2.1.2, for what a proof is made of; RFC 9162, sections
/// 2.1.3.2 and 2.1.4.2, for how it is checked.
public enum MerkleProof {
    /// The leaves under each node of an inclusion path: PATH(leaf, D[size]), the nearest first.
    public static func inclusion(of leaf: UInt64, in size: UInt64) -> [Range<UInt64>] {
        precondition(leaf < size, "a leaf is one of the tree's")
        var (first, count, place) = (UInt64(0), size, leaf)
        var path: [Range<UInt64>] = []
        while count > 1 {
            let split = MerkleProof.split(count)
            if place < split {
                path.append(first + split..<first + count)
                count = split
            } else {
                path.append(first..<first + split)
                first += split
                count -= split
                place -= split
            }
        }
        return path.reversed()
    }

    /// The leaves under each node of a consistency path: PROOF(earlier, D[size]). Empty if both
    /// sizes are the same.
    public static func consistency(
        from earlier: UInt64, to size: UInt64
    ) -> [Range<UInt64>] {
        precondition(earlier > 0 && earlier <= size, "an earlier tree has leaves, and no more")
        var (first, count, left) = (UInt64(0), size, earlier)
        var path: [Range<UInt64>] = []
        while left < count {
            let split = MerkleProof.split(count)
            if left <= split {
                path.append(first + split..<first + count)
                count = split
            } else {
                path.append(first..<first + split)
                first += split
                count -= split
                left -= split
            }
        }
        // Whoever checks has the earlier root, so a subtree that is all of it is left out.
        if first > 0 { path.append(first..<first + count) }
        return path.reversed()
    }

    /// Whether `path` leads from the leaf of this index to `root` in a tree of `size` leaves.
    public static func isIncluded(
        _ leaf: Digest, at index: UInt64, in size: UInt64, root: Digest, path: [Digest]
    ) -> Bool {
        guard index < size else { return false }
        var (place, last, node) = (index, size - 1, leaf)
        for other in path {
            guard last > 0 else { return false }
            if place & 1 == 1 || place == last {
                node = MerkleFrontier.parent(other, node)
                while place & 1 == 0, place != 0 {
                    place >>= 1
                    last >>= 1
                }
            } else {
                node = MerkleFrontier.parent(node, other)
            }
            place >>= 1
            last >>= 1
        }
        return last == 0 && node == root
    }

    /// Whether `path` shows that the tree of `earlier` leaves is how the tree of `size` began.
    public static func isConsistent(
        _ earlier: UInt64, root earlierRoot: Digest, with size: UInt64, root: Digest,
        path: [Digest]
    ) -> Bool {
        guard earlier > 0, earlier <= size else { return false }
        if earlier == size { return path.isEmpty && earlierRoot == root }
        let nodes = earlier.nonzeroBitCount == 1 ? [earlierRoot] + path : path
        guard !path.isEmpty, let start = nodes.first else { return false }
        var (place, last) = (earlier - 1, size - 1)
        while place & 1 == 1 {
            place >>= 1
            last >>= 1
        }
        var (old, new) = (start, start)
        for other in nodes.dropFirst() {
            guard last > 0 else { return false }
            if place & 1 == 1 || place == last {
                old = MerkleFrontier.parent(other, old)
                new = MerkleFrontier.parent(other, new)
                while place & 1 == 0, place != 0 {
                    place >>= 1
                    last >>= 1
                }
            } else {
                new = MerkleFrontier.parent(new, other)
            }
            place >>= 1
            last >>= 1
        }
        return last == 0 && old == earlierRoot && new == root
    }

    /// The largest power of two below `count`, which is at least 2.
    private static func split(_ count: UInt64) -> UInt64 {
        1 << UInt64(63 - (count - 1).leadingZeroBitCount)
    }
}

/// Collects the roots of some subtrees while leaves go by, in memory that grows with the
/// logarithm of their number.
public struct MerkleSubtrees: Sendable {
    private struct Subtree {
        let leaves: Range<UInt64>
        var frontier: MerkleFrontier
    }

    /// How many leaves have gone by.
    public private(set) var size: UInt64
    private var subtrees: [Subtree]

    /// The subtrees over `ranges`, after the leaves of `frontier` have gone by.
    ///
    /// A range that begins among those leaves is one of `MerkleProof`'s for a leaf, or an earlier
    /// tree, that does not end before them: then the frontier has nodes for its part of them.
    public init(_ ranges: [Range<UInt64>], after frontier: MerkleFrontier) {
        size = frontier.size
        subtrees = ranges.map { leaves in
            let passed = min(leaves.upperBound, frontier.size)
            guard passed > leaves.lowerBound else {
                return Subtree(leaves: leaves, frontier: MerkleFrontier())
            }
            let nodes = frontier.nodes(over: leaves.lowerBound..<passed)
            guard let part = MerkleFrontier(size: passed - leaves.lowerBound, nodes: nodes) else {
                preconditionFailure("the frontier has the nodes of a subtree that it cuts")
            }
            return Subtree(leaves: leaves, frontier: part)
        }
    }

    /// The next leaf.
    public mutating func append(_ leaf: Digest) {
        for index in subtrees.indices where subtrees[index].leaves.contains(size) {
            subtrees[index].frontier.append(leaf)
        }
        size += 1
    }

    /// The subtrees' roots, in the order of their ranges, once all of their leaves have gone by.
    public var roots: [Digest] {
        subtrees.map { subtree in
            precondition(
                subtree.frontier.size == UInt64(subtree.leaves.count), "all leaves have gone by")
            return subtree.frontier.root
        }
    }
}

extension MerkleFrontier {
    /// The nodes that stand over leaves of `range` alone.
    fileprivate func nodes(over range: Range<UInt64>) -> [Digest] {
        var (first, bit) = (UInt64(0), UInt64(1) << 63)
        var found: [Digest] = []
        for node in nodes {
            while size & bit == 0 { bit >>= 1 }
            if first >= range.lowerBound, first + bit <= range.upperBound { found.append(node) }
            first += bit
            bit >>= 1
        }
        return found
    }
}
