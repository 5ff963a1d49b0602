import DaybookIntake
import DaybookLog
import Hummingbird
import NIOCore

/// A file that is to be imported.
public struct ImportRequest: Sendable {
    /// The table its rows are for.
    public var table: String
    /// The file's name, as the log keeps it.
    public var fileName: String
    /// What its bytes are.
    public var format: BatchFormat
    /// CSV: whether the first line names the columns.
    public var hasHeader: Bool
    /// SHA-256 over the file's bytes, by which the same file is known again.
    public var digest: [UInt8]
    /// Whether a file that was imported before is imported again.
    public var isForced: Bool
    /// Who imports it: `local:<user>`.
    public var principal: String

    /// All that is to be known before the first byte.
    public init(
        table: String, fileName: String, format: BatchFormat, hasHeader: Bool, digest: [UInt8],
        isForced: Bool, principal: String
    ) {
        self.table = table
        self.fileName = fileName
        self.format = format
        self.hasHeader = hasHeader
        self.digest = digest
        self.isForced = isForced
        self.principal = principal
    }
}
