import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookSegments

/// The verdict of `daybook torture`, as a table: what was measured, and what is said of it. A real
/// disk cannot be made to lie on command; measurements can.
@Suite("Verdict on a disk") struct DiskVerdictTests {
    /// A disk of which nothing bad can be said.
    private static var sound: DiskTrial {
        var trial = DiskTrial(fileSystem: FileSystemFacts(type: "ext4"))
        let latencies = Latencies((0..<100).map { 0.000_2 + Double($0) * 0.000_001 })
        trial.appends = [4096: latencies, 65536: latencies]
        trial.synchronousWrites = latencies
        trial.renames = true
        trial.readBack = .same(fromDevice: true)
        trial.locksExclude = true
        trial.engine = latencies
        trial.kills.roundCount = 10
        trial.kills.acknowledgedCount = 1000
        return trial
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let verdict: DiskVerdict
        let change: @Sendable (inout DiskTrial) -> Void

        init(
            _ name: String, _ verdict: DiskVerdict,
            _ change: @escaping @Sendable (inout DiskTrial) -> Void
        ) {
            testDescription = name
            self.verdict = verdict
            self.change = change
        }
    }

    static let cases = [
        Case("a sound disk", .fit) { _ in },
        Case("a block lost by a kill", .loses) { $0.kills.losses = ["it is gone"] },
        Case("other bytes than were written", .loses) { $0.readBack = .different(offset: 7) },
        Case("a lost block in memory", .loses) {
            $0.kills.losses = ["it is gone"]
            $0.fileSystem.isMemory = true
        },
        Case("EIO", .refuses) { $0.refusals = ["fdatasync: Input/output error"] },
        Case("a rename that was not one", .refuses) { $0.renames = false },
        Case("a full disk that takes writes", .refuses) { $0.full = .refusedSync },
        Case("a full disk that refuses writes", .fit) { $0.full = .refusedWrite },
        Case("a lock for two", .unlocked) { $0.locksExclude = false },
        Case("tmpfs", .memory) { $0.fileSystem = FileSystemFacts(type: "tmpfs", isMemory: true) },
        Case("syncs of 3 µs", .dishonest) {
            $0.appends[4096] = Latencies([Double](repeating: 0.000_003, count: 100))
        },
        Case("syncs of 3 µs by some", .fit) {
            let some = (0..<100).map { $0 < 40 ? 0.000_003 : 0.000_2 }
            $0.appends[4096] = Latencies(some)
        },
        Case("syncs of 25 µs", .fit) {
            $0.appends[4096] = Latencies([Double](repeating: 0.000_025, count: 100))
        },
        Case("nobarrier", .dishonest) { $0.fileSystem.options = ["rw", "nobarrier"] },
        Case("barrier=0", .dishonest) { $0.fileSystem.options = ["rw", "barrier=0"] },
        Case("an overlay mounted volatile", .dishonest) {
            $0.fileSystem.options = ["rw", "volatile"]
        },
        Case("no kills", .unknown) { $0.kills.roundCount = 0 },
        Case("few syncs", .unknown) { $0.appends[65536] = Latencies([0.2, 0.3]) },
        Case("few syncs, too fast", .unknown) { $0.appends[65536] = Latencies([0.000_001]) },
        Case("nothing measured", .unknown) { $0 = DiskTrial(fileSystem: $0.fileSystem) },
        Case("a slow disk", .fit) {
            $0.appends[4096] = Latencies([Double](repeating: 0.5, count: 100))
        },
    ]

    @Test("Each measurement has its verdict", arguments: cases)
    func verdict(of row: Case) {
        var trial = DiskVerdictTests.sound
        row.change(&trial)
        #expect(DiskVerdict(trial) == row.verdict)
        #expect(!DiskVerdict(trial).sentence(trial).isEmpty)
    }

    @Test("Every verdict is given in some case")
    func all() {
        #expect(Set(DiskVerdictTests.cases.map(\.verdict)) == Set(DiskVerdict.allCases))
    }

    @Test("What is worth knowing beside the verdict is said")
    func notes() {
        var trial = DiskVerdictTests.sound
        #expect(DiskVerdict.notes(trial).isEmpty)
        trial.fileSystem.type = "nfs4"
        trial.fileSystem.deviceCache = "write back"
        trial.fileSystem.freeByteCount = 1 << 20
        trial.readBack = .same(fromDevice: false)
        trial.appends[4096] = Latencies([Double](repeating: 0.3, count: 100))
        let notes = DiskVerdict.notes(trial)
        #expect(notes.count == 6)
        for word in ["nfs4", "volatile", "507", "O_DSYNC", "page cache", "300 ms"] {
            #expect(notes.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test("Quantiles are of the sorted values")
    func quantiles() {
        let latencies = Latencies([5, 1, 4, 2, 3])
        #expect(latencies.quantile(0) == 1 && latencies.quantile(0.5) == 3)
        #expect(latencies.quantile(1) == 5 && latencies.longest == 5 && latencies.sum == 15)
        #expect(Latencies().quantile(0.5) == 0)
    }

    @Test("The mount that holds a path is the last of the longest")
    func mounts() {
        let lines = """
            22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
            30 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw,size=3276800k
            31 22 8:2 / /var/my\\040data rw - xfs /dev/sdb1 rw,nobarrier
            32 30 0:27 / /run/user rw - tmpfs tmpfs rw
            33 22 8:3 / /run rw - ext4 /dev/sdc1 rw
            """
        #expect(Mount.holding("/runs", in: lines)?.type == "ext4")
        #expect(Mount.holding("/run/x", in: lines)?.source == "/dev/sdc1")
        #expect(Mount.holding("/run/user/1", in: lines)?.type == "tmpfs")
        #expect(
            Mount.holding("/var/my data/log", in: lines)?.options == ["rw", "nobarrier"])
        #expect(Mount.holding("/", in: lines)?.options.contains("errors=remount-ro") == true)
    }
}

/// The log that a trial's writers are killed on: what its check finds.
@Suite("Log of a disk's trial") struct TrialLogTests {
    private func written(_ folder: TemporaryFolder) throws -> [TrialLog.Acknowledgement] {
        let log = try TrialLog.open(folder: folder.path("data"))
        let acknowledged = try (0..<40).map { round in
            try TrialLog.append(to: log, byteCount: 1 + round * 900)
        }
        try log.close()
        return acknowledged
    }

    @Test("What was acknowledged is found again, and goes through a pipe")
    func sound() throws {
        let folder = try TemporaryFolder()
        let acknowledged = try written(folder)
        #expect(acknowledged.map { TrialLog.Acknowledgement($0.bytes[...]) } == acknowledged)
        let found = try TrialLog.check(folder: folder.path("data"), from: 0, acknowledged)
        #expect(found.losses.isEmpty && !found.isTorn)
    }

    @Test("What is gone, and what has another root, is named")
    func lost() throws {
        let folder = try TemporaryFolder()
        var acknowledged = try written(folder)
        let other = try TemporaryFolder()
        let longer = try written(other)
        acknowledged[3] = TrialLog.Acknowledgement(
            TreeHead(
                ledger: LedgerID(high: 0, low: 0), size: 1, position: 4, root: longer[5].root))
        acknowledged.append(
            TrialLog.Acknowledgement(
                TreeHead(
                    ledger: LedgerID(high: 0, low: 0), size: 41, position: 41,
                    root: longer[5].root)))
        let found = try TrialLog.check(folder: folder.path("data"), from: 0, acknowledged)
        #expect(found.losses.count == 2)
        #expect(found.losses.contains { $0.contains("the log ends at 40") })
        #expect(found.losses.contains { $0.contains("position 4 has another root") })
    }

    @Test("A log that is corrupt is a loss, and no error")
    func corrupt() throws {
        let folder = try TemporaryFolder()
        let acknowledged = try written(folder)
        let path = folder.path("data/log/\(Sample.firstSegment)")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let found = try TrialLog.check(folder: folder.path("data"), from: 0, acknowledged)
        #expect(found.losses.first?.contains("corrupt") == true)
    }
}

/// What a probe of a disk sees where all is well.
@Suite("Probe of a disk") struct DiskProbeTests {
    @Test("On this machine's disk bytes come back, renames rename and appends take time")
    func probe() throws {
        let folder = try TemporaryFolder()
        let probe = DiskProbe(folder: folder.path)
        let latencies = try probe.appends(of: 4096) { $0 < 30 }
        #expect(latencies.count == 30 && latencies.sum > 0)
        #expect(latencies.histogram.count == 30)
        #expect(try probe.synchronousWrites { $0 < 10 }.count == 10)
        #expect(try probe.renames())
        let readBack = try probe.readBack()
        #expect(readBack == .same(fromDevice: true) || readBack == .same(fromDevice: false))
        #expect(
            try probe.fill(freeByteCount: 2, byteCountMax: 1, goesOn: { true }) == .tooLarge)
    }

    @Test("The system's facts of a folder are those of its mount")
    func facts() throws {
        let folder = try TemporaryFolder()
        let facts = try FileSystemFacts(folder: folder.path)
        #expect(!facts.type.isEmpty && facts.freeByteCount > 0 && !facts.options.isEmpty)
        #expect(try FileSystemFacts(folder: "/dev/shm").isMemory)
        #expect(throws: LogError.self) { try FileSystemFacts(folder: folder.path("nothing")) }
    }
}
