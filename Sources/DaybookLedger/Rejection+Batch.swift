import DaybookCatalog
import DaybookIntake
import DaybookLog

extension Rejection {
    /// What the log keeps of a row, or of a whole batch, that its table refused: `bytes`, of
    /// `byteCount` in all; or, where the table says so, their digest.
    init(_ bytes: [UInt8], byteCount: Int, of table: Table, reasons: [Reason]) {
        switch table.rejectedRaw {
        case .full:
            self.init(
                raw: bytes, rawLength: byteCount > bytes.count ? Int64(byteCount) : nil,
                reasons: reasons)
        case .digest:
            self.init(
                raw: [], rawLength: Int64(byteCount), reasons: reasons,
                digest: bytes.withUnsafeBytes { Digest(of: $0).bytes })
        }
    }
}
