import DaybookLog
import Postgres

/// The columns of a rejection and of what closed it, and how a result's row becomes one.
enum RejectionRow {
    /// Of `daybook.rejections r`, `daybook.batches b` and `daybook.rejection_closings x`.
    static let columns =
        "r.position, r.batch_id::text, r.table_name, r.source, r.line, r.received_at, "
        + "r.principal, b.format, r.state, r.reasons::text, r.raw, r.raw_length, r.raw_digest, "
        + "r.retry_of, "
        + closingColumns
    /// Of `daybook.rejection_closings x`.
    static let closingColumns =
        "x.state, x.position, x.batch_id::text, x.received_at, x.principal, x.note"

    /// Where `closingColumns` begin in `columns`.
    private static let closingStart = 14

    /// Reads `columns` in binary form; nil if one that must be there is NULL.
    static func rejection(_ row: PostgresRow) -> ProjectedRejection? {
        guard let position = row.int64(0), let batchID = row.text(1), let table = row.text(2),
            let receivedAt = row.int64(5), let state = row.text(8).flatMap(RejectionState.init),
            let reasons = row.text(9), let raw = row.bytes(10), let rawLength = row.int64(11)
        else { return nil }
        return ProjectedRejection(
            position: position, batchID: batchID, table: table, source: row.text(3) ?? "",
            line: row.int64(4), receivedAt: receivedAt + PostgresEpoch.microseconds,
            principal: row.text(6) ?? "", format: row.text(7) ?? "", state: state,
            reasons: reasons, raw: raw, rawLength: rawLength,
            digest: row.bytes(12), retryOf: row.int64(13),
            closing: closing(row, from: closingStart))
    }

    /// Reads `closingColumns` in binary form from column `first` on; nil if nothing closed it.
    static func closing(
        _ row: PostgresRow, from first: Int
    ) -> ProjectedRejection.Closing? {
        guard let state = row.text(first).flatMap(RejectionState.init),
            let position = row.int64(first + 1), let batchID = row.text(first + 2),
            let receivedAt = row.int64(first + 3)
        else { return nil }
        return ProjectedRejection.Closing(
            state: state, position: position, batchID: batchID,
            receivedAt: receivedAt + PostgresEpoch.microseconds,
            principal: row.text(first + 4) ?? "", note: row.text(first + 5))
    }
}
