/// Whether a disk is fit for a ledger, as far as a program can find out without cutting the power.
///
/// The first of these that holds is the verdict: the order is that of what is worst.
public enum DiskVerdict: String, Sendable, CaseIterable {
    /// What was acknowledged was gone or changed after a kill, or did not come back as written.
    case loses
    /// The system refused a call that the engine needs.
    case refuses
    /// Two processes could hold the lock of one folder.
    case unlocked
    /// The file system is in memory: a restart of the machine empties it.
    case memory
    /// Syncs return sooner than a device can have written, or the mount says that they mean less.
    case dishonest
    /// Too little was measured to say anything.
    case unknown
    /// Nothing speaks against it.
    case fit

    /// The fewest syncs of a size that say something.
    static let sampleCountMin = 20
    /// Below this no write reached a device: the fastest with power-loss protection take about
    /// 10 µs by themselves, and a file system's own work comes on top.
    static let honestSecondsMin = 0.000_02
    /// Mount options by which a file system does not pass syncs on.
    static let dishonestOptions: Set<String> = [
        "nobarrier", "barrier=0", "barrier=none", "volatile", "fsync_mode=nobarrier",
        "sync=disabled",
    ]

    /// The verdict on what was measured.
    public init(_ trial: DiskTrial) {
        if !trial.kills.losses.isEmpty || DiskVerdict.isDifferent(trial.readBack) {
            self = .loses
        } else if !trial.refusals.isEmpty || trial.renames == false || trial.full == .refusedSync {
            self = .refuses
        } else if trial.locksExclude == false {
            self = .unlocked
        } else if trial.fileSystem.isMemory {
            self = .memory
        } else if !DiskVerdict.dishonestOptions.isDisjoint(with: trial.fileSystem.options)
            || DiskVerdict.isTooFast(trial)
        {
            self = .dishonest
        } else if trial.kills.roundCount == 0
            || trial.appends.values.contains(where: { $0.count < DiskVerdict.sampleCountMin })
            || trial.appends.isEmpty || trial.renames == nil || trial.readBack == nil
            || trial.locksExclude == nil
        {
            self = .unknown
        } else {
            self = .fit
        }
    }

    private static func isDifferent(_ readBack: DiskTrial.ReadBack?) -> Bool {
        if case .different = readBack { return true }
        return false
    }

    /// Whether the syncs of any size are too fast in the middle: single ones may be.
    private static func isTooFast(_ trial: DiskTrial) -> Bool {
        trial.appends.values.contains { latencies in
            latencies.count >= sampleCountMin && latencies.quantile(0.5) < honestSecondsMin
        }
    }

    /// The verdict in plain words, and what to do next.
    public func sentence(_ trial: DiskTrial) -> String {
        switch self {
        case .loses:
            "NOT FIT: it lost or changed acknowledged data ("
                + (trial.kills.losses.first ?? "what was appended did not come back")
                + "). Keep no ledger here; look at the kernel's log and try another disk."
        case .refuses:
            "NOT FIT: the system refused what the log needs ("
                + (trial.refusals.first ?? "a rename, or a write to a full disk, went wrong")
                + "). Keep the ledger on another file system."
        case .unlocked:
            "NOT FIT: a second process got a lock that the first one held. Two servers could "
                + "write one ledger; use a local file system."
        case .memory:
            "NOT FIT: \(trial.fileSystem.mountPoint) (\(trial.fileSystem.type)) is in memory. "
                + "All of it is gone when the machine or container restarts; say --data on a disk."
        case .dishonest: dishonesty(trial)
        case .unknown:
            "CANNOT SAY: too little was measured. Try again with a larger --seconds."
        case .fit:
            "FIT: syncs take the time of a device, and every acknowledged block was there after "
                + "\(trial.kills.roundCount) kills."
        }
    }

    private func dishonesty(_ trial: DiskTrial) -> String {
        let options = DiskVerdict.dishonestOptions.intersection(trial.fileSystem.options).sorted()
        guard options.isEmpty else {
            return "NOT HONEST: it is mounted with \(options.joined(separator: ", ")), so a sync "
                + "does not reach the device. Mount it without."
        }
        let median = trial.appends.values.map { $0.quantile(0.5) }.min() ?? 0
        return "NOT HONEST: a sync takes \(Int(median * 1_000_000)) µs, less than any device "
            + "needs. Something between here and the disk (a hypervisor's cache=unsafe, "
            + "libeatmydata) throws syncs away; find it, or use another disk."
    }

    /// What is worth knowing beside the verdict.
    public static func notes(_ trial: DiskTrial) -> [String] {
        var notes: [String] = []
        let facts = trial.fileSystem
        if FileSystemFacts.networkTypes.contains(facts.type) {
            notes.append(
                "\(facts.type) is another machine's disk: what its server does with a sync was "
                    + "not seen. Ask for `sync` in its exports, and try this on the server.")
        }
        if facts.deviceCache == "write back" {
            notes.append(
                "The device has a volatile write cache, which every sync has to flush. Whether it "
                    + "does is seen only when the power is cut.")
        }
        if facts.freeByteCount < 1 << 30 {
            notes.append("Less than 1 GiB is free: the log grows, and answers 507 without space.")
        }
        if let append = trial.appends[4096], trial.synchronousWrites.count >= sampleCountMin {
            let ratio = append.quantile(0.5) / max(trial.synchronousWrites.quantile(0.5), 1e-9)
            if ratio > 30 || ratio < 1.0 / 30 {
                notes.append(
                    "O_DSYNC and fdatasync differ by a factor of \(Int(max(ratio, 1 / ratio))): "
                        + "one of them may not reach the device.")
            }
        }
        if trial.readBack == .same(fromDevice: false) {
            notes.append(
                "The bytes could only be read through the page cache: the device's own copy was "
                    + "not seen.")
        }
        if let slow = trial.appends[4096]?.quantile(0.99), slow > 0.1 {
            notes.append("One sync in a hundred takes over \(Int(slow * 1000)) ms.")
        }
        return notes
    }

    /// What this trial cannot show, and what does.
    public static let limits =
        "A drive that loses its cache when the power goes, although it said that it had written, "
        + "is found only by cutting the power: diskchecker.pl does that with a second machine."
}
