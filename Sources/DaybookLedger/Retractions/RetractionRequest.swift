import DaybookLog

/// What somebody wants taken back.
public struct RetractionRequest: Sendable {
    /// Accepted rows that came together, or one by its key.
    public enum Target: Sendable, Hashable {
        /// The rows of the batch with this id.
        case batch(String)
        /// The rows of every import of the file with this SHA-256.
        case importDigest(Digest)
        /// The rows of the one imported file that has this name.
        case importName(String)
        /// The row of a table that has this key: a text for each of its columns.
        case row(table: String, key: [String])
    }

    /// At most so many targets are named at once.
    public static let targetCountMax = 1000

    /// What is to go, as one.
    public let targets: [Target]
    /// Whether rows that refer to these go too, and rows that refer to them, and so on.
    public let takesReferring: Bool
    /// Who, and why.
    public let retraction: Retraction

    /// A request; there is at least one target, and at most `targetCountMax`.
    public init(targets: [Target], takesReferring: Bool = false, retraction: Retraction) {
        precondition(
            (1...Self.targetCountMax).contains(targets.count), "something is to be retracted")
        self.targets = targets
        self.takesReferring = takesReferring
        self.retraction = retraction
    }
}

/// An accepted row that refers to one that is to go.
public struct ReferringRow: Sendable, Equatable {
    /// The row's table.
    public let table: String
    /// The row's key as text; empty if its table has none.
    public let key: [String]
    /// The row's position.
    public let position: Position
    /// The table that it refers to.
    public let referredTable: String

    /// A row by its table and place.
    public init(table: String, key: [String], position: Position, referredTable: String) {
        self.table = table
        self.key = key
        self.position = position
        self.referredTable = referredTable
    }
}

/// Why nothing was retracted.
public enum RetractionError: Error, Sendable, Equatable {
    /// The log has no batch with this id.
    case unknownBatch(String)
    /// The batch is one of the ledger's own events, and has no rows.
    case noRows(batch: String)
    /// No file of this name or digest was imported.
    case unknownImport(String)
    /// Different files of this name were imported; their digests, in the order of the log.
    case ambiguousImport(String, digests: [String])
    /// What was given is no key of a table.
    case badKey(KeyFault)
    /// The table never had a row with this key.
    case unknownRow(table: String, key: [String])
    /// All rows that were named are retracted already, or were never accepted.
    case nothingLeft
    /// Other rows refer to these: how many, and the first of them.
    case referred(count: Int, first: [ReferringRow])
    /// The rows stand in more pieces of the log than one event may name.
    case tooManyPieces(Int)
    /// The log kept changing under the plan; nothing was written.
    case overtaken
    /// The ledger did not take it.
    case ledger(LedgerError)
}
