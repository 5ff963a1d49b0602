import DaybookCatalog
import DaybookLog
import DaybookProjections

/// What a verification of a backup found.
public struct BackupVerification: Sendable {
    /// One table of the backup.
    public struct TableResult: Sendable {
        /// The table's name.
        public let table: String
        /// The columns of the rows that were compared, in order.
        public let columns: [String]
        /// The columns of the key, in key order.
        public let keyColumns: [String]
        /// What log and backup do not have in common: what is *expected* is the log's. Nil if they
        /// were not compared.
        public let differences: RowDifferences?
    }

    /// Something that is not as it must be.
    public struct Problem: Sendable, Equatable {
        /// The file that it is about.
        public let file: String
        /// What is wrong, in words.
        public let what: String
    }

    /// The backup's name.
    public let backup: String
    /// The state of the ledger that it says it is of.
    public let head: TreeHead
    /// The files that were looked at, in order of name.
    public internal(set) var files: [String] = []
    /// Files that are missing, differ from the manifest, or should not be there; a bad signature.
    public internal(set) var problems: [Problem] = []
    /// The tables, in order of name.
    public internal(set) var tables: [TableResult] = []
    /// Whether the content was held against the log.
    public internal(set) var isComparedWithLog = false

    /// Whether nothing is wrong.
    public var isSound: Bool {
        problems.isEmpty && tables.allSatisfy { $0.differences?.isEmpty ?? true }
    }

    /// What is wrong in a sentence, for whoever refuses the backup; nil if nothing is.
    public var summary: String? {
        if isSound { return nil }
        var parts = problems.prefix(3).map { "\($0.file): \($0.what)" }
        if problems.count > 3 { parts.append("\(problems.count - 3) problems more") }
        for table in tables {
            guard let differences = table.differences, !differences.isEmpty else { continue }
            parts.append(
                "\(table.table): \(differences.missingCount) rows missing, "
                    + "\(differences.extraCount) extra, \(differences.differentCount) different")
        }
        return parts.joined(separator: "; ")
    }
}
