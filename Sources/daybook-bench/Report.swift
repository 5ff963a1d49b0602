/// The rows of the table that `script/bench` prints: figure, limit, ratio and command.
enum Report {
    static func row(_ what: String, figure: String, limit: String, ratio: Double, command: String) {
        let percent = (ratio * 100).rounded() / 100
        print("| \(what) | \(figure) | \(limit) | \(percent) | `\(command)` |")
    }

    /// A rate in thousands or millions a second.
    static func rate(_ perSecond: Double, _ unit: String) -> String {
        if perSecond >= 1e6 { return "\((perSecond / 1e4).rounded() / 100) M \(unit)/s" }
        return "\((perSecond / 100).rounded() / 10) k \(unit)/s"
    }
}

extension Duration {
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}

/// Why a measurement means nothing.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
