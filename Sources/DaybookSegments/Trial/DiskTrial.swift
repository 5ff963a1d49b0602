import DaybookLog

/// What was measured on a disk: the input of `DiskVerdict`, and nothing of how it was measured.
public struct DiskTrial: Sendable, Equatable {
    /// Where it was measured.
    public var fileSystem: FileSystemFacts
    /// Append and `fdatasync`, by the bytes appended each time.
    public var appends: [Int: Latencies] = [:]
    /// A write of 4 KiB to a file opened with `O_DSYNC`.
    public var synchronousWrites = Latencies()
    /// Whether a file that was renamed and its folder synced was found under its new name alone.
    public var renames: Bool?
    /// Whether what was appended came back.
    public var readBack: ReadBack?
    /// Whether the lock of a folder keeps another process out.
    public var locksExclude: Bool?
    /// What a full file system said; nil unless it was filled.
    public var full: FullDisk?
    /// How long the engine took to make blocks of 64 KiB durable.
    public var engine = Latencies()
    /// What became of blocks whose writers were killed.
    public var kills = KillRounds()
    /// Calls that the system refused while it was tried.
    public var refusals: [String] = []

    /// A trial in which nothing was tried yet.
    public init(fileSystem: FileSystemFacts) { self.fileSystem = fileSystem }

    /// Whether appended bytes came back, after the page cache was told to forget them.
    public enum ReadBack: Sendable, Equatable {
        /// They did; `fromDevice` says that the read went past the page cache.
        case same(fromDevice: Bool)
        /// They did not, from this byte on.
        case different(offset: Int)
    }

    /// What writing to a full file system led to.
    public enum FullDisk: Sendable, Equatable {
        /// The write was refused: as the engine expects it.
        case refusedWrite
        /// The write was taken and the sync refused: an append's fate is then unknown.
        case refusedSync
        /// There was more space than may be filled for a trial.
        case tooLarge
    }

    /// Rounds of `kill -9` on a process that appends to a log of the engine.
    public struct KillRounds: Sendable, Equatable {
        /// Rounds with at least one acknowledged block.
        public var roundCount = 0
        /// Blocks whose durability was acknowledged before the kill.
        public var acknowledgedCount = 0
        /// Torn tails that the reopening cut.
        public var tornCount = 0
        /// What was acknowledged and not found again, or found changed, in words.
        public var losses: [String] = []

        /// No round yet.
        public init() {}
    }
}

/// Durations of one kind of call.
public struct Latencies: Sendable, Equatable {
    /// In seconds, in the order measured.
    public private(set) var seconds: [Double] = []

    /// None yet.
    public init(_ seconds: [Double] = []) { self.seconds = seconds }

    /// Adds a duration.
    public mutating func add(_ duration: Duration) { seconds.append(duration / .seconds(1)) }

    /// How many there are.
    public var count: Int { seconds.count }
    /// The longest; 0 if there is none.
    public var longest: Double { seconds.max() ?? 0 }
    /// All together.
    public var sum: Double { seconds.reduce(0, +) }

    /// The least that `share` (0 to 1) of all do not exceed; 0 if there is none.
    public func quantile(_ share: Double) -> Double {
        precondition(share >= 0 && share <= 1, "a share is between none and all")
        if seconds.isEmpty { return 0 }
        let sorted = seconds.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    /// How many there are in each of the usual buckets.
    public var histogram: Histogram {
        var histogram = Histogram(bounds: Latencies.bounds)
        for value in seconds { histogram.add(value) }
        return histogram
    }

    /// From ten microseconds, which no device needs less than, to a second.
    private static let bounds = [
        0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02,
        0.05, 0.1, 0.2, 0.5, 1,
    ]
}
