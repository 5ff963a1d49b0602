import DaybookLog
import DaybookSegments
import Foundation

/// One trial of a disk, from the first measurement to the last kill, within its time.
struct TortureRun {
    private let folder: String
    private let seconds: Double
    private let fillByteCountMax: UInt64?
    private let interruption: Interruption
    private let start = ContinuousClock.now
    private var trial: DiskTrial

    /// What part of the time each work may take; the kills get what is left.
    private static let shares = (append: 0.15, synchronous: 0.05, engine: 0.15)
    /// Kills come so soon after a writer's first block, in seconds.
    private static let killDelays = 0.0...0.25

    init(
        folder: String, seconds: Double, fillByteCountMax: UInt64?, interruption: Interruption
    ) throws {
        self.folder = folder
        self.seconds = seconds
        self.fillByteCountMax = fillByteCountMax
        self.interruption = interruption
        trial = DiskTrial(fileSystem: try FileSystemFacts(folder: folder))
    }

    /// Runs all of it. A call that the system refuses is a finding and ends that work alone.
    mutating func run() throws -> DiskTrial {
        for byteCount in [4 << 10, 64 << 10] {
            try note("append \(byteCount >> 10) KiB and fdatasync") { run in
                let probe = DiskProbe(folder: run.folder)
                run.trial.appends[byteCount] = try probe.appends(
                    of: byteCount, goesOn: run.limit(TortureRun.shares.append))
            }
        }
        try note("append 4 KiB with O_DSYNC") { run in
            run.trial.synchronousWrites = try DiskProbe(folder: run.folder).synchronousWrites(
                goesOn: run.limit(TortureRun.shares.synchronous))
        }
        try note("rename a file and sync its folder") { run in
            run.trial.renames = try DiskProbe(folder: run.folder).renames()
        }
        try note("read back what was appended") { run in
            run.trial.readBack = try DiskProbe(folder: run.folder).readBack()
        }
        try note("lock a folder") { run in
            run.trial.locksExclude = try run.locksExclude()
        }
        if let limit = fillByteCountMax {
            try note("fill the file system") { run in
                let interruption = run.interruption
                run.trial.full = try DiskProbe(folder: run.folder).fill(
                    freeByteCount: run.trial.fileSystem.freeByteCount, byteCountMax: limit,
                    goesOn: {
                        try interruption.check()
                        return true
                    })
            }
        }
        try note("append to a log") { run in try run.measureEngine() }
        try note("kill writers") { run in try run.killWriters() }
        Console.endProgress()
        return trial
    }

    private mutating func note(
        _ work: String, _ body: (inout TortureRun) throws -> Void
    ) throws {
        try interruption.check()
        Console.progress("torture: \(work)")
        do {
            try body(&self)
        } catch let error as LogError {
            trial.refusals.append("\(work): \(CommandFailure(error)?.message ?? "\(error)")")
        }
    }

    /// Goes on for a share of the time, and until there are enough samples to say something.
    private func limit(_ share: Double) -> (Int) throws -> Bool {
        let end = ContinuousClock.now + .seconds(seconds * share)
        let interruption = interruption
        return { count in
            try interruption.check()
            return count < 100_000 && ContinuousClock.now < end
        }
    }

    /// Whether another process is kept out of a folder that this one has locked.
    private func locksExclude() throws -> Bool {
        let lock = try DirectoryLock(folder: "\(folder)/locked")
        defer { withExtendedLifetime(lock) {} }
        // Another process, for over a network locks may belong to processes and not to files.
        let other = try OwnProcess.start(["torture", "--lock", "\(folder)/locked"])
        return OwnProcess.wait(for: other) != 0
    }

    private mutating func measureEngine() throws {
        let path = "\(folder)/engine"
        let log = try TrialLog.open(folder: path)
        let goesOn = limit(TortureRun.shares.engine)
        while try goesOn(trial.engine.count) {
            let start = ContinuousClock.now
            _ = try TrialLog.append(to: log, byteCount: 64 << 10)
            trial.engine.add(ContinuousClock.now - start)
        }
        try log.close()
        try? FileManager.default.removeItem(atPath: path)
    }

    private mutating func killWriters() throws {
        let path = "\(folder)/killed"
        var position: Position = 0
        repeat {
            try interruption.check()
            Console.progress("torture: kill writers, round \(trial.kills.roundCount + 1)")
            let writer = try KilledWriter(log: path)
            let delay = Double.random(in: TortureRun.killDelays)
            let acknowledged = try writer.kill(afterSeconds: delay, timeoutSeconds: 30)
            let found = try TrialLog.check(folder: path, from: position, acknowledged)
            trial.kills.roundCount += 1
            trial.kills.acknowledgedCount += acknowledged.count
            trial.kills.tornCount += found.isTorn ? 1 : 0
            trial.kills.losses += found.losses
            position = acknowledged.last?.position ?? position
            // A log of many rounds only takes space.
            if position > 20_000 {
                try FileManager.default.removeItem(atPath: path)
                position = 0
            }
        } while (ContinuousClock.now - start) / .seconds(1) < seconds
            && trial.kills.losses.isEmpty
    }
}
