import DaybookLog
import Foundation
import Glibc

/// What was done about backups, newest last: which were made, which were proven, and how. A file in
/// the ledger's folder; losing it costs no more than the memory of it.
public struct BackupJournal: Sendable {
    /// One thing that was done.
    public struct Entry: Codable, Sendable, Equatable {
        /// What was done.
        public enum Kind: String, Codable, Sendable {
            /// A backup was made.
            case made
            /// One was held against its manifest and the log.
            case verified
            /// One was restored with the log's tail and compared with the live tables.
            case drilled
        }

        /// What was done.
        public let kind: Kind
        /// Where the backup is kept.
        public let target: String
        /// Its name.
        public let backup: String
        /// Its position.
        public let position: Position
        /// When, in microseconds from 1970 UTC.
        public let at: Microseconds
        /// Whether it went well.
        public let isSound: Bool
        /// What was wrong; nil if nothing was.
        public let what: String?
        /// The tables, if a backup was made of some only.
        public let tables: [String]?

        /// Something that was done.
        public init(
            _ kind: Kind, target: String, backup: String, position: Position, at: Microseconds,
            isSound: Bool, what: String? = nil, tables: [String]? = nil
        ) {
            self.kind = kind
            self.target = target
            self.backup = backup
            self.position = position
            self.at = at
            self.isSound = isSound
            self.what = what
            self.tables = tables
        }

        private enum CodingKeys: String, CodingKey {
            case kind, target, backup, position, at, what, tables
            case isSound = "ok"
        }
    }

    private struct Content: Codable {
        var entries: [Entry]
    }

    let path: String
    /// So many entries are kept.
    private static let entryCountMax = 500

    /// The journal in the file at `path`, which need not exist.
    public init(path: String) {
        self.path = path
    }

    /// All that is known, oldest first; a file that cannot be read is none.
    public var entries: [Entry] {
        guard let data = FileManager.default.contents(atPath: path),
            let content = try? JSONDecoder().decode(Content.self, from: data)
        else { return [] }
        return content.entries
    }

    /// What follows from all that is known.
    public var history: BackupHistory { BackupHistory(entries) }

    /// The backups that were proven and not found wanting since.
    public var provenBackups: Set<String> { history.provenBackups }

    /// Adds an entry. Several processes wait for each other; the file is replaced as a whole.
    public func add(_ entry: Entry) throws(BackupError) {
        let lock = path + ".lock"
        let descriptor = open(lock, O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("open", lock) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX) == 0 else { throw failure("flock", lock) }
        let content = Content(entries: BackupJournal.trimmed(entries + [entry]))
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(content) else {
            preconditionFailure("numbers and strings are written as JSON")
        }
        let new = path + ".new"
        let file = open(new, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("open", new) }
        let count = data.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        let isWritten = count == data.count && fsync(file) == 0
        let fault = failure("write", new)
        close(file)
        guard isWritten else { throw fault }
        guard rename(new, path) == 0 else { throw failure("rename", path) }
    }

    /// The newest entries, and what tells of the newest proven backup: it is the one that must not
    /// be forgotten, however long ago that was.
    private static func trimmed(_ entries: [Entry]) -> [Entry] {
        let surplus = entries.count - entryCountMax
        guard surplus > 0 else { return entries }
        let proven = BackupHistory(entries).newestProven
        return entries.prefix(surplus).filter { $0.backup == proven } + entries.dropFirst(surplus)
    }

    private func failure(_ call: String, _ path: String) -> BackupError {
        .storage(.system(call: call, path: path, code: errno))
    }
}
