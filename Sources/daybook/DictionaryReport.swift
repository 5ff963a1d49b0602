import DaybookCatalog
import DaybookLedger
import DaybookServer

/// What `daybook dictionary check` found, for people and for programs.
struct DictionaryReport {
    /// The version in force; nil for a log that has none yet.
    let inForce: String?
    let version: String
    let comparison: CatalogComparison
    /// Nil if the past rows cannot be judged.
    let past: [PastVerdicts]?

    var text: String {
        var lines = comparison.items.flatMap(lines)
        if inForce == version { lines.append("the dictionary is the one in force") }
        guard let past else {
            lines.append("past rows were not judged again: some cannot be read")
            return lines.joined(separator: "\n") + "\n"
        }
        if !past.isEmpty { lines.append("past rows, judged again:") }
        lines += past.flatMap(self.lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private func lines(_ item: CatalogComparison.Item) -> [String] {
        let kind = item.isAggregate ? "aggregate" : "table"
        let head = "\(kind) \(item.name): \(item.outcome.rawValue) (\(item.outcome.meaning))"
        return [head] + item.changes.map { "  \($0)" } + item.obstacles.map { "  refused: \($0)" }
    }

    private func lines(_ verdicts: PastVerdicts) -> [String] {
        [
            "  \(verdicts.table): of \(verdicts.acceptedCount) accepted rows "
                + "\(verdicts.rejectedNow.rowCount) would be rejected now"
                + codes(verdicts.rejectedNow)
        ] + examples(verdicts.rejectedNow) + [
            "  \(verdicts.table): of \(verdicts.rejectedCount) rejected rows "
                + "\(verdicts.acceptedNow.rowCount) would be accepted now"
                + codes(verdicts.acceptedNow)
        ] + examples(verdicts.acceptedNow)
    }

    private func codes(_ turn: PastVerdicts.Turn) -> String {
        let codes = turn.countByCode.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        if codes.isEmpty { return "" }
        return ": " + codes.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    private func examples(_ turn: PastVerdicts.Turn) -> [String] {
        turn.examples.map { example in
            let key = example.key.isEmpty ? "" : ", key \(example.key.joined(separator: ","))"
            let column = example.reason.column.map { "\($0): " } ?? ""
            return "    position \(example.position)\(key): \(example.reason.code): \(column)"
                + example.reason.message
        }
    }

    func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("ok", !comparison.isRefused)
        if let inForce { json.field("in_force", inForce) }
        json.field("dictionary", version)
        json.key("changes")
        json.openArray()
        for item in comparison.items {
            json.openObject()
            json.field("name", item.name)
            json.field("kind", item.isAggregate ? "aggregate" : "table")
            json.field("outcome", item.outcome.rawValue)
            json.field("changes", item.changes)
            json.field("reasons", item.obstacles)
            json.closeObject()
        }
        json.closeArray()
        json.field("judged", past != nil)
        if let past {
            json.key("past")
            json.openArray()
            for verdicts in past { json.write(verdicts) }
            json.closeArray()
        }
        json.closeObject()
    }
}

extension CatalogComparison.Outcome {
    /// What it means, for people.
    fileprivate var meaning: String {
        switch self {
        case .unchanged: "nothing happens to its rows"
        case .rules: "rows to come are judged by them, those that are there stay"
        case .rebuilt: "made anew from the log beside the old one, and swapped in"
        case .new: "made, from all its rows in the log"
        case .removed: "it stays in Postgres and is no longer kept"
        case .refused: "the dictionary cannot be put in force"
        }
    }
}

extension JSONWriter {
    fileprivate mutating func field(_ name: String, _ values: [String]) {
        key(name)
        openArray()
        for value in values { string(value) }
        closeArray()
    }

    fileprivate mutating func write(_ verdicts: PastVerdicts) {
        openObject()
        field("table", verdicts.table)
        field("accepted", verdicts.acceptedCount)
        field("rejected", verdicts.rejectedCount)
        write("rejected_now", verdicts.rejectedNow)
        write("accepted_now", verdicts.acceptedNow)
        closeObject()
    }

    private mutating func write(_ name: String, _ turn: PastVerdicts.Turn) {
        key(name)
        openObject()
        field("rows", turn.rowCount)
        key("codes")
        openObject()
        for (code, count) in turn.countByCode.sorted(by: { $0.key < $1.key }) {
            field(code, count)
        }
        closeObject()
        key("examples")
        openArray()
        for example in turn.examples {
            openObject()
            field("position", example.position)
            field("key", example.key)
            field("code", example.reason.code)
            if let column = example.reason.column { field("column", column) }
            field("message", example.reason.message)
            closeObject()
        }
        closeArray()
        closeObject()
    }
}
