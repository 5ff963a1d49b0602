import Avro
import DaybookLog

/// Makes backups and knows of those there are. The server knows no more of backups than this.
public protocol BackupKeeper: Sendable {
    /// Begins a backup on a thread of its own.
    ///
    /// - Returns: the number by which `outcome` knows it.
    func begin(_ order: BackupOrder) throws(BackupRefusal) -> Int

    /// What became of a backup; nil while it is made, and long after.
    func outcome(of number: Int) -> Result<MadeBackup, BackupFailure>?

    /// The backups of the place, oldest first. Blocks.
    func listing() throws(BackupFailure) -> BackupListing

    /// What runs and what was; cheap.
    var status: BackupStatus { get }
}

/// What a client asks of a backup.
public struct BackupOrder: Sendable, Equatable {
    /// The tables; nil for all.
    public var tables: [String]?
    /// How the files are compressed; nil leaves it to the keeper.
    public var codec: ContainerCodec?
    /// Whether the log is copied too; nil leaves it to the keeper.
    public var includesLog: Bool?

    /// A backup of everything, in the keeper's own way.
    public init() {}
}

/// Why a backup was not begun.
public enum BackupRefusal: Error, Sendable, Equatable {
    /// A backup or a drill runs.
    case busy(BackupActivity)
    /// The server is going down.
    case stopping
}

/// What is being done.
public struct BackupActivity: Sendable, Equatable {
    /// Kinds of work, of which one is done at a time.
    public enum Kind: String, Sendable {
        /// A backup is made.
        case backup
        /// A backup is tried out.
        case drill
    }

    /// What it is.
    public let kind: Kind
    /// When it began.
    public let since: Microseconds
    /// How far it is, for people.
    public let progress: String

    /// Work that began at a time.
    public init(_ kind: Kind, since: Microseconds, progress: String) {
        self.kind = kind
        self.since = since
        self.progress = progress
    }
}

/// Why something about backups failed.
public struct BackupFailure: Error, Sendable, Equatable {
    /// What it means to whoever asked.
    public enum Kind: Sendable {
        /// Postgres or the storage is not there: it may work later.
        case unavailable
        /// Somebody else makes a backup of the same database.
        case busy
        /// The server is going down.
        case stopping
        /// Anything else.
        case failed
    }

    /// What it means.
    public let kind: Kind
    /// The reason, for people. Holds no row data.
    public let reason: String
    /// When.
    public let at: Microseconds

    /// A failure at a time.
    public init(_ kind: Kind, reason: String, at: Microseconds) {
        self.kind = kind
        self.reason = reason
        self.at = at
    }
}

/// What runs and what was.
public struct BackupStatus: Sendable, Equatable {
    /// What is being done; nil if nothing is.
    public var running: BackupActivity?
    /// The last failure since the server started.
    public var lastFailure: BackupFailure?
    /// How many failures there were since the server started.
    public var failureCount = 0
    /// How long ago the last backup was made; nil if there was none.
    public var ageSeconds: Int64?
    /// How long ago the last one was made of those that were proven.
    public var provenAgeSeconds: Int64?
    /// Whether the last drill went well; nil if there was none.
    public var isLastDrillSound: Bool?

    /// Nothing is known.
    public init() {}
}
