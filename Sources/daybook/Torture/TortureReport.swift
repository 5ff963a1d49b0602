import DaybookLog
import DaybookSegments
import DaybookServer

/// A trial for people and for scripts.
struct TortureReport {
    let trial: DiskTrial
    let verdict: DiskVerdict

    init(_ trial: DiskTrial) {
        self.trial = trial
        verdict = DiskVerdict(trial)
    }

    /// Measurements, notes, what cannot be shown, and the verdict last.
    var text: String {
        let facts = trial.fileSystem
        var lines = [
            "\(facts.mountPoint): \(facts.type) on \(facts.device), "
                + "\(facts.freeByteCount >> 20) MiB free, \(facts.options.joined(separator: ","))"
        ]
        for (byteCount, latencies) in trial.appends.sorted(by: { $0.key < $1.key }) {
            lines.append(line("append \(byteCount >> 10) KiB, fdatasync", latencies))
        }
        lines.append(line("append 4 KiB, O_DSYNC", trial.synchronousWrites))
        if let small = trial.appends[4096] { lines += bars(small) }
        lines.append("rename, folder synced: \(word(trial.renames))")
        lines.append("read back: \(readBack)")
        lines.append("a lock keeps others out: \(word(trial.locksExclude))")
        if let full = trial.full { lines.append("a full file system: \(TortureReport.word(full))") }
        lines.append(line("the log, blocks of 64 KiB", trial.engine))
        let kills = trial.kills
        lines.append(
            "kill -9: \(kills.roundCount) rounds, \(kills.acknowledgedCount) blocks acknowledged, "
                + "\(kills.losses.count) lost or changed, \(kills.tornCount) torn tails cut")
        lines += (kills.losses + trial.refusals).prefix(20).map { "  \($0)" }
        lines += DiskVerdict.notes(trial)
        lines.append("Not seen: \(DiskVerdict.limits)")
        lines.append(verdict.sentence(trial))
        return lines.map { $0 + "\n" }.joined()
    }

    private func line(_ what: String, _ latencies: Latencies) -> String {
        guard latencies.count > 0 else { return "\(what): not measured" }
        return "\(what): median \(time(latencies.quantile(0.5))), "
            + "p99 \(time(latencies.quantile(0.99))), longest \(time(latencies.longest)), "
            + "\(Int(Double(latencies.count) / max(latencies.sum, 1e-9))) a second"
    }

    /// The histogram as bars, from the first bucket with something in it to the last.
    private func bars(_ latencies: Latencies) -> [String] {
        let histogram = latencies.histogram
        guard let first = histogram.counts.firstIndex(where: { $0 > 0 }),
            let last = histogram.counts.lastIndex(where: { $0 > 0 }),
            let most = histogram.counts.max()
        else { return [] }
        return (first...last).map { place in
            let bound =
                place < histogram.bounds.count
                ? "≤ \(time(histogram.bounds[place]))" : "longer"
            let count = histogram.counts[place]
            let bar = String(repeating: "#", count: Int(count * 40 / most))
            let padding = String(repeating: " ", count: max(0, 10 - bound.count))
            return "  \(bound)\(padding) \(bar) \(count)"
        }
    }

    private func time(_ seconds: Double) -> String {
        seconds < 0.01
            ? "\(Int((seconds * 1_000_000).rounded())) µs"
            : "\(Int((seconds * 1000).rounded())) ms"
    }

    private func word(_ holds: Bool?) -> String {
        switch holds {
        case true: "yes"
        case false: "NO"
        default: "not tried"
        }
    }

    private var readBack: String {
        switch trial.readBack {
        case .same(fromDevice: true): "the same bytes, from the device"
        case .same(fromDevice: false): "the same bytes, through the page cache"
        case .different(let offset): "DIFFERENT from byte \(offset) on"
        case nil: "not tried"
        }
    }

    private static func word(_ full: DiskTrial.FullDisk) -> String {
        switch full {
        case .refusedWrite: "refuses writes, as it should"
        case .refusedSync: "TAKES WRITES, and refuses their sync"
        case .tooLarge: "not filled, it has too much space"
        }
    }

    // MARK: For scripts

    /// One object.
    func write(to json: inout JSONWriter) {
        let facts = trial.fileSystem
        json.openObject()
        json.field("verdict", verdict.rawValue)
        json.field("ok", verdict == .fit)
        json.field("sentence", verdict.sentence(trial))
        json.key("file_system")
        json.openObject()
        json.field("type", facts.type)
        json.field("mounted", facts.mountPoint)
        json.field("device", facts.device)
        json.field("device_cache", facts.deviceCache)
        json.field("free_bytes", facts.freeByteCount)
        json.field("memory", facts.isMemory)
        TortureReport.write(facts.options, as: "options", to: &json)
        json.closeObject()
        json.key("appends")
        json.openArray()
        for (byteCount, latencies) in trial.appends.sorted(by: { $0.key < $1.key }) {
            TortureReport.write(latencies, bytes: byteCount, to: &json)
        }
        json.closeArray()
        json.key("o_dsync")
        TortureReport.write(trial.synchronousWrites, bytes: 4096, to: &json)
        json.key("log")
        TortureReport.write(trial.engine, bytes: 64 << 10, to: &json)
        json.field("read_back", readBack)
        json.field("rename", word(trial.renames))
        json.field("lock", word(trial.locksExclude))
        json.field("full", trial.full.map(TortureReport.word))
        json.key("kills")
        json.openObject()
        json.field("rounds", trial.kills.roundCount)
        json.field("acknowledged", trial.kills.acknowledgedCount)
        json.field("torn", trial.kills.tornCount)
        TortureReport.write(trial.kills.losses, as: "losses", to: &json)
        json.closeObject()
        TortureReport.write(trial.refusals, as: "refusals", to: &json)
        TortureReport.write(DiskVerdict.notes(trial), as: "notes", to: &json)
        json.field("not_seen", DiskVerdict.limits)
        json.closeObject()
    }

    private static func write(_ texts: [String], as name: String, to json: inout JSONWriter) {
        json.key(name)
        json.openArray()
        for text in texts { json.string(text) }
        json.closeArray()
    }

    private static func write(_ latencies: Latencies, bytes: Int, to json: inout JSONWriter) {
        json.openObject()
        json.field("bytes", bytes)
        json.field("count", latencies.count)
        for (name, value) in [
            ("p50_seconds", latencies.quantile(0.5)), ("p99_seconds", latencies.quantile(0.99)),
            ("max_seconds", latencies.longest),
        ] {
            json.key(name)
            json.number(value)
        }
        json.key("histogram")
        json.openArray()
        let histogram = latencies.histogram
        for (place, count) in histogram.counts.enumerated() where count > 0 {
            json.openObject()
            json.key("up_to_seconds")
            if place < histogram.bounds.count {
                json.number(histogram.bounds[place])
            } else {
                json.null()
            }
            json.field("count", count)
            json.closeObject()
        }
        json.closeArray()
        json.closeObject()
    }
}
