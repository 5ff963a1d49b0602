import Foundation

/// A retraction in words, as the server answered it.
struct RetractionText {
    /// What was retracted, or would be.
    struct Done: Decodable {
        let position: Int64?
        let tables: [String: Int64]
        let span_count: Int
        let spans: [Span]
        let by: String

        struct Span: Decodable {
            let first: Int64
            let last: Int64
        }
    }

    /// Why nothing was.
    struct Refusal: Decodable {
        let type: String
        let title: String
        let detail: String
        let digests: [String]?
        let count: Int?
        let rows: [Row]?

        struct Row: Decodable {
            let table: String
            let key: [String]
            let position: Int64
            let refers_to: String
        }
    }

    /// A line a table, and what to do next.
    static func lines(_ done: Done, next: String) -> [String] {
        let isDone = done.position != nil
        let verb = isDone ? "retracted" : "would retract"
        let keys = isDone ? "their keys are free again" : "their keys would be free again"
        let tables = done.tables.sorted { $0.key < $1.key }
        var lines: [String]
        if tables.count == 1, let table = tables.first {
            lines = ["\(verb) \(rows(table.value)) of \(table.key) (\(places(done))); \(keys)"]
        } else {
            lines = tables.map { "\(verb) \(rows($0.value)) of \($0.key)" }
            lines.append("\(places(done)); \(keys)")
        }
        if let position = done.position {
            lines.append("the retraction is event \(position), by \(done.by)")
            lines.append("next: " + next)
        } else {
            lines.append("nothing was written; say --note and leave --dry-run out to retract them")
        }
        return lines
    }

    private static func rows(_ count: Int64) -> String {
        count == 1 ? "1 row" : "\(count) rows"
    }

    private static func places(_ done: Done) -> String {
        let spans = done.spans.map { span in
            span.first == span.last ? "\(span.first)" : "\(span.first)–\(span.last)"
        }
        let isOne = spans.count == 1 && done.spans[0].first == done.spans[0].last
        let more = done.span_count > spans.count ? ", … in \(done.span_count) pieces" : ""
        return (isOne ? "position " : "positions ") + spans.joined(separator: ", ") + more
    }

    /// Why nothing was retracted, and what can be done about it.
    static func explanation(_ refusal: Refusal) -> String {
        switch refusal.type.split(separator: ":").last {
        case "rows-referred":
            let rows = refusal.rows ?? []
            let count = refusal.count ?? rows.count
            let named = rows.map { row in
                "  \(row.table) \(row.key.joined(separator: " ")), position \(row.position), "
                    + "refers to \(row.refers_to)"
            }
            let more = count > rows.count ? ["  … and \(count - rows.count) more"] : []
            return
                (["nothing was retracted: rows that would stay (\(count)) refer to rows that "
                    + "would go"] + named + more
                + ["retract those first, or all together with --with-referring"])
                .joined(separator: "\n")
        case "ambiguous-import":
            return
                (["\(refusal.title): say --import with the SHA-256 of the one that is meant"]
                + (refusal.digests ?? []).map { "  " + $0 }).joined(separator: "\n")
        case "unknown-import":
            return
                "nothing was retracted: no such file was imported. A file that was changed since "
                + "its import is known by the SHA-256 that it had, which is in the import's "
                + "event: daybook log cat --verdict control"
        default: return "\(refusal.title): \(refusal.detail)"
        }
    }
}
