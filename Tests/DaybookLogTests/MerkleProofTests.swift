import DaybookLog
import Testing

@Suite("Merkle proofs") struct MerkleProofTests {
    /// The RFC's own recursive definitions, word for word, over all leaves at once.
    private enum Reference {
        static func root(_ leaves: ArraySlice<Digest>) -> Digest {
            if leaves.isEmpty { return Digest(of: [[]]) }
            if leaves.count == 1 { return leaves[leaves.startIndex] }
            let middle = leaves.startIndex + split(leaves.count)
            return Digest(of: [[1], root(leaves[..<middle]).bytes, root(leaves[middle...]).bytes])
        }

        /// RFC 6962, 2.1.1: PATH(m, D[n]).
        static func path(_ m: Int, _ leaves: ArraySlice<Digest>) -> [Digest] {
            if leaves.count == 1 { return [] }
            let k = split(leaves.count)
            let middle = leaves.startIndex + k
            return m < k
                ? path(m, leaves[..<middle]) + [root(leaves[middle...])]
                : path(m - k, leaves[middle...]) + [root(leaves[..<middle])]
        }

        /// RFC 6962, 2.1.2: PROOF(m, D[n]) = SUBPROOF(m, D[n], true).
        static func proof(_ m: Int, _ leaves: ArraySlice<Digest>, _ b: Bool = true) -> [Digest] {
            if m == leaves.count { return b ? [] : [root(leaves)] }
            let k = split(leaves.count)
            let middle = leaves.startIndex + k
            return m <= k
                ? proof(m, leaves[..<middle], b) + [root(leaves[middle...])]
                : proof(m - k, leaves[middle...], false) + [root(leaves[..<middle])]
        }

        private static func split(_ count: Int) -> Int {
            var split = 1
            while split * 2 < count { split *= 2 }
            return split
        }
    }

    private static let leaves = (0..<140).map { Digest(of: [[UInt8($0)], [9]]) }

    private static func frontier(_ count: Int) -> MerkleFrontier {
        var frontier = MerkleFrontier()
        for leaf in leaves.prefix(count) { frontier.append(leaf) }
        return frontier
    }

    /// The roots over `ranges`, collected from the leaves after the first `start`.
    private static func roots(
        _ ranges: [Range<UInt64>], size: Int, after start: Int
    ) -> [Digest] {
        var subtrees = MerkleSubtrees(ranges, after: frontier(start))
        for leaf in leaves[start..<size] { subtrees.append(leaf) }
        return subtrees.roots
    }

    @Test("Inclusion paths are the RFC's for every leaf of every size, from wherever they begin")
    func inclusion() {
        for size in 1...131 {
            let all = Self.leaves.prefix(size)
            let root = Reference.root(all)
            for index in 0..<size where size < 40 || index % 7 == size % 7 || index > size - 3 {
                let ranges = MerkleProof.inclusion(of: UInt64(index), in: UInt64(size))
                let path = Reference.path(index, all)
                for start in Set([0, index / 2, index]) {
                    #expect(Self.roots(ranges, size: size, after: start) == path)
                }
                #expect(
                    MerkleProof.isIncluded(
                        Self.leaves[index], at: UInt64(index), in: UInt64(size), root: root,
                        path: path))
            }
        }
    }

    @Test("Consistency paths are the RFC's for every two sizes, from wherever they begin")
    func consistency() {
        for size in 1...131 {
            let all = Self.leaves.prefix(size)
            let root = Reference.root(all)
            for earlier in 1...size where size < 40 || earlier % 7 == size % 7 {
                let ranges = MerkleProof.consistency(from: UInt64(earlier), to: UInt64(size))
                let path = Reference.proof(earlier, all)
                for start in Set([0, earlier / 2, earlier]) {
                    #expect(Self.roots(ranges, size: size, after: start) == path)
                }
                #expect(
                    MerkleProof.isConsistent(
                        UInt64(earlier), root: Reference.root(all.prefix(earlier)),
                        with: UInt64(size), root: root, path: path))
            }
        }
    }

    @Test("Paths are the published ones of the certificate-transparency project's tests")
    func published() {
        let leaves = MerkleTreeTests.leaves.map { leaf in
            leaf.withUnsafeBytes { MerkleFrontier.leaf(of: $0) }
        }
        func texts(_ ranges: [Range<UInt64>]) -> [String] {
            var subtrees = MerkleSubtrees(ranges, after: MerkleFrontier())
            for leaf in leaves { subtrees.append(leaf) }
            return subtrees.roots.map(\.description)
        }
        #expect(
            texts(MerkleProof.inclusion(of: 0, in: 8)) == [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ])
        #expect(
            texts(MerkleProof.inclusion(of: 5, in: 8)) == [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ])
        #expect(
            texts(MerkleProof.consistency(from: 6, to: 8)) == [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ])
        #expect(
            texts(MerkleProof.consistency(from: 2, to: 5)) == [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ])
    }

    @Test("Nothing else is included: another leaf, place, size, root, or path")
    func wrongInclusion() {
        let other = Digest(of: [[77]])
        for size in 1...33 {
            let all = Self.leaves.prefix(size)
            let root = Reference.root(all)
            for index in 0..<size {
                let path = Reference.path(index, all)
                func holds(
                    leaf: Digest? = nil, at place: Int? = nil, in count: Int? = nil,
                    root wrong: Digest? = nil, path wrongPath: [Digest]? = nil
                ) -> Bool {
                    MerkleProof.isIncluded(
                        leaf ?? Self.leaves[index], at: UInt64(place ?? index),
                        in: UInt64(count ?? size), root: wrong ?? root, path: wrongPath ?? path)
                }
                #expect(holds())
                #expect(!holds(leaf: other) && !holds(root: other))
                #expect(!holds(path: path + [other]) && !holds(at: size) && !holds(in: 0))
                if !path.isEmpty {
                    #expect(!holds(path: Array(path.dropLast())))
                    #expect(!holds(path: Array(path.dropFirst())))
                }
                for place in path.indices {
                    var changed = path
                    changed[place] = other
                    #expect(!holds(path: changed))
                }
                for place in 0..<size where place != index { #expect(!holds(at: place)) }
            }
        }
    }

    @Test("No other tree is consistent: another earlier root, size, later root, or path")
    func wrongConsistency() {
        let other = Digest(of: [[77]])
        for size in 2...33 {
            let all = Self.leaves.prefix(size)
            let root = Reference.root(all)
            for earlier in 1..<size {
                let path = Reference.proof(earlier, all)
                let start = Reference.root(all.prefix(earlier))
                func holds(
                    _ count: Int? = nil, from wrongStart: Digest? = nil, to wrong: Digest? = nil,
                    path wrongPath: [Digest]? = nil
                ) -> Bool {
                    MerkleProof.isConsistent(
                        UInt64(count ?? earlier), root: wrongStart ?? start, with: UInt64(size),
                        root: wrong ?? root, path: wrongPath ?? path)
                }
                #expect(holds())
                #expect(!holds(from: other) && !holds(to: other) && !holds(path: []))
                #expect(!holds(path: path + [other]) && !holds(path: Array(path.dropLast())))
                #expect(!holds(0) && !holds(size + 1) && !holds(size))
                for place in path.indices {
                    var changed = path
                    changed[place] = other
                    #expect(!holds(path: changed))
                }
            }
        }
        let root = Reference.root(Self.leaves.prefix(5))
        #expect(MerkleProof.isConsistent(5, root: root, with: 5, root: root, path: []))
        #expect(!MerkleProof.isConsistent(5, root: root, with: 5, root: root, path: [other]))
        #expect(!MerkleProof.isConsistent(5, root: other, with: 5, root: root, path: []))
    }
}
