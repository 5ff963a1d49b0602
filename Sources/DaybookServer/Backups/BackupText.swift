import DaybookLog

/// The backups of a place, as `backup list --json` and `GET /v1/backups` have them.
public struct BackupListing: Sendable, Equatable {
    /// A backup of the place.
    public struct Backup: Sendable, Equatable {
        /// Its name.
        public let name: String
        /// What its manifest says; nil if that cannot be read.
        public let facts: Facts?

        /// A backup of a name.
        public init(name: String, facts: Facts?) {
            self.name = name
            self.facts = facts
        }
    }

    /// What a manifest says, and whether the backup was proven.
    public struct Facts: Sendable, Equatable {
        /// The ledger's id.
        public var ledger: String
        /// The tables are the state after all events below.
        public var position: Position
        /// When it was made, RFC 3339.
        public var time: String
        /// The tables that are in it.
        public var tables: [String]
        /// How many rows they have.
        public var rowCount: Int64
        /// Whether the log is in it.
        public var hasLog: Bool
        /// Whether it was held against the log, or drilled, and found right.
        public var isProven: Bool

        /// All of it.
        public init(
            ledger: String, position: Position, time: String, tables: [String], rowCount: Int64,
            hasLog: Bool, isProven: Bool
        ) {
            self.ledger = ledger
            self.position = position
            self.time = time
            self.tables = tables
            self.rowCount = rowCount
            self.hasLog = hasLog
            self.isProven = isProven
        }
    }

    /// The place: a path or a URL.
    public let target: String
    /// The backups, oldest first.
    public let backups: [Backup]

    /// The backups of a place.
    public init(target: String, backups: [Backup]) {
        self.target = target
        self.backups = backups
    }

    /// The members of its object, without the braces around them.
    public func writeMembers(to json: inout JSONWriter) {
        json.field("target", target)
        json.key("backups")
        json.openArray()
        for backup in backups {
            json.openObject()
            json.field("backup", backup.name)
            json.field("readable", backup.facts != nil)
            if let facts = backup.facts {
                json.field("ledger", facts.ledger)
                json.field("position", facts.position)
                json.field("time", facts.time)
                json.field("rows", facts.rowCount)
                json.field("with_log", facts.hasLog)
                json.field("proven", facts.isProven)
            }
            json.closeObject()
        }
        json.closeArray()
    }
}

/// A backup that was just made, as `backup create --json` and `POST /v1/backups` have it.
public struct MadeBackup: Sendable, Equatable {
    /// A table of it.
    public struct Table: Sendable, Equatable {
        /// The table's name.
        public let table: String
        /// The file's name.
        public let file: String
        /// How many rows it has.
        public let rowCount: Int64
        /// How many bytes the file has.
        public let byteCount: UInt64

        /// A table with its file.
        public init(table: String, file: String, rowCount: Int64, byteCount: UInt64) {
            self.table = table
            self.file = file
            self.rowCount = rowCount
            self.byteCount = byteCount
        }
    }

    /// Its name.
    public var name: String
    /// Where it is: a path or a URL.
    public var target: String
    /// The tables are the state after all events below.
    public var position: Position
    /// The tree's root there, in hexadecimal.
    public var root: String
    /// When it was made, RFC 3339.
    public var time: String
    /// The tables.
    public var tables: [Table]
    /// The position after the last event of the log's copy; nil if there is none.
    public var logPosition: Position?
    /// How many bytes the log's copy has.
    public var logByteCount: UInt64
    /// Whether its position and root were held against the log; not where the log is lost.
    public var isHeldAgainstLog = true
    /// How long it took, in seconds.
    public var durationSeconds: Double

    /// All of it.
    public init(
        name: String, target: String, position: Position, root: String, time: String,
        tables: [Table], logPosition: Position?, logByteCount: UInt64, durationSeconds: Double
    ) {
        self.name = name
        self.target = target
        self.position = position
        self.root = root
        self.time = time
        self.tables = tables
        self.logPosition = logPosition
        self.logByteCount = logByteCount
        self.durationSeconds = durationSeconds
    }

    /// How many rows all tables have.
    public var rowCount: Int64 { tables.reduce(0) { $0 + $1.rowCount } }
    /// How many bytes all files have, but those about the backup itself.
    public var byteCount: UInt64 { tables.reduce(logByteCount) { $0 + $1.byteCount } }

    /// As one JSON object.
    public func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("backup", name)
        json.field("target", target)
        json.field("position", position)
        json.field("root", root)
        json.field("held_against_log", isHeldAgainstLog)
        json.field("time", time)
        json.field("rows", rowCount)
        json.field("bytes", byteCount)
        json.key("tables")
        json.openArray()
        for table in tables {
            json.openObject()
            json.field("table", table.table)
            json.field("file", table.file)
            json.field("rows", table.rowCount)
            json.field("bytes", table.byteCount)
            json.closeObject()
        }
        json.closeArray()
        json.key("log_position")
        if let logPosition { json.integer(logPosition) } else { json.null() }
        json.key("seconds")
        json.number(durationSeconds)
        json.closeObject()
    }
}

extension BackupActivity {
    /// As one JSON object.
    func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("state", "running")
        json.field("what", kind.rawValue)
        json.field("since", JSONWriter.text(time: since))
        json.field("progress", progress)
        json.closeObject()
    }
}

extension BackupFailure {
    /// As one JSON object.
    func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("time", JSONWriter.text(time: at))
        json.field("reason", reason)
        json.closeObject()
    }
}
