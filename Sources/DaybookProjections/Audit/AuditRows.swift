import Avro
import DaybookLog
import Postgres

/// The audit's rows of one transaction: batches, rejections with their codes, and what closed
/// rejections.
final class AuditRows {
    private var batches = ByteSink(capacity: 4096)
    private var rejections = ByteSink(capacity: 4096)
    private var codes = ByteSink(capacity: 4096)
    private var closings = ByteSink(capacity: 1024)
    private var retractions = ByteSink(capacity: 1024)
    /// The first rejections of the rows that were closed.
    private var closed: [Position] = []

    /// The audit's tables, in the order in which rows go to them.
    static let tables = [
        "batches", "rejections", "rejection_codes", "rejection_closings", "retractions",
    ]

    /// Takes a batch, whose rows were all taken.
    func add(
        batch facts: BatchFacts, rowCount: Int, rejectedCount: Int
    ) throws(AvroDecodingError) {
        try AuditTranscoder.appendBatch(
            facts, rowCount: rowCount, rejectedCount: rejectedCount, to: &batches)
    }

    /// Takes a rejected row.
    func add(
        _ rejection: Rejection, of facts: BatchFacts, row: Int
    ) throws(AvroDecodingError) {
        let earlier = facts.corrects.first { $0.row == row }?.position
        try AuditTranscoder.appendRejection(
            rejection, of: facts, row: row, retryOf: earlier, to: &rejections)
        let position = facts.position + Position(row)
        for (index, reason) in rejection.reasons.enumerated()
        where !rejection.reasons[..<index].contains(where: { $0.code == reason.code }) {
            let columns = rejection.reasons.filter { $0.code == reason.code }.compactMap(\.column)
            AuditTranscoder.appendCode(
                reason.code, at: position, columns: columns, to: &codes)
        }
    }

    /// Takes what the accepted row closes, if it was sent in the place of a rejected one.
    @inline(__always)
    func addAccepted(row: Int, of facts: BatchFacts) throws(AvroDecodingError) {
        if facts.corrects.isEmpty { return }
        guard let correction = facts.corrects.first(where: { $0.row == row }) else { return }
        try add(
            RejectionClosing(
                rejection: correction.position, state: .corrected,
                position: facts.position + Position(row), principal: facts.principal, note: nil),
            of: facts)
    }

    /// Takes one of the ledger's own events.
    func add(_ control: Control, at position: Position, of facts: BatchFacts) throws {
        switch control.kind {
        case Waiver.kind: try addWaiver(control, at: position, of: facts)
        case Retraction.kind: try addRetraction(control, at: position, of: facts)
        default: break
        }
    }

    private func addRetraction(
        _ control: Control, at position: Position, of facts: BatchFacts
    ) throws {
        guard let retraction = Retraction(text: control.text) else {
            throw ProjectionFault.cannotApply(
                projection: auditProjectionName,
                reason: "the retraction at position \(position) has a text that is none")
        }
        for span in control.refersTo {
            try AuditTranscoder.append(
                retraction, of: span, at: position, of: facts, to: &retractions)
        }
    }

    private func addWaiver(
        _ control: Control, at position: Position, of facts: BatchFacts
    ) throws {
        guard let waiver = Waiver(text: control.text) else {
            throw ProjectionFault.cannotApply(
                projection: auditProjectionName,
                reason: "the waiver at position \(position) has a text that is none")
        }
        for rejection in control.refersTo.joined() {
            try add(
                RejectionClosing(
                    rejection: rejection, state: .waived, position: position,
                    principal: waiver.principal, note: waiver.note), of: facts)
        }
    }

    private func add(
        _ closing: RejectionClosing, of facts: BatchFacts
    ) throws(AvroDecodingError) {
        try AuditTranscoder.appendClosing(closing, of: facts, to: &closings)
        closed.append(closing.rejection)
    }

    /// Writes all of it, a COPY a table that has something, and begins anew; `copy` is told the
    /// table, its columns and its rows.
    func write(
        _ copy: (_ table: String, _ columns: [String], UnsafeRawBufferPointer) throws -> Void
    ) throws {
        try copy("batches", AuditTranscoder.batchColumns, batches.unsafeBytes)
        try copy("rejections", AuditTranscoder.rejectionColumns, rejections.unsafeBytes)
        try copy("rejection_codes", AuditTranscoder.codeColumns, codes.unsafeBytes)
        try copy("rejection_closings", AuditTranscoder.closingColumns, closings.unsafeBytes)
        try copy("retractions", AuditTranscoder.retractionColumns, retractions.unsafeBytes)
        batches.removeAll()
        rejections.removeAll()
        codes.removeAll()
        closings.removeAll()
        retractions.removeAll()
    }

    /// Brings the state of closed rejections up to date, after `write`.
    ///
    /// - Parameter schema: where the audit's tables are.
    func updateStates(_ connection: PostgresConnection, in schema: String) throws {
        if closed.isEmpty { return }
        let list = closed.map(String.init).joined(separator: ",")
        closed = []
        try AuditRows.updateStates(
            connection, in: schema, where: "c.rejection = ANY ('{\(list)}'::bigint[])")
    }

    /// Sets the state of all rejections that are closed; for tables that were filled in pieces.
    static func updateAllStates(_ connection: PostgresConnection, in schema: String) throws {
        try updateStates(connection, in: schema, where: "true")
    }

    private static func updateStates(
        _ connection: PostgresConnection, in schema: String, where condition: String
    ) throws {
        let closings = SQL.identifier(schema, "rejection_closings")
        let rejections = SQL.identifier(schema, "rejections")
        // By the key and by the index of retries: one condition for both would use neither.
        for column in ["position", "retry_of"] {
            _ = try connection.query(
                """
                UPDATE \(rejections) r SET state = c.state FROM \(closings) c
                 WHERE r.\(column) = c.rejection AND r.state <> c.state AND \(condition)
                """)
        }
    }
}

/// What closed a rejection.
struct RejectionClosing {
    /// The row's first rejection.
    let rejection: Position
    let state: RejectionState
    /// The accepted row, or the waiver.
    let position: Position
    let principal: String
    let note: String?
}
