import DaybookLog
import FoundationEssentials

/// The text of an `import` event: an import's totals as JSON, from which a later import of the same
/// content is answered.
struct ImportTotals: Codable, Equatable {
    let file: String
    let table: String
    let digest: String
    let rows: Int64
    let accepted: Int64
    let rejected: Int64
    let blank: Int64
    let firstPosition: Int64?
    let lastPosition: Int64?
    let codes: [String: Int64]
    /// Nil in events of a version that did not count it.
    let firstLines: [String: [Int64]]?

    private enum CodingKeys: String, CodingKey {
        case file, table, digest, rows, accepted, rejected, blank, codes
        case firstPosition = "first_position"
        case lastPosition = "last_position"
        case firstLines = "first_lines"
    }

    init(_ summary: ImportSummary, digest: Digest) {
        file = summary.file
        table = summary.table
        self.digest = "\(digest)"
        rows = summary.rows
        accepted = summary.accepted
        rejected = summary.rejected
        blank = summary.blank
        firstPosition = summary.firstPosition
        lastPosition = summary.lastPosition
        codes = summary.codes
        firstLines = summary.firstLines.isEmpty ? nil : summary.firstLines
    }

    /// Reads an `import` event; nil if its text is anything else.
    init?(_ control: Control) {
        guard control.kind == Self.kind,
            let totals = try? JSONDecoder().decode(Self.self, from: Data(control.text))
        else { return nil }
        self = totals
    }

    static let kind = "import"

    /// The event; `spans` are the positions of the import's rows.
    func control(spans: [Range<Position>]) -> Control {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let text = try? encoder.encode(self) else {
            preconditionFailure("numbers and strings are written as JSON")
        }
        return Control(kind: Self.kind, refersTo: spans, text: Array(text))
    }

    /// What a later import of the same content under the name `file` answers.
    func summary(file: String) -> ImportSummary {
        var summary = ImportSummary(file: file, table: table)
        summary.rows = rows
        summary.accepted = accepted
        summary.rejected = rejected
        summary.blank = blank
        summary.firstPosition = firstPosition
        summary.lastPosition = lastPosition
        summary.codes = codes
        summary.firstLines = firstLines ?? [:]
        summary.isAlreadyImported = true
        return summary
    }
}

extension ImportSummary {
    /// The object of `daybook import --json` (interface.md, "JSON shapes"), in UTF-8.
    public var json: [UInt8] {
        struct Shape: Encodable {
            let summary: ImportSummary

            enum Key: String, CodingKey {
                case file, table, rows, accepted, rejected, blank
                case firstPosition = "first_position"
                case lastPosition = "last_position"
                case alreadyImported = "already_imported"
            }

            func encode(to encoder: any Encoder) throws {
                var object = encoder.container(keyedBy: Key.self)
                try object.encode(summary.file, forKey: .file)
                try object.encode(summary.table, forKey: .table)
                try object.encode(summary.rows, forKey: .rows)
                try object.encode(summary.accepted, forKey: .accepted)
                try object.encode(summary.rejected, forKey: .rejected)
                try object.encode(summary.blank, forKey: .blank)
                try object.encode(summary.firstPosition, forKey: .firstPosition)
                try object.encode(summary.lastPosition, forKey: .lastPosition)
                try object.encode(summary.isAlreadyImported, forKey: .alreadyImported)
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes]
        guard let text = try? encoder.encode(Shape(summary: self)) else {
            preconditionFailure("numbers and strings are written as JSON")
        }
        return Array(text)
    }
}
