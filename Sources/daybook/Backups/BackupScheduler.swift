import DaybookBackup
import DaybookLog
import DaybookServer
import Foundation
import Logging

/// Makes and tries out backups when they are due. Runs on a thread of its own.
struct BackupScheduler {
    /// How often something failed since it went well.
    private struct Failures {
        var count = 0
        var at: Microseconds = 0

        mutating func note(_ hasFailed: Bool, at time: Microseconds) {
            count = hasFailed ? count + 1 : 0
            at = time
        }
    }

    private let backups: ServerBackups
    private let plan: BackupPlan
    private var backupFailures = Failures()
    private var drillFailures = Failures()
    /// When a backup was due and would have said nothing new.
    private var skippedAt: Microseconds?
    /// Whether it was said that Postgres is waited for.
    private var isWaitingSaid = false

    /// The longest sleep, in seconds: the wall clock may be set meanwhile.
    private static let sleepSecondsMax = 60.0
    /// How long whatever is in the way is left alone, in seconds.
    private static let retrySeconds = 0.5

    init(_ backups: ServerBackups, plan: BackupPlan) {
        self.backups = backups
        self.plan = plan
    }

    /// Works until the server is to stop; at once done if nothing is planned.
    mutating func run() {
        guard plan.schedule != nil || plan.drills != nil else { return }
        while !backups.work.isStopping {
            let now = SystemClock.wall()
            let backup = backupDue(now)
            let drill = drillDue(now)
            let due = min(backup ?? .max, drill ?? .max)
            guard due <= now else {
                let seconds = Double(due - now) / 1_000_000
                backups.pause(seconds: min(seconds, BackupScheduler.sleepSecondsMax))
                continue
            }
            guard backups.work.isPostgresThere else {
                sayWaiting()
                backups.pause(seconds: BackupScheduler.retrySeconds)
                continue
            }
            isWaitingSaid = false
            let isDone = backup.map { $0 <= now } ?? false ? makeBackup(now) : drillBackup()
            if !isDone { backups.pause(seconds: BackupScheduler.retrySeconds) }
        }
    }

    private func backupDue(_ now: Microseconds) -> Microseconds? {
        plan.schedule.map { schedule in
            let last = [backups.lastMade?.at, skippedAt].compactMap { $0 }.max()
            return schedule.due(
                after: last, now: now, failureCount: backupFailures.count,
                failedAt: backupFailures.at)
        }
    }

    /// Before the first backup there is nothing to try out.
    private func drillDue(_ now: Microseconds) -> Microseconds? {
        guard let drills = plan.drills, plan.schedule == nil || backups.lastMade != nil else {
            return nil
        }
        return drills.due(
            after: backups.work.journal.history.lastDrill?.at, now: now,
            failureCount: drillFailures.count, failedAt: drillFailures.at)
    }

    /// Whether it was done, or found needless; false if something else runs.
    private mutating func makeBackup(_ now: Microseconds) -> Bool {
        let position = backups.work.log.durable.position
        if BackupSchedule.isNeedless(at: position, now: now, last: backups.lastMade) {
            backups.logger.debug(
                "no backup: nothing was appended since the last",
                metadata: ["position": "\(position)"])
            skippedAt = now
            return true
        }
        switch backups.makeScheduled() {
        case nil: return false
        case .success: backupFailures.note(false, at: SystemClock.wall())
        // Another program's backup is no failure of ours, but not soon over either.
        case .failure: backupFailures.note(true, at: SystemClock.wall())
        }
        return true
    }

    private mutating func drillBackup() -> Bool {
        switch backups.drillScheduled() {
        case nil: return false
        case .success: drillFailures.note(false, at: SystemClock.wall())
        case .failure: drillFailures.note(true, at: SystemClock.wall())
        }
        return true
    }

    private mutating func sayWaiting() {
        guard !isWaitingSaid else { return }
        isWaitingSaid = true
        backups.logger.info("a backup is due and waits for Postgres")
    }
}
