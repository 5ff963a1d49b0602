import ArgumentParser
import DaybookBackup

/// How a server makes backups by itself.
struct BackupPlan: Sendable {
    /// Where they go.
    let target: String
    /// Whether the log is copied too.
    let includesLog: Bool
    /// When they are made; nil only when somebody asks.
    let schedule: BackupSchedule?
    /// Which are kept; nil keeps all.
    let retention: BackupRetention?
    /// When the newest is tried out; nil never.
    let drills: BackupSchedule?
}

/// The options of `daybook serve` about backups.
struct BackupOptions: ParsableArguments {
    @Option(help: "Make a backup so often: 30s, 15m, 1h, 7d. Environment: DAYBOOK_BACKUP_EVERY.")
    var backupEvery: String?

    @Option(
        help: """
            Keep so many of the newest backups. Environment: DAYBOOK_BACKUP_KEEP. Default: 1 if \
            days or weeks are kept, else all.
            """)
    var backupKeep: String?

    @Option(
        help: """
            Keep the newest backup of each of so many days too. Environment: \
            DAYBOOK_BACKUP_KEEP_DAILY.
            """)
    var backupKeepDaily: String?

    @Option(
        help: """
            Keep the newest backup of each of so many weeks too. Environment: \
            DAYBOOK_BACKUP_KEEP_WEEKLY.
            """)
    var backupKeepWeekly: String?

    @Option(
        help: """
            A folder, or s3://bucket/prefix. Environment: DAYBOOK_BACKUPS. Default: `backups` of \
            the ledger's folder.
            """)
    var backupTo: String?

    @Flag(
        help: "Copy the log into every backup too. Environment: DAYBOOK_BACKUP_WITH_LOG=true.")
    var backupWithLog = false

    @Option(
        help: """
            Try the newest backup out so often, as `daybook backup drill` does. Environment: \
            DAYBOOK_DRILL_EVERY.
            """)
    var drillEvery: String?

    /// What flags and environment come to.
    ///
    /// - Throws: `ValidationError` that says what would be right.
    func plan(_ settings: Settings) throws -> BackupPlan {
        let everyFlag = "--backup-every"
        let schedule = try BackupOptions.schedule(backupEvery, "BACKUP_EVERY", everyFlag)
        let drills = try BackupOptions.schedule(drillEvery, "DRILL_EVERY", "--drill-every")
        let plan = BackupPlan(
            target: BackupPlace.target(backupTo, settings),
            includesLog: try backupWithLog || BackupOptions.isSet("BACKUP_WITH_LOG"),
            schedule: schedule, retention: try retention(), drills: drills)
        // What cannot be a place is said at the start, not in the night.
        if schedule != nil || drills != nil || backupTo != nil {
            _ = try BackupPlace.storage(plan.target)
        }
        return plan
    }

    private func retention() throws -> BackupRetention? {
        let newest = try BackupOptions.count(backupKeep, "BACKUP_KEEP", "--backup-keep", from: 1)
        let days = try BackupOptions.count(
            backupKeepDaily, "BACKUP_KEEP_DAILY", "--backup-keep-daily", from: 0)
        let weeks = try BackupOptions.count(
            backupKeepWeekly, "BACKUP_KEEP_WEEKLY", "--backup-keep-weekly", from: 0)
        guard newest != nil || days != nil || weeks != nil else { return nil }
        return BackupRetention(
            newestCount: newest ?? 1, dayCount: days ?? 0, weekCount: weeks ?? 0)
    }

    private static func schedule(
        _ given: String?, _ variable: String, _ flag: String
    ) throws -> BackupSchedule? {
        guard let text = given ?? Settings.environment(variable) else { return nil }
        guard let interval = Interval(text) else {
            throw ValidationError(
                "\(flag) (DAYBOOK_\(variable)) is \(Interval.form), not \(text).")
        }
        return BackupSchedule(everySeconds: interval.seconds)
    }

    private static func count(
        _ given: String?, _ variable: String, _ flag: String, from least: Int
    ) throws -> Int? {
        guard let text = given ?? Settings.environment(variable) else { return nil }
        guard let count = Int(text), (least...1_000_000).contains(count) else {
            throw ValidationError(
                "\(flag) (DAYBOOK_\(variable)) is a number, at least \(least), not \(text).")
        }
        return count
    }

    private static func isSet(_ variable: String) throws -> Bool {
        switch Settings.environment(variable) {
        case nil, "false": return false
        case "true": return true
        case let text?:
            throw ValidationError("DAYBOOK_\(variable) is true or false, not \(text).")
        }
    }
}
