import Crypto

/// The right edge of an RFC 6962 Merkle tree: what is needed to append leaves and to give the root.
///
/// Source: RFC 6962, section 2.1. The frontier holds one digest for every bit set in `size`: the
/// roots of the perfect subtrees, largest first, so at most 64.
public struct MerkleFrontier: Hashable, Sendable {
    /// How many leaves there are.
    public private(set) var size: UInt64
    /// Roots of the perfect subtrees, largest first.
    public private(set) var nodes: [Digest]

    /// The tree without leaves.
    public init() {
        size = 0
        nodes = []
    }

    /// Takes up a kept frontier; nil if there is not one node for every bit of `size`.
    public init?(size: UInt64, nodes: [Digest]) {
        guard nodes.count == size.nonzeroBitCount else { return nil }
        self.size = size
        self.nodes = nodes
    }

    /// Adds a leaf's digest (`leaf(of:)`).
    public mutating func append(_ leaf: Digest) {
        var node = leaf
        var bits = size
        while bits & 1 == 1 {
            node = MerkleFrontier.parent(nodes.removeLast(), node)
            bits >>= 1
        }
        nodes.append(node)
        size += 1
        precondition(
            nodes.count == size.nonzeroBitCount, "there is a node for every bit of the size")
    }

    /// The root; for no leaves the digest of the empty string, as the RFC has it.
    public var root: Digest {
        guard var node = nodes.last else {
            return Digest(of: UnsafeRawBufferPointer(start: nil, count: 0))
        }
        for left in nodes.dropLast().reversed() { node = MerkleFrontier.parent(left, node) }
        return node
    }

    /// The digest of a leaf: SHA-256(0x00 ‖ record).
    public static func leaf(of record: UnsafeRawBufferPointer) -> Digest {
        var hash = SHA256()
        withUnsafeBytes(of: UInt8(0)) { hash.update(bufferPointer: $0) }
        hash.update(bufferPointer: record)
        return hash.finalize().withUnsafeBytes { Digest($0) }
    }

    /// The digest of an inner node: SHA-256(0x01 ‖ left ‖ right).
    public static func parent(_ left: Digest, _ right: Digest) -> Digest {
        var hash = SHA256()
        withUnsafeBytes(of: UInt8(1)) { hash.update(bufferPointer: $0) }
        left.withUnsafeBytes { hash.update(bufferPointer: $0) }
        right.withUnsafeBytes { hash.update(bufferPointer: $0) }
        return hash.finalize().withUnsafeBytes { Digest($0) }
    }
}
