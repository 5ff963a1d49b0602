import DaybookCatalog
import DaybookLog
import FoundationEssentials

/// What a backup says of itself: `manifest.json`, signed in `manifest.sig` by the ledger's key over
/// the file's very bytes.
public struct BackupManifest: Codable, Sendable, Equatable {
    /// A table of the backup.
    public struct TableEntry: Codable, Sendable, Equatable {
        /// The table's name.
        public let table: String
        /// The file's name in the backup.
        public let file: String
        /// How many rows it has.
        public let rows: Int64
        /// How many bytes it has.
        public let bytes: UInt64
        /// SHA-256 of the file, in hexadecimal.
        public let sha256: String
        /// The sum of the rows' keyed hashes, in hexadecimal: what `daybook verify tables` prints.
        public let contentDigest: String

        private enum CodingKeys: String, CodingKey {
            case table, file, rows, bytes, sha256
            case contentDigest = "content_digest"
        }

        /// The file's digest.
        ///
        /// - Throws: `BackupError.badManifest` if it is none.
        public var fileDigest: Digest {
            get throws(BackupError) {
                guard let digest = Digest(hexadecimal: sha256) else {
                    throw .badManifest(file, "\(sha256) is no SHA-256")
                }
                return digest
            }
        }
    }

    /// A file of the log's copy.
    public struct LogFile: Codable, Sendable, Equatable {
        /// The file's name in the backup.
        public let file: String
        /// How many bytes it has.
        public let bytes: UInt64
        /// SHA-256 of the file, in hexadecimal.
        public let sha256: String
    }

    /// A copy of the log.
    public struct LogEntry: Codable, Sendable, Equatable {
        /// The position after the copy's last event.
        public let position: Position
        /// How many batches it has.
        public let treeSize: UInt64
        /// The tree's root at its end, in hexadecimal.
        public let root: String
        /// Its files.
        public let files: [LogFile]

        private enum CodingKeys: String, CodingKey {
            case position, root, files
            case treeSize = "tree_size"
        }
    }

    /// `daybook-backup`.
    public let format: String
    /// 1.
    public let formatVersion: Int
    /// The backup's name.
    public let name: String
    /// The ledger's id.
    public let ledger: String
    /// The tables are the state after all events below.
    public let position: Position
    /// How many batches these events came in.
    public let treeSize: UInt64
    /// The tree's root over them, in hexadecimal.
    public let root: String
    /// When the backup was made, RFC 3339.
    public let time: String
    /// The version of the dictionary whose tables these are.
    public let dictionary: String
    /// How the files' blocks are compressed.
    public let codec: String
    /// The public key that signed, in hexadecimal.
    public let publicKey: String
    /// The tables, in order of name.
    public let tables: [TableEntry]
    /// The log's copy, if there is one.
    public let log: LogEntry?

    private enum CodingKeys: String, CodingKey {
        case format, name, ledger, position, root, time, dictionary, codec, tables, log
        case formatVersion = "format_version"
        case treeSize = "tree_size"
        case publicKey = "public_key"
    }

    static let fileName = "manifest.json"
    static let signatureFileName = "manifest.sig"
    static let formatName = "daybook-backup"
    static let version = 1
    /// More bytes than this are no manifest.
    static let byteCountMax = 16 << 20

    /// The state of the ledger at the backup's position; nil if the manifest's words make none.
    public var head: TreeHead? {
        guard position >= 0, position < LogLimits.numberEnd, let ledger = LedgerID(ledger),
            let root = Digest(hexadecimal: root)
        else { return nil }
        return TreeHead(ledger: ledger, size: treeSize, position: position, root: root)
    }

    /// The time of making, in microseconds from 1970 UTC.
    var madeAt: Microseconds? { try? BackupTime.parse(time) }

    /// The entry of a table.
    public func entry(of table: String) -> TableEntry? { tables.first { $0.table == table } }

    /// The bytes of the file.
    var encoded: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(self) else {
            preconditionFailure("numbers and strings are written as JSON")
        }
        return Array(data) + [UInt8(ascii: "\n")]
    }

}

extension BackupManifest {
    /// Reads the bytes of the file.
    ///
    /// - Throws: `BackupError.badManifest` with what is wrong.
    init(reading bytes: [UInt8], of backup: String) throws(BackupError) {
        let manifest: BackupManifest
        do {
            manifest = try JSONDecoder().decode(BackupManifest.self, from: Data(bytes))
        } catch {
            throw .badManifest(backup, "it is no JSON of a manifest")
        }
        guard manifest.format == BackupManifest.formatName else {
            throw .badManifest(backup, "its format is \(manifest.format)")
        }
        guard manifest.formatVersion == BackupManifest.version else {
            throw .badManifest(
                backup,
                "its version is \(manifest.formatVersion), which this program does not know")
        }
        guard manifest.head != nil else {
            throw .badManifest(backup, "ledger, position and root make no state of a ledger")
        }
        let files = manifest.tables.map(\.file) + (manifest.log?.files.map(\.file) ?? [])
        guard Set(files).count == files.count, files.allSatisfy(BackupManifest.isFileName) else {
            throw .badManifest(backup, "it names a file twice, or one outside of the backup")
        }
        self = manifest
    }

    /// A file of the backup, or of a folder in it.
    private static func isFileName(_ name: String) -> Bool {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        return (1...2).contains(parts.count)
            && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
    }
}

/// Times as a backup's manifest and name have them.
enum BackupTime {
    /// RFC 3339 in UTC.
    static func text(_ time: Microseconds) -> String {
        ScalarValue.timestamp(microseconds: time).text(type: .timestamp)
    }

    /// `20261125T154500Z`.
    static func name(_ time: Microseconds) -> String {
        let text = text(time).prefix("2026-11-25T15:45:00".count)
        return text.filter { $0 != "-" && $0 != ":" } + "Z"
    }

    static func parse(_ text: String) throws(ScalarFault) -> Microseconds {
        let result = Array(text.utf8).withUnsafeBytes { bytes in
            Result { () throws(ScalarFault) in try ScalarParser.timestamp(bytes) }
        }
        return try result.get()
    }
}
