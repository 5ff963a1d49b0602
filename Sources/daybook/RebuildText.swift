import DaybookProjections
import DaybookServer

extension RebuildProgress {
    /// One line for people who wait.
    var text: String {
        guard phase == .filling || phase == .base else {
            let of = eventCountTotal > eventCount ? " of \(eventCountTotal)" : ""
            return "\(projection): \(phase.rawValue), \(eventCount)\(of)"
        }
        let unit = phase == .base ? "rows of the backup" : "events"
        let left = secondsLeft.map { ", \(Int($0.rounded(.up))) s left" } ?? ""
        return "\(projection): \(eventCount) of \(eventCountTotal) \(unit), \(Int(rate))/s\(left)"
    }
}

extension RebuildReport {
    /// What people read: `what` says what was done.
    func text(_ what: String) -> String {
        let total = seconds.values.reduce(0, +)
        let resumed = wasResumed ? ", gone on where it was cut short" : ""
        var lines = [
            "\(projection): \(rowCount) rows up to position \(position), "
                + "\(what) in \(rounded(total)) s\(resumed)"
        ]
        if let comparison { lines += text(comparison) }
        lines += notes.map { "  note: \($0)" }
        return lines.joined(separator: "\n") + "\n"
    }

    private func text(_ comparison: RebuildComparison) -> [String] {
        if comparison.isEmpty { return ["  equal to the table that was live"] }
        let counts =
            "  \(comparison.addedCount) rows added, \(comparison.removedCount) removed, "
            + "\(comparison.changedCount) changed, against the table that was live"
        let samples = comparison.samples.map { sample in
            let changes = sample.changes.map { " \($0.column): \($0.before) -> \($0.after)" }
            let origin = sample.origin.map {
                " (position \($0.position), batch \($0.batchID), \($0.source), \($0.principal))"
            }
            return "    \(sample.kind.rawValue) \(sample.key)\(changes.joined(separator: ","))"
                + (origin ?? "")
        }
        return [counts] + samples
    }

    private func rounded(_ seconds: Double) -> Double { (seconds * 100).rounded() / 100 }

    /// The members of its object, without the braces around them.
    func writeMembers(to json: inout JSONWriter) {
        json.field("projection", projection)
        json.field("position", position)
        json.field("rows", rowCount)
        json.field("swapped", isSwapped)
        json.field("resumed", wasResumed)
        if let comparison = comparison { write(comparison, to: &json) }
        json.key("notes")
        json.openArray()
        for note in notes { json.string(note) }
        json.closeArray()
        json.key("milliseconds")
        json.openObject()
        for (phase, seconds) in seconds.sorted(by: { $0.key.rawValue < $1.key.rawValue })
        {
            json.field(phase.rawValue, Int64((seconds * 1000).rounded()))
        }
        json.closeObject()
    }

    private func write(_ comparison: RebuildComparison, to json: inout JSONWriter) {
        json.field("live_position", comparison.livePosition)
        json.field("added", comparison.addedCount)
        json.field("removed", comparison.removedCount)
        json.field("changed", comparison.changedCount)
        json.key("samples")
        json.openArray()
        for sample in comparison.samples {
            json.openObject()
            json.field("kind", sample.kind.rawValue)
            json.field("key", sample.key)
            if let origin = sample.origin {
                json.field("position", origin.position)
                json.field("batch_id", origin.batchID)
                json.field("source", origin.source)
                json.field("principal", origin.principal)
                json.key("received_at")
                json.time(origin.receivedAt)
            }
            json.key("changes")
            json.openArray()
            for change in sample.changes {
                json.openObject()
                json.field("column", change.column)
                json.field("before", change.before)
                json.field("after", change.after)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
        json.closeArray()
    }
}
