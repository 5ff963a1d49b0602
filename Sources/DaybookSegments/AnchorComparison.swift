import DaybookLog

/// What became of one state that the log is known to have had.
public struct AnchorFinding: Sendable, Equatable {
    /// Whether the log has it.
    public enum Outcome: Sendable, Equatable {
        /// After as many batches the log has this very root.
        case holds
        /// It has another there: something below was changed. The block is named in which the tree
        /// comes to this size.
        case contradicted(segment: String, offset: UInt64)
        /// No readable block comes to this size.
        case notReached
    }

    /// The state.
    public let head: TreeHead
    /// Whether the log has it.
    public internal(set) var outcome: Outcome
    /// Whether a readable block comes to this size.
    var isReached = false
}

/// Holds anchors against a log's blocks while these are scanned in order.
struct AnchorComparison: Sendable {
    private(set) var findings: [AnchorFinding]

    init(_ anchors: [TreeHead]) {
        findings = anchors.sorted { $0.size < $1.size }.map { head in
            let isStart = head == .start(of: head.ledger)
            return AnchorFinding(head: head, outcome: isStart ? .holds : .notReached)
        }
    }

    /// Looks at a valid block, and the state before it.
    mutating func look(at found: ScannedBlock, after before: ChainState, in segment: String) {
        var index = firstFinding(above: before.frontier.size)
        guard index < findings.count, findings[index].head.size <= found.header.treeSize else {
            return
        }
        var (frontier, position) = (before.frontier, before.position)
        for entry in found.entries {
            frontier.append(entry.leaf)
            position += Position(entry.eventCount)
            while index < findings.count, findings[index].head.size == frontier.size {
                let head = TreeHead(
                    ledger: before.ledger, size: frontier.size, position: position,
                    root: frontier.root)
                findings[index].isReached = true
                findings[index].outcome =
                    head == findings[index].head
                    ? .holds : .contradicted(segment: segment, offset: found.header.offset)
                index += 1
            }
        }
    }

    /// Takes over what another segment's blocks said: each tree size is reached in one segment.
    mutating func merge(_ other: AnchorComparison) {
        for (place, finding) in other.findings.enumerated() where finding.isReached {
            findings[place].outcome = finding.outcome
        }
    }

    /// What does not hold, in words: the first after each that does, for those behind it follow.
    func problems(lastSegment: String) -> [LogVerification.Problem] {
        var problems: [LogVerification.Problem] = []
        var holding: Position = 0
        var isKnown = false
        for finding in findings {
            if finding.outcome == .holds {
                holding = finding.head.position
                isKnown = false
                continue
            }
            if isKnown { continue }
            isKnown = true
            let head = finding.head
            let range = "positions \(holding)..<\(head.position)"
            switch finding.outcome {
            case .holds: break
            case .contradicted(let segment, let offset):
                problems.append(
                    LogVerification.Problem(
                        segment: segment, offset: offset, position: holding,
                        what: "the tree of \(head.size) batches is not the anchored one: something "
                            + "in \(range) was changed since"))
            case .notReached:
                problems.append(
                    LogVerification.Problem(
                        segment: lastSegment, offset: 0, position: holding,
                        what: "the tree of \(head.size) batches that was anchored is not there: "
                            + "something in \(range) is lost or cannot be read"))
            }
        }
        return problems
    }

    /// The first of a larger tree, by halves.
    private func firstFinding(above size: UInt64) -> Int {
        var (low, high) = (0, findings.count)
        while low < high {
            let middle = (low + high) / 2
            if findings[middle].head.size > size { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
