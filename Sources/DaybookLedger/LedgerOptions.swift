import DaybookLog

/// What the ledger is given from outside: clocks, bounds, and what to do when it cannot go on.
public struct LedgerOptions: Sendable {
    /// The wall clock, UTC.
    public var wallClock: @Sendable () -> Microseconds
    /// A clock that only counts forward while the machine is up, sleep included
    /// (`CLOCK_BOOTTIME`); what a jump of the wall clock is measured against.
    public var bootClock: @Sendable () -> Microseconds
    /// Bytes of batches that wait or are being written. Beyond it `submit` answers `.queueFull`.
    public var queueByteLimit = 64 << 20
    /// A group is closed when its records have grown to this many bytes.
    public var groupByteLimit = 4 << 20
    /// A snapshot of the keys is made after so many events.
    public var snapshotEventInterval: Int64 = 1_000_000
    /// Bytes of recently read blocks that are kept to answer retries and to confirm keys.
    public var cacheByteLimit = 32 << 20
    /// A forward step of the wall clock beyond this holds appends.
    public var clockJumpLimitSeconds: Int64 = 3600
    /// The writer looks through so many events that came since a retraction was planned: about a
    /// tenth of a second, in which nobody is answered. A plan that is older is to be extended.
    public var retractionLagMax: Int64 = 100_000
    /// The public part of the key by which the ledger signs, for the first event of a new one.
    public var signingKey: VerifyingKey?
    /// Random bits, for the batches' ids.
    public var random: @Sendable () -> UInt64 = { UInt64.random(in: 0 ... .max) }
    /// Called once, on the writer's thread, when a sync failed: the process must end. By then
    /// everything that waited was answered `.outcomeUnknown`.
    public var onFatal: @Sendable (LogError) -> Void

    /// The usual bounds, with the clocks and the end of the process from outside.
    public init(
        wallClock: @escaping @Sendable () -> Microseconds,
        bootClock: @escaping @Sendable () -> Microseconds,
        onFatal: @escaping @Sendable (LogError) -> Void
    ) {
        self.wallClock = wallClock
        self.bootClock = bootClock
        self.onFatal = onFatal
    }
}

/// How the ledger is doing, for `status` and the metrics.
public struct LedgerStatus: Sendable, Equatable {
    /// What keeps the ledger from taking batches.
    public enum Hold: Sendable, Equatable {
        /// The wall clock jumped forward by so many seconds.
        case clock(jumpSeconds: Int64)
        /// The last group found no space; the next one tries again.
        case diskFull
        /// The log failed or is damaged; reads go on.
        case log(LogError)
        /// What was made from the log proves that it lost acknowledged batches, or is of another
        /// past: why. Appends stay refused until a restart finds nothing of the kind.
        case contradicted(String)
        /// `close` was called.
        case closed
    }
    /// The log up to the last durable group.
    public var head: TreeHead
    /// Version of the dictionary in force.
    public var catalogVersion: String
    /// Batches that were taken and are not answered yet.
    public var queuedBatchCount: Int
    /// Their bytes, of `LedgerOptions.queueByteLimit`.
    public var queuedByteCount: Int
    /// How many bytes may wait.
    public let queueByteLimit: Int
    /// Nil while batches are taken.
    public var hold: Hold?
    /// The position that the snapshot of the keys covers.
    public var snapshotPosition: Position
    /// Why the last snapshot could not be written, if it could not.
    public var snapshotFault: String?
    /// How many seconds ago the last snapshot was made; nil if none was since opening.
    public let snapshotAgeSeconds: Double?
    /// How many snapshots could not be written or used since the ledger was opened.
    public let snapshotFailureCount: UInt64
    /// Groups written since the ledger was opened.
    public var groupCount: UInt64
    /// Batches written since the ledger was opened.
    public var batchCount: UInt64
    /// Retries answered from the log since the ledger was opened.
    public var replayCount: UInt64
    /// Rows and groups written since the ledger was opened.
    public let counts: LedgerCounts
}
