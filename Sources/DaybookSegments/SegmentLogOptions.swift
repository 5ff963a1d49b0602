import DaybookLog

/// How a log in files is opened.
public struct SegmentLogOptions: Sendable {
    /// The schema of a new ledger's first segment.
    public var schema: LogSchema
    /// A segment rolls when it has grown to this.
    public var segmentByteCount: UInt64
    /// How many bytes of the youngest blocks stay in memory for readers.
    public var recentByteCount: Int
    /// The wall clock, for the time a segment was made.
    public var clock: @Sendable () -> Microseconds
    /// Random bits, for the ledger's id and each segment's salt and sync marker.
    public var random: @Sendable () -> UInt64
    /// What else is known to have been durable: snapshots, backups, anchors.
    public var evidence: [Evidence]
    /// Asks Postgres for the projectors' furthest checkpoint. Asked only if there is a torn tail to
    /// judge; nil if Postgres cannot be reached, and then the head file's copy counts.
    public var askCheckpoint: (@Sendable () -> TreeHead?)?

    /// The usual sizes, no other evidence, and no Postgres to ask.
    public init(schema: LogSchema, clock: @escaping @Sendable () -> Microseconds) {
        self.schema = schema
        self.clock = clock
        segmentByteCount = UInt64(LogLimits.segmentByteCount)
        recentByteCount = 32 << 20
        random = { UInt64.random(in: 0 ... .max) }
        evidence = []
        askCheckpoint = nil
    }
}
