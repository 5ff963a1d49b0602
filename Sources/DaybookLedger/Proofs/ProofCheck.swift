import DaybookLog

/// Holds a proof against itself and against what others kept. Needs no log and no server.
public struct ProofCheck: Sendable {
    /// One thing that was looked at.
    public struct Finding: Sendable, Equatable {
        /// What was looked at, for programs.
        public enum Subject: String, Sendable {
            case signature, inclusion, consistency, receipt, anchor
        }

        /// What was looked at.
        public let subject: Subject
        /// Whether it is as it must be.
        public let isGood: Bool
        /// What was found, in words.
        public let what: String
    }

    /// All that was looked at.
    public private(set) var findings: [Finding] = []
    private let proof: BatchProof

    /// Whether all of it is as it must be.
    public var isGood: Bool { findings.allSatisfy(\.isGood) }

    /// Looks at all there is.
    ///
    /// - Parameters:
    ///   - trusted: the ledger's key, from a place that whoever gave the proof does not write;
    ///     without it the key is what the file says.
    ///   - receipt: the answer that the batch got when it was appended.
    ///   - anchor: a signed tree head of another time, kept elsewhere.
    public init(
        _ proof: BatchProof, trusted: VerifyingKey? = nil, receipt: KeptReceipt? = nil,
        anchor: SignedTreeHead? = nil
    ) {
        self.proof = proof
        checkSignature(trusted)
        checkInclusion()
        if let earlier = proof.path.earlier { checkConsistency(earlier) }
        if let receipt { check(receipt) }
        if let anchor { check(anchor, key: trusted ?? proof.key) }
    }

    private mutating func checkSignature(_ trusted: VerifyingKey?) {
        let isSigned = proof.head.isSigned(by: trusted ?? proof.key)
        let what =
            switch (isSigned, trusted) {
            case (true, nil):
                "signed by the key that the file itself names; compare it with the ledger's, or "
                    + "give that with --key"
            case (true, _?): "signed by the given key"
            case (false, nil): "the checkpoint is not signed by the key that the file names"
            case (false, _?): "the checkpoint is not signed by the given key"
            }
        add(.signature, isSigned, what)
    }

    private mutating func checkInclusion() {
        let path = proof.path
        let isIncluded = MerkleProof.isIncluded(
            path.leaf, at: path.index, in: path.head.size, root: path.head.root,
            path: path.inclusion)
        add(
            .inclusion, isIncluded,
            isIncluded
                ? "leaf \(path.index) of the \(path.head.size) that the checkpoint covers"
                : "the path does not lead from the leaf to the checkpoint's root")
    }

    private mutating func checkConsistency(_ earlier: BatchPath.Earlier) {
        let isConsistent = earlier.leads(to: proof.path.head)
        add(
            .consistency, isConsistent,
            isConsistent
                ? "the tree began as the one of \(earlier.size) leaves with root \(earlier.root)"
                : "the tree did not begin as the one of \(earlier.size) leaves that the file names")
    }

    private mutating func check(_ receipt: KeptReceipt) {
        var differences: [String] = []
        if receipt.leaf != proof.path.leaf {
            differences.append(
                "leaf is \(receipt.leaf) there and \(proof.path.leaf) here: the record is not the "
                    + "one that was acknowledged")
        }
        if receipt.batchID != proof.batchID { differences.append("batch_id differs") }
        if receipt.position != proof.position { differences.append("position differs") }
        if receipt.rowCount != proof.rowCount { differences.append("rows differ") }
        add(
            .receipt, differences.isEmpty,
            differences.isEmpty
                ? "the proof is of the batch that the receipt is for"
                : differences.joined(separator: "; "))
    }

    private mutating func check(_ anchor: SignedTreeHead, key: VerifyingKey) {
        let (mine, other) = (proof.path.head, anchor.head)
        guard other.ledger == mine.ledger else {
            return add(.anchor, false, "the anchor is of another ledger, \(other.ledger)")
        }
        guard anchor.isSigned(by: key) else {
            return add(.anchor, false, "the anchor is not signed by the key that signed the proof")
        }
        let known =
            if other.size == mine.size { mine.root as Digest? } else {
                proof.path.earlier.flatMap { $0.size == other.size ? $0.root : nil }
            }
        guard let known else {
            let way =
                other.size < mine.size
                ? "get the proof with --from-size \(other.size)" : "get a proof of today"
            return add(
                .anchor, false,
                "the file has nothing of the tree of \(other.size) leaves that is anchored; \(way)")
        }
        guard known == other.root else {
            return add(
                .anchor, false,
                "the tree of \(other.size) leaves is not the anchored one: something below "
                    + "position \(other.position) was changed since it was anchored")
        }
        add(
            .anchor, true,
            proof.path.index < other.size
                ? "the batch was there already when the ledger was anchored at \(other.size) leaves"
                : "the tree began as the one anchored at \(other.size) leaves; the batch came later"
        )
    }

    private mutating func add(_ subject: Finding.Subject, _ isGood: Bool, _ what: String) {
        findings.append(Finding(subject: subject, isGood: isGood, what: what))
    }
}
