import DaybookLog

/// Something that knew the ledger to be durable up to a point.
public struct Evidence: Sendable, Equatable {
    /// Where it comes from; the order is that in which it is named to people.
    public enum Source: String, Sendable, CaseIterable {
        /// A whole block header behind the first invalid block: it was written only after that
        /// block's sync had returned.
        case laterBlock = "a later block"
        case attestation = "an attestation"
        case laterSegment = "the header of a later segment"
        case headFile = "the head file"
        case snapshot = "a snapshot of the keys"
        case checkpoint = "a projector's checkpoint in Postgres"
        case keptCheckpoint = "a projector's checkpoint kept in the head file"
        case backup = "a backup or an anchor"
    }

    public let source: Source
    /// The next position, as the source knew it.
    public let position: Position
    /// The root at that position, if the source says one.
    public let root: Digest?

    public init(source: Source, position: Position, root: Digest?) {
        self.source = source
        self.position = position
        self.root = root
    }
}

/// What was found at the end of the newest segment, and what there is to judge it by.
struct RecoveryFindings: Sendable, Equatable {
    /// Whether bytes follow the last whole, valid frame. Zeros are bytes.
    var hasInvalidRest: Bool
    /// Sources that knew more to be durable than was found valid.
    var ahead: Set<Evidence.Source>
    /// Sources that knew another root at a position that was found valid.
    var forked: Set<Evidence.Source>
}

/// What is done about it.
enum RecoveryDecision: Sendable, Equatable {
    /// Everything is whole.
    case open
    /// An unfinished last group: it is copied aside, cut off, and recorded.
    case cutTornTail
    /// Something durable is gone or damaged: appends stop.
    case haltCorrupt(Evidence.Source)
    /// The log and the source tell different histories: appends stop.
    case haltForked(Evidence.Source)
}

/// The rule of recovery as a table: the first case whose columns hold decides.
///
/// It never guesses. Bytes that are not valid are a torn tail only if nothing at all says that they
/// had been durable; a single witness makes them corruption. FORMAT.md, "Recovery", is this table
/// in prose; a test walks every combination of columns.
enum RecoveryTable {
    struct Case: Sendable {
        let label: String
        /// What must hold, or nil where it does not matter.
        let hasInvalidRest: Bool?
        let ahead: Evidence.Source?
        let forked: Evidence.Source?
        let decision: RecoveryDecision
    }

    static let cases: [Case] =
        Evidence.Source.allCases.map { source in
            Case(
                label: "another root in \(source.rawValue)", hasInvalidRest: nil, ahead: nil,
                forked: source, decision: .haltForked(source))
        }
        + Evidence.Source.allCases.map { source in
            Case(
                label: "\(source.rawValue) is ahead of what is valid", hasInvalidRest: nil,
                ahead: source, forked: nil, decision: .haltCorrupt(source))
        }
        + [
            Case(
                label: "an invalid rest that nobody knew", hasInvalidRest: true, ahead: nil,
                forked: nil, decision: .cutTornTail),
            Case(
                label: "whole to the end", hasInvalidRest: false, ahead: nil, forked: nil,
                decision: .open),
        ]

    static func decide(_ findings: RecoveryFindings) -> Case {
        for row in cases where row.holds(for: findings) { return row }
        preconditionFailure("the table has a case for everything that can be found")
    }
}

extension RecoveryTable.Case {
    func holds(for findings: RecoveryFindings) -> Bool {
        if let hasInvalidRest, hasInvalidRest != findings.hasInvalidRest { return false }
        if let ahead, !findings.ahead.contains(ahead) { return false }
        if let forked, !findings.forked.contains(forked) { return false }
        return true
    }
}

/// What a start found and did, for the log's own record and for people.
public struct RecoveryReport: Sendable, Equatable {
    /// The part that was cut off, if any.
    public struct Cut: Sendable, Equatable {
        public let segment: String
        public let offset: UInt64
        public let byteCount: UInt64
        /// The file, in the log's folder, that now holds the bytes.
        public let keptAs: String
        /// Whether Postgres could be asked for its checkpoint before.
        public let askedPostgres: Bool
    }

    public var cut: Cut?
    /// Bytes after the last attested block that were written again and synced.
    public var rewrittenByteCount: UInt64 = 0
    /// Damage in sealed segments: those ranges cannot be read; appends go on.
    public var damage: [Corruption] = []
}
