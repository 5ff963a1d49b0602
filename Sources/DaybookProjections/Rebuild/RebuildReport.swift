import DaybookLog

/// What a rebuild does now, for whoever waits.
public struct RebuildProgress: Sendable {
    /// The steps in their order.
    public enum Phase: String, Sendable {
        case base, filling, indexing, following, comparing, swapping
    }

    /// The projection.
    public let projection: String
    /// What is done now.
    public let phase: Phase
    /// Events that are read, of those that there are; rows of a backup in the phase `base`.
    public let eventCount: Int64
    /// Events that are to be read.
    public let eventCountTotal: Int64
    /// Since the filling began, in seconds.
    public let seconds: Double
    /// Events that an earlier run had read.
    public let eventCountBefore: Int64

    /// Events read a second, in this run.
    public var rate: Double { Double(eventCount - eventCountBefore) / max(seconds, 0.001) }
    /// How long the filling will take yet, in seconds; nil before that can be told.
    public var secondsLeft: Double? {
        rate > 0 ? Double(eventCountTotal - eventCount) / rate : nil
    }
}

/// What came of a rebuild.
public struct RebuildReport: Sendable {
    /// The projection.
    public let projection: String
    /// Every event below it is in the new tables.
    public internal(set) var position: Position
    /// How many rows the new tables have.
    public internal(set) var rowCount: Int64
    /// Whether it went on where an earlier run was cut short.
    public let wasResumed: Bool
    /// Whether the new tables are the live ones now.
    public internal(set) var isSwapped = false
    /// What is different from the live tables; nil if there was nothing to compare with.
    public internal(set) var comparison: RebuildComparison?
    /// What its user should know.
    public internal(set) var notes: [String] = []
    /// How long copying, indexing, comparing and swapping took, in seconds, by phase.
    public internal(set) var seconds: [RebuildProgress.Phase: Double] = [:]
}

/// Why a rebuild was not done. The live tables are as they were.
public enum RebuildError: Error, Sendable {
    /// There is no such projection.
    case unknownProjection(String, known: [String])
    /// Another process rebuilds the same projection.
    case busy(String)
    /// Something hangs on the live table that would not come along.
    case obstacle(String)
    /// Readers kept their locks all the time, in seconds: the new tables are kept, and the same
    /// command goes on from there.
    case readersInTheWay(seconds: Int, who: String)
    /// There is nothing to swap back.
    case nothingToUndo(String)
    /// The old tables were made under another definition than the dictionary's.
    case oldDefinition(String)
    /// Postgres refuses the new tables, for example because a key is not unique.
    case refused(projection: String, reason: String)
    /// The log and the database contradict each other.
    case contradiction(String)
    /// The rows to begin with cannot be read as the table's, and why.
    case unreadableBase(String, String)
    /// The caller wanted it to end; it can go on later.
    case stopped
}

extension RebuildError: CustomStringConvertible {
    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .unknownProjection(let name, let known):
            "there is no projection \(name); there are \(known.joined(separator: ", "))"
        case .busy(let name): "another process rebuilds \(name); wait for it, or end it"
        case .obstacle(let what): what
        case .readersInTheWay(let seconds, let who):
            "readers kept the table for \(seconds) s (\(who)); the new one is kept: end them and "
                + "run the command again, it goes on from here"
        case .nothingToUndo(let name):
            "there are no old tables of \(name): either it was not rebuilt, or they were dropped"
        case .oldDefinition(let name):
            "the old tables of \(name) are not what the dictionary says now; put the definition "
                + "back first, or `daybook rebuild \(name)`"
        case .refused(let projection, let reason):
            "\(projection) cannot be rebuilt: \(reason); the live table is as it was"
        case .contradiction(let what): what
        case .unreadableBase(let table, let reason):
            "the backup's rows of \(table) cannot be restored: \(reason); the live table is as it "
                + "was"
        case .stopped: "the rebuild was stopped; run it again and it goes on from there"
        }
    }
}
