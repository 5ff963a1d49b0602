import DaybookLog

/// Writes metrics as Prometheus reads them.
///
/// Source: Prometheus, "Exposition formats", text format 0.0.4.
struct MetricsText {
    /// What a metric's values mean.
    enum Kind: String {
        /// Goes up and down.
        case gauge
        /// Only goes up while the server runs.
        case counter
        /// Counts values by their size.
        case histogram
    }

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// A metric with one value.
    mutating func metric(_ name: String, _ kind: Kind, _ help: String, _ value: some BinaryInteger)
    {
        metric(name, kind, help, [([], value)])
    }

    /// A metric with a value for every set of labels.
    mutating func metric<Value: BinaryInteger>(
        _ name: String, _ kind: Kind, _ help: String,
        _ samples: [(labels: [(name: String, value: String)], value: Value)]
    ) {
        begin(name, kind, help)
        for sample in samples {
            let labels = sample.labels.map { label in
                "\(label.name)=\"\(MetricsText.escaped(label.value, quotes: true))\""
            }
            text += name + (labels.isEmpty ? "" : "{\(labels.joined(separator: ","))}")
            text += " \(sample.value)\n"
        }
    }

    /// A histogram: its buckets with all below them, the sum and the count.
    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        begin(name, .histogram, help)
        var count: UInt64 = 0
        for (bound, own) in zip(histogram.bounds, histogram.counts) {
            count += own
            text += "\(name)_bucket{le=\"\(bound)\"} \(count)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(histogram.count)\n"
        text += "\(name)_sum \(histogram.sum)\n"
        text += "\(name)_count \(histogram.count)\n"
    }

    private mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(MetricsText.escaped(help, quotes: false))\n"
        text += "# TYPE \(name) \(kind.rawValue)\n"
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        let escaped = text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        return quotes ? escaped.replacing("\"", with: "\\\"") : escaped
    }
}
