import DaybookLog
import TestSupport
import Testing

@Suite("The Merkle tree") struct MerkleTreeTests {
    /// The reference leaves and roots of the certificate-transparency project's own tests
    /// (`merkle_tree_test.cc`), which RFC 6962 implementations share.
    static let leaves: [[UInt8]] = [
        [], [0x00], [0x10], [0x20, 0x21], [0x30, 0x31], Array(0x40...0x43), Array(0x50...0x57),
        Array(0x60...0x6F),
    ]
    static let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]

    @Test("Its roots are the published ones", arguments: 0...8)
    func published(_ count: Int) {
        var frontier = MerkleFrontier()
        for leaf in Self.leaves.prefix(count) {
            frontier.append(leaf.withUnsafeBytes { MerkleFrontier.leaf(of: $0) })
        }
        #expect(frontier.root.description == Self.roots[count])
    }

    @Test("It is the tree of the RFC's recursive definition at every size")
    func recursive() {
        var frontier = MerkleFrontier()
        var leaves: [Digest] = []
        for size in 0..<130 {
            #expect(frontier.root == Self.root(leaves[...]), "\(size) leaves")
            #expect(frontier.size == UInt64(size))
            #expect(frontier.nodes.count == size.nonzeroBitCount)
            let leaf = Digest(of: [[UInt8(size)], [7]])
            leaves.append(leaf)
            frontier.append(leaf)
        }
    }

    /// RFC 6962, section 2.1: split at the largest power of two below the size.
    private static func root(_ leaves: ArraySlice<Digest>) -> Digest {
        if leaves.isEmpty { return Digest(of: [[]]) }
        if leaves.count == 1 { return leaves[leaves.startIndex] }
        var split = 1
        while split * 2 < leaves.count { split *= 2 }
        let middle = leaves.startIndex + split
        return Digest(of: [[1], root(leaves[..<middle]).bytes, root(leaves[middle...]).bytes])
    }

    @Test("A kept frontier goes on like the one that was never put away")
    func keptFrontier() throws {
        for size in 0..<40 {
            var one = Sample.frontier(size)
            var other = try #require(MerkleFrontier(size: one.size, nodes: one.nodes))
            #expect(other == one)
            for extra in 0..<9 {
                one.append(Sample.digest(UInt8(100 + extra)))
                other.append(Sample.digest(UInt8(100 + extra)))
                #expect(other.root == one.root)
            }
        }
    }

    @Test("A frontier has one node for every bit of its size, or is refused")
    func wrongFrontier() {
        let nodes = Sample.frontier(7).nodes
        #expect(MerkleFrontier(size: 8, nodes: nodes) == nil)
        #expect(MerkleFrontier(size: 7, nodes: Array(nodes.dropLast())) == nil)
        #expect(MerkleFrontier(size: 7, nodes: nodes + nodes) == nil)
        #expect(MerkleFrontier(size: 0, nodes: []) == MerkleFrontier())
        #expect(MerkleFrontier(size: .max, nodes: nodes) == nil)
    }

    @Test("Another leaf, or another order, is another root")
    func everyLeafCounts() {
        let whole = Sample.frontier(11).root
        for changed in 0..<11 {
            var frontier = MerkleFrontier()
            for leaf in 0..<11 {
                frontier.append(Sample.digest(UInt8(leaf == changed ? 50 : leaf)))
            }
            #expect(frontier.root != whole)
        }
        var swapped = MerkleFrontier()
        for leaf in [1, 0] + Array(2..<11) { swapped.append(Sample.digest(UInt8(leaf))) }
        #expect(swapped.root != whole)
    }
}
