import DaybookLedger
import DaybookLog

/// How far one projection is.
public struct ProjectionStatus: Sendable, Equatable {
    /// The table or aggregate that it keeps, or `audit`.
    public let name: String
    /// The position that it has applied everything below.
    public let position: Position
    /// `running`, `waiting`, `stopped`, …
    public let state: String
    /// Why it does not run, and what to do; nil if it runs.
    public let reason: String?

    /// A projection's state.
    public init(name: String, position: Position, state: String, reason: String? = nil) {
        self.name = name
        self.position = position
        self.state = state
        self.reason = reason
    }
}

/// Knows how far the projections are. The server knows no more of Postgres than this.
public protocol ProjectionStatusSource: Sendable {
    /// Every table, every aggregate and `audit`, from the start.
    var projections: [ProjectionStatus] { get }
    /// The position after the log's last durable event.
    var end: Position { get }
    /// A conninfo that psql, run by the server's user, takes; empty until it is known. Shown on
    /// the local socket only.
    var postgres: String { get }
    /// `starting`, `connected` or `unreachable`.
    var postgresState: String { get }
}

/// How much room the log takes, and how its disk does.
public struct LogSize: Sendable, Equatable {
    /// How many segments there are.
    public let segmentCount: Int
    /// How many bytes they have.
    public let byteCount: UInt64
    /// How long writing and syncing a group took, since the process started.
    public var writes = Histogram.seconds
    /// How often the log could not be read since the process started.
    public var readFailureCount: UInt64 = 0
    /// Damaged ranges of sealed segments: events there cannot be read, appends go on.
    public var damage: [Corruption] = []
    /// How far the scrub of sealed segments is; nil where there is none.
    public var scrub: ScrubFigures?

    /// A log's size.
    public init(segmentCount: Int, byteCount: UInt64) {
        self.segmentCount = segmentCount
        self.byteCount = byteCount
    }
}

/// What the scrub of sealed segments did since the process started.
public struct ScrubFigures: Sendable, Equatable {
    /// Bytes read and checked.
    public let byteCount: UInt64
    /// Passes over all sealed segments.
    public let passCount: UInt64
    /// Seconds since the last pass ended; nil before the first did.
    public let lastPassAgeSeconds: Double?

    /// Figures of a scrub.
    public init(byteCount: UInt64, passCount: UInt64, lastPassAgeSeconds: Double?) {
        self.byteCount = byteCount
        self.passCount = passCount
        self.lastPassAgeSeconds = lastPassAgeSeconds
    }
}

/// The whole state of a ledger, as `status` prints it.
public struct ServerStatus: Sendable {
    /// The log up to the last durable group.
    public var head: TreeHead
    /// Version of the dictionary that judges batches.
    public var dictionary: String
    /// What keeps the ledger from taking batches; nil while it takes them.
    public var hold: LedgerStatus.Hold?
    /// How many segments the log has, and how many bytes.
    public var size: LogSize
    /// Every table, every aggregate and `audit`.
    public var projections: [ProjectionStatus]
    /// The conninfo; nil where it is not to be shown.
    public var postgres: String?
    /// `starting`, `connected` or `unreachable`.
    public var postgresState: String

    /// All of it.
    public init(
        head: TreeHead, dictionary: String, hold: LedgerStatus.Hold?, size: LogSize,
        projections: [ProjectionStatus], postgres: String?, postgresState: String
    ) {
        self.head = head
        self.dictionary = dictionary
        self.hold = hold
        self.size = size
        self.projections = projections
        self.postgres = postgres
        self.postgresState = postgresState
    }

    /// What keeps the ledger from taking batches, as a word; nil while it takes them.
    public var holdName: String? { hold?.name }

    /// The status as one JSON object.
    public func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("durable_position", head.position)
        json.field("segments", size.segmentCount)
        json.field("bytes", size.byteCount)
        json.field("state", holdName ?? (size.damage.isEmpty ? "ok" : "degraded"))
        json.field("ledger", head.ledger.description)
        json.field("batches", head.size)
        json.field("root", head.root.description)
        json.field("dictionary", dictionary)
        json.key("projections")
        json.openObject()
        for projection in projections {
            json.key(projection.name)
            json.openObject()
            json.field("position", projection.position)
            json.field("lag", max(0, head.position - projection.position))
            json.field("state", projection.state)
            if let reason = projection.reason { json.field("reason", reason) }
            json.closeObject()
        }
        json.closeObject()
        if !size.damage.isEmpty { writeDamage(to: &json) }
        json.field("postgres_state", postgresState)
        if let postgres { json.field("postgres", postgres) }
        json.closeObject()
    }

    private func writeDamage(to json: inout JSONWriter) {
        json.key("damage")
        json.openArray()
        for damage in size.damage {
            json.openObject()
            json.field("file", damage.file)
            json.field("offset", damage.offset)
            json.field("position", damage.position)
            json.field("what", damage.what)
            json.closeObject()
        }
        json.closeArray()
    }
}

extension LedgerStatus.Hold {
    /// Every name that there is.
    static let names = [
        "clock-held", "disk-full", "log-corrupt", "log-failed", "log-contradicted", "closed",
    ]

    /// The hold as a word.
    var name: String {
        switch self {
        case .clock: "clock-held"
        case .diskFull: "disk-full"
        case .log(.corrupt): "log-corrupt"
        case .log: "log-failed"
        case .contradicted: "log-contradicted"
        case .closed: "closed"
        }
    }
}
