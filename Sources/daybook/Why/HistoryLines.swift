import DaybookLedger
import DaybookServer
import Foundation

/// A key's history as lines for people: what it is and from where, then the facts, one a line.
struct HistoryLines {
    /// The lines, each with its end.
    let text: String

    /// - Parameter ledger: the ledger's id.
    /// - Throws: `EventTextError` if a row's bytes are not what its schema says.
    init(
        _ history: KeyHistory, backups: HistoryBackups, ledger: String
    ) throws(EventTextError) {
        var lines = [HistoryLines.title(history)]
        for event in history.events {
            if history.events.count > 1 { lines.append("") }
            lines += try HistoryLines.origin(event)
            lines += HistoryLines.fate(
                event, backups.holding(event, of: history, ledger: ledger))
        }
        if case .unknown(let reason) = backups { lines.append("backups     not known: \(reason)") }
        if let next = history.next { lines.append("(there are more; go on with --after \(next))") }
        text = lines.map { TextTable.line($0) + "\n" }.joined()
    }

    private static func title(_ history: KeyHistory) -> String {
        let name = ([history.key.table.name] + history.key.values).joined(separator: " ")
        guard let last = history.events.last else { return "\(name): \(history.presence.rawValue)" }
        let count = history.events.count
        let rest = count > 1 ? "; \(count) accepted rows, the last" : ","
        return "\(name): \(history.presence.rawValue)\(rest) from \(place(last))"
    }

    private static func place(_ event: KeyEvent) -> String {
        event.batch.source + (event.line.map { ", line \($0)" } ?? "")
    }

    /// Where a row came from.
    private static func origin(_ event: KeyEvent) throws(EventTextError) -> [String] {
        let batch = event.batch
        var row = JSONWriter()
        try row.write(rowOf: event)
        var lines = [
            "position    \(event.position), row \(event.index) of batch \(batch.id)",
            "row         \(String(decoding: row.unsafeBytes, as: UTF8.self))",
            "from        \(place(event)), as \(batch.format)",
            "sent        \(JSONWriter.text(time: batch.receivedAt)) by \(batch.principal)",
        ]
        if let key = batch.idempotencyKey { lines.append("key         \(key)") }
        if !batch.requestDigest.isEmpty {
            let digest = batch.requestDigest.map { String(format: "%02x", $0) }.joined()
            lines.append("request     SHA-256 \(digest)")
        }
        lines.append("dictionary  \(batch.dictionary)")
        lines.append("leaf        \(event.leaf); proof: daybook proof get \(batch.id)")
        guard let corrected = event.corrected else { return lines }
        let line = corrected.line.map { ", line \($0)" } ?? ""
        lines.append(
            "corrects    position \(corrected.position), from \(corrected.batch.source)\(line), "
                + "rejected \(JSONWriter.text(time: corrected.batch.receivedAt))")
        for reason in corrected.rejection.reasons {
            let column = reason.column.map { " (\($0))" } ?? ""
            lines.append("            \(reason.code)\(column): \(reason.message)")
        }
        return lines
    }

    /// What became of it.
    private static func fate(
        _ event: KeyEvent, _ held: [(name: String, facts: BackupListing.Facts)]?
    ) -> [String] {
        var lines: [String] = []
        if let retraction = event.retraction {
            lines.append(
                "retracted   \(JSONWriter.text(time: retraction.receivedAt)) by "
                    + "\(retraction.by ?? "somebody"), position \(retraction.position)")
            if let note = retraction.note { lines.append("note        \(note)") }
        }
        guard let held else { return lines }
        if held.isEmpty { lines.append("backups     none holds it") }
        for (name, facts) in held {
            let isProven = facts.isProven ? ", proven" : ""
            lines.append("backup      \(name), at position \(facts.position)\(isProven)")
        }
        return lines
    }
}
