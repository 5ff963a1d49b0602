import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookBackup

@Suite("When backups are due") struct BackupScheduleTests {
    private static let second: Int64 = 1_000_000
    private static let now: Int64 = 1_800_000_000 * second

    @Test("At once if there is none or the clock was set back, else an interval after the last")
    func due() {
        let hourly = BackupSchedule(everySeconds: 3600)
        let now = Self.now
        #expect(hourly.due(after: nil, now: now) == .min)
        #expect(hourly.due(after: now, now: now) == now + 3600 * Self.second)
        #expect(hourly.due(after: now - 1, now: now) == now - 1 + 3600 * Self.second)
        #expect(hourly.due(after: now + 1, now: now) == .min)
    }

    @Test(
        "After failures less and less often, never less often than the schedule",
        arguments: [
            (3600, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]),
            (86_400, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]),
            (30, [5, 10, 20, 30, 30]), (1, [1, 1, 1]),
        ] as [(Int64, [Int64])])
    func backoff(everySeconds: Int64, expected: [Int64]) {
        let schedule = BackupSchedule(everySeconds: everySeconds)
        for (index, seconds) in expected.enumerated() {
            let due = schedule.due(
                after: Self.now - 1, now: Self.now, failureCount: index + 1, failedAt: Self.now)
            #expect(due == Self.now + seconds * Self.second)
        }
        let late = schedule.due(
            after: nil, now: Self.now, failureCount: .max, failedAt: Self.now)
        #expect(late == Self.now + min(everySeconds, 3600) * Self.second)
    }

    @Test("What would say nothing new is needless for a day")
    func needless() {
        let now = Self.now
        func isNeedless(_ position: Position, _ last: (Position, Microseconds)?) -> Bool {
            BackupSchedule.isNeedless(at: position, now: now, last: last)
        }
        #expect(!isNeedless(7, nil))
        #expect(isNeedless(7, (7, now)))
        #expect(isNeedless(7, (7, now - 86_400 * Self.second)))
        #expect(!isNeedless(7, (7, now - 86_400 * Self.second - 1)))
        #expect(!isNeedless(8, (7, now)))
        #expect(!isNeedless(7, (7, now + 1)), "the clock was set back")
    }

    @Test(
        "Intervals as people type them",
        arguments: [
            ("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604_800), ("3650d", 315_360_000),
            ("0s", nil), ("1", nil), ("s", nil), ("", nil), ("1.5h", nil), ("-1h", nil),
            ("+1h", nil), ("1w", nil), ("1 h", nil), ("1H", nil), ("\u{0661}h", nil),
            ("3651d", nil),
            ("99999999999d", nil), ("9999999999999999999s", nil),
        ] as [(String, Int64?)])
    func intervals(text: String, seconds: Int64?) {
        #expect(Interval(text)?.seconds == seconds)
    }
}

@Suite("The journal of backups") struct BackupJournalTests {
    private func entry(
        _ kind: BackupJournal.Entry.Kind, _ backup: String, at time: Int64, isSound: Bool = true,
        target: String = "here", tables: [String]? = nil
    ) -> BackupJournal.Entry {
        .init(
            kind, target: target, backup: backup, position: 1, at: time, isSound: isSound,
            tables: tables)
    }

    @Test("Ages are those of whole backups, and of those that are still proven")
    func ages() {
        let history = BackupHistory([
            entry(.made, "a", at: 1), entry(.verified, "a", at: 2), entry(.made, "b", at: 3),
            entry(.drilled, "b", at: 4), entry(.verified, "b", at: 5, isSound: false),
            entry(.made, "c", at: 6, target: "there"),
            entry(.made, "d", at: 7, tables: ["jobs"]), entry(.verified, "d", at: 8),
        ])
        #expect(history.ages.made == 6 && history.ages.proven == 1)
        #expect(history.provenBackups == ["a", "d"])
        #expect(history.lastMade(at: "here")?.backup == "b")
        #expect(history.lastMade(at: "nowhere") == nil)
        #expect(history.lastDrill?.backup == "b")
    }

    @Test("A change by another process is seen; the newest proven backup is never forgotten")
    func watched() throws {
        let folder = try TemporaryFolder()
        let watched = WatchedBackupJournal(BackupJournal(path: folder.path("backups.json")))
        #expect(watched.history.entries.isEmpty)
        let other = BackupJournal(path: folder.path("backups.json"))
        try other.add(entry(.made, "proven", at: 1))
        try other.add(entry(.drilled, "proven", at: 2))
        #expect(watched.history.ages.proven == 1)
        for time in 3..<520 {
            try other.add(entry(.made, "\(time)", at: Int64(time)))
        }
        #expect(watched.history.ages.made == 519 && watched.history.ages.proven == 1)
        #expect(watched.history.provenBackups == ["proven"])
        #expect(watched.history.entries.count < 510)
        try FileManager.default.removeItem(atPath: folder.path("backups.json"))
        #expect(watched.history.entries.isEmpty)
    }

    @Test("What a killed writer left is taken away, what another writes is not")
    func remains() throws {
        let folder = try TemporaryFolder()
        let storage = FolderStorage(path: folder.path("backups"))
        #expect(try storage.clearRemains() == 0, "there is no folder yet")
        let writer = try storage.begin("backup-1-20261125T140300Z")
        try FileManager.default.createDirectory(
            atPath: folder.path("backups/backup-2-20261125T140300Z.tmp/log"),
            withIntermediateDirectories: true)
        try Data("x".utf8).write(
            to: URL(fileURLWithPath: folder.path("backups/backup-2-20261125T140300Z.tmp/log/x")))
        try FileManager.default.createDirectory(
            atPath: folder.path("backups/mine.tmp"), withIntermediateDirectories: true)
        #expect(try storage.clearRemains() == 1)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path("backups"))
        #expect(left.sorted() == ["backup-1-20261125T140300Z.tmp", "mine.tmp"])
        let file = try writer.create("manifest.json")
        try file.finish()
        try writer.commit()
        #expect(try storage.clearRemains() == 0)
        #expect(try storage.backups() == ["backup-1-20261125T140300Z"])
    }
}
