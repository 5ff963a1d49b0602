import DaybookIntake
import DaybookLog

/// A file that is to be imported into a table.
public struct ImportRequest: Sendable {
    /// How the file's bytes are read.
    public enum Format: Sendable, Hashable {
        /// Comma-separated (RFC 4180), with a header or none as stated.
        case csv(CSVHeader)
        /// One JSON object a line.
        case ndjson
        /// An Avro object container file.
        case avro
    }

    /// The file's name, for people; it becomes part of the batches' source.
    public let file: String
    /// The table that every row of the file is for.
    public let table: String
    /// How the file is read; a part of what makes the import known again.
    public let format: Format
    /// SHA-256 of the whole file: by it an import is known again.
    public let digest: Digest
    /// Who imports.
    public let principal: String
    /// Makes the import another one than those before it of the same content (`--force`).
    public let nonce: String?

    /// An import of the file whose bytes have the digest `digest`.
    public init(
        file: String, table: String, format: Format, digest: Digest, principal: String,
        nonce: String? = nil
    ) {
        self.file = file
        self.table = table
        self.format = format
        self.digest = digest
        self.principal = principal
        self.nonce = nonce
    }

    /// `csv:<file name>`, `ndjson:<file name>` or `avro:<file name>`.
    var source: String {
        switch format {
        case .csv: "csv:\(file)"
        case .ndjson: "ndjson:\(file)"
        case .avro: "avro:\(file)"
        }
    }

    /// The idempotency key of the chunk with this number, or of another part. The same content,
    /// read in the same way into the same table, has the same keys, whoever imports it.
    func key(_ part: String) -> String {
        var options: String
        switch format {
        case .csv(.absent): options = "csv"
        case .csv(.present): options = "csv;header"
        case .csv(.columns(let names)): options = "csv;columns=\(names.joined(separator: ","))"
        case .ndjson: options = "ndjson"
        case .avro: options = "avro"
        }
        if let nonce { options += ";force=\(nonce)" }
        return "import/\(digest)/\(table)/\(options)/\(part)"
    }
}

/// Why an import ended early. What was acknowledged stays; run again, it goes on from there.
public enum ImportError: Error, Equatable, Sendable {
    /// The ledger did not take a batch.
    case ledger(LedgerError)
    /// The file cannot be read under these options, and nothing was recorded; or it is damaged.
    case intake(IntakeError)
    /// The bytes could not be had; in the words of whoever read them.
    case source(String)
    /// The file's bytes are not those of its digest: it changed while it was read.
    case fileChanged
}

/// What became of an import.
public struct ImportSummary: Sendable, Equatable {
    /// The file's name, as the request has it.
    public let file: String
    /// The table that the rows were for.
    public let table: String
    /// Accepted and rejected; blank lines are no rows.
    public var rows: Int64 = 0
    /// How many of the rows are now rows of the table.
    public var accepted: Int64 = 0
    /// How many of them were refused, with reasons.
    public var rejected: Int64 = 0
    /// Blank lines.
    public var blank: Int64 = 0
    /// Position of the first row; nil if there is none.
    public var firstPosition: Position?
    /// Position of the last row; other batches may stand between the two.
    public var lastPosition: Position?
    /// Whether the same content was imported before; then the numbers are those of that import.
    public var isAlreadyImported = false
    /// What was retracted of that import's rows; nil if nothing was, or it was not imported before.
    public var retraction: ImportRetraction?
    /// How many rows have each code among their reasons.
    public var codes: [String: Int64] = [:]
    /// For each code the lines of the first few rows that have it; in Avro files, which have no
    /// lines, the rows' numbers from 1.
    public var firstLines: [String: [Int64]] = [:]
    /// Where the import was stopped by its limit of rejections; nil if it was not.
    public var stop: Stop?
    /// Of a check, what was judged: then `rows` and the like are what is in the log all the same,
    /// and `codes` and `firstLines` are of the rows judged.
    public var checked: Counts?
    /// The first few rejections; none if it was imported before.
    public var firstRejections: [Receipt.RejectedRow] = []

    /// Rows by verdict.
    public struct Counts: Sendable, Equatable, Codable {
        /// Accepted and rejected.
        public var rows: Int64 = 0
        /// Those that would be rows of the table.
        public var accepted: Int64 = 0
        /// Those that would be refused.
        public var rejected: Int64 = 0

        /// No rows.
        public init() {}
    }

    /// A limit that was exceeded.
    public struct Stop: Sendable, Equatable {
        /// The line of the rejected row that was one too many; nil where there is none such, as
        /// of a share of a whole file.
        public let line: Int64?
    }

    init(file: String, table: String) {
        self.file = file
        self.table = table
    }

    static let firstLineCount = 3

    static let firstRejectionCount = 10

    /// Counts one chunk's receipt.
    mutating func add(_ receipt: Receipt) {
        rows += Int64(receipt.rowCount)
        accepted += Int64(receipt.acceptedCount)
        rejected += Int64(receipt.rejected.count)
        firstPosition = firstPosition ?? receipt.position
        lastPosition = receipt.endPosition - 1
        let room = Self.firstRejectionCount - firstRejections.count
        firstRejections += receipt.rejected.prefix(max(room, 0))
        precondition(rows == accepted + rejected, "rows = accepted + rejected")
    }

    /// Counts a rejected row once for each of its codes.
    mutating func add(_ row: JudgedRejection) {
        for code in Set(row.codes) {
            codes[code, default: 0] += 1
            if let line = row.line, firstLines[code, default: []].count < Self.firstLineCount {
                firstLines[code, default: []].append(line)
            }
        }
    }
}
