import DaybookLog

/// Something that knew the ledger to be durable up to a point.
public struct Evidence: Sendable, Equatable {
    /// Where it comes from; the order is that in which it is named to people.
    public enum Source: String, Sendable, CaseIterable {
        /// A whole block header behind the first invalid block: it was written only after that
        /// block's sync had returned.
        case laterBlock = "a later block"
        /// A frame that the writer adds in a quiet moment, or a footer: both follow a sync.
        case attestation = "an attestation"
        /// A segment is made only after the one before it was synced.
        /// Written after each sync, never synced itself.
        case headFile = "the head file"
        /// Built from durable blocks only.
        case snapshot = "a snapshot of the keys"
        /// A projector applies durable blocks only.
        case checkpoint = "a projector's checkpoint in Postgres"
        /// The last checkpoint that Postgres had confirmed, for when it cannot be asked.
        case keptCheckpoint = "a projector's checkpoint kept in the head file"
        /// A copy or a published root, made of durable blocks.
        case backup = "a backup or an anchor"
    }

    /// Who knew it.
    public let source: Source
    /// The next position, as the source knew it.
    public let position: Position
    /// The root at that position, if the source says one.
    public let root: Digest?

    /// A witness that `position` was the next, with `root` over all before it.
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
    /// A torn tail, and where it is kept.
    public struct Cut: Sendable, Equatable {
        /// The file that was cut, by its name in the log's folder.
        public let segment: String
        /// Where the cut was made: the length that the file was left with.
        public let offset: UInt64
        /// How many bytes were cut off.
        public let byteCount: UInt64
        /// The file, in the log's folder, that now holds the bytes.
        public let keptAs: String
        /// Whether Postgres could be asked for its checkpoint before; nil if another start knew.
        public let askedPostgres: Bool?
    }

    /// The torn tail that was cut off, if there was one.
    public var cut: Cut?
    /// Every tail that was ever cut off and is still kept in the folder, this start's too, in order
    /// of name. Whoever made a cut may have ended before it could tell.
    public var kept: [Cut] = []
    /// Bytes after the last attested block that were written again and synced.
    public var rewrittenByteCount: UInt64 = 0
    /// Damage in sealed segments: those ranges cannot be read; appends go on.
    public var damage: [Corruption] = []
}
