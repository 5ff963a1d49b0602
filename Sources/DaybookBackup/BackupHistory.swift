import DaybookLog
import Glibc
import Synchronization

/// What a journal's entries say.
public struct BackupHistory: Sendable, Equatable {
    /// The entries, oldest first.
    public let entries: [BackupJournal.Entry]

    /// The history of these entries, oldest first.
    public init(_ entries: [BackupJournal.Entry]) {
        self.entries = entries
    }

    /// The backups that were proven and not found wanting since.
    public var provenBackups: Set<String> {
        var proven: Set<String> = []
        for entry in entries where entry.kind != .made {
            if entry.isSound { proven.insert(entry.backup) } else { proven.remove(entry.backup) }
        }
        return proven
    }

    /// The proven backup that was made last.
    var newestProven: String? {
        let proven = provenBackups
        return entries.last { $0.kind == .made && proven.contains($0.backup) }?.backup
    }

    /// When the last backup of all tables was made, and when the last one was proven by a
    /// verification against the log or by a drill: of these, when the *backup* was made.
    public var ages: (made: Microseconds?, proven: Microseconds?) {
        let proven = provenBackups
        let made = entries.filter { $0.kind == .made && $0.isSound && $0.tables == nil }
        return (made.last?.at, made.last { proven.contains($0.backup) }?.at)
    }

    /// The last backup of all tables that was made at a place.
    public func lastMade(at target: String) -> BackupJournal.Entry? {
        entries.last {
            $0.kind == .made && $0.isSound && $0.tables == nil && $0.target == target
        }
    }

    /// The last drill.
    public var lastDrill: BackupJournal.Entry? { entries.last { $0.kind == .drilled } }
}

/// A journal that other processes write too: it is read again when its file has changed.
public final class WatchedBackupJournal: Sendable {
    /// What tells one state of a file from another: it is replaced as a whole.
    private struct Stamp: Equatable {
        var inode: UInt64 = 0
        var size: Int64 = 0
        var seconds = 0
        var nanoseconds = 0
    }

    /// The journal itself.
    public let journal: BackupJournal
    private let known: Mutex<(stamp: Stamp?, history: BackupHistory)>

    /// Watches a journal; nothing is read yet.
    public init(_ journal: BackupJournal) {
        self.journal = journal
        known = Mutex((nil, BackupHistory([])))
    }

    /// What follows from all that is known now. (`stat`)
    public var history: BackupHistory {
        var facts = stat()
        var stamp = Stamp()
        if stat(journal.path, &facts) == 0 {
            stamp = Stamp(
                inode: UInt64(facts.st_ino), size: Int64(facts.st_size),
                seconds: facts.st_mtim.tv_sec, nanoseconds: facts.st_mtim.tv_nsec)
        }
        return known.withLock { known in
            if known.stamp != stamp { known = (stamp, journal.history) }
            return known.history
        }
    }
}
