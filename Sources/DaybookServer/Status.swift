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

    /// A projection's state.
    public init(name: String, position: Position, state: String) {
        self.name = name
        self.position = position
        self.state = state
    }
}

/// Knows how far the projections are. The server knows no more of Postgres than this.
public protocol ProjectionStatusSource: Sendable {
    /// Every table, every aggregate and `audit`, from the start.
    var projections: [ProjectionStatus] { get }
    /// A conninfo that psql, run by the server's user, takes; shown on the local socket only.
    var postgres: String { get }
}

/// Knows how much room the log takes.
public protocol LogSizeSource: Sendable {
    /// How many segments there are.
    var segmentCount: Int { get }
    /// How many bytes they have.
    var byteCount: Int { get }
}

/// The whole state of a ledger, as `status` prints it.
public struct ServerStatus: Sendable {
    /// The ledger's own state.
    public let ledger: LedgerStatus
    /// How many segments the log has.
    public let segmentCount: Int
    /// How many bytes the log takes.
    public let byteCount: Int
    /// Every table, every aggregate and `audit`.
    public let projections: [ProjectionStatus]
    /// The conninfo; nil where it is not to be shown.
    public let postgres: String?

    /// Takes the state of the parts together.
    public init(
        ledger: LedgerStatus, log: some LogSizeSource, projections: some ProjectionStatusSource,
        showsPostgres: Bool
    ) {
        self.ledger = ledger
        segmentCount = log.segmentCount
        byteCount = log.byteCount
        self.projections = projections.projections
        postgres = showsPostgres ? projections.postgres : nil
    }

    /// Why the ledger takes no batches; nil while it does.
    public var hold: String? {
        switch ledger.hold {
        case nil: nil
        case .clock: "clock-held"
        case .diskFull: "disk-full"
        case .log(.corrupt): "log-corrupt"
        case .log: "log-failed"
        case .closed: "closed"
        }
    }

    /// The status as one JSON object.
    public func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("durable_position", ledger.head.position)
        json.field("segments", segmentCount)
        json.field("bytes", byteCount)
        json.field("state", hold ?? "ok")
        json.field("ledger", ledger.head.ledger.description)
        json.field("batches", ledger.head.size)
        json.field("root", ledger.head.root.description)
        json.field("dictionary", ledger.catalogVersion)
        json.key("projections")
        json.openObject()
        for projection in projections {
            json.key(projection.name)
            json.openObject()
            json.field("position", projection.position)
            json.field("lag", max(0, ledger.head.position - projection.position))
            json.field("state", projection.state)
            json.closeObject()
        }
        json.closeObject()
        if let postgres { json.field("postgres", postgres) }
        json.closeObject()
    }
}
