import Foundation
import Simulator

/// The result of many seeds.
struct RunReport {
    let tally: Tally
    let failure: SeedRace.Failure?
    let seconds: Double

    /// So many seeds take every path.
    static let seedCountForPaths = 20_000

    /// Paths that so many seeds should have taken and did not.
    var missing: [Tally.Item] {
        tally.seedCount >= RunReport.seedCountForPaths ? tally.missing : []
    }

    var holds: Bool { failure == nil && missing.isEmpty }

    var text: String {
        var lines = [
            "\(tally.seedCount) seeds, \(tally.operationCount) operations, "
                + "\(String(format: "%.1f", seconds)) s"
        ]
        for item in Tally.Item.allCases {
            let count = String(tally[item])
            lines.append(String(repeating: " ", count: max(0, 12 - count.count)) + count
                + "  " + item.rawValue)
        }
        for item in missing { lines.append("never happened: \(item.rawValue)") }
        return lines.joined(separator: "\n")
    }

    var json: String {
        get throws {
            var object: [String: Any] = [
                "seeds": tally.seedCount, "operations": tally.operationCount,
                "seconds": seconds, "holds": holds, "missing": missing.map(\.rawValue),
                "counts": Dictionary(
                    uniqueKeysWithValues: Tally.Item.allCases.map { ($0.rawValue, tally[$0]) }),
            ]
            if let failure {
                object["failure"] = ["seed": Int(failure.seed), "what": failure.what] as [String: Any]
            }
            let data = try JSONSerialization.data(
                withJSONObject: object, options: [.prettyPrinted, .sortedKeys])
            return String(decoding: data, as: UTF8.self)
        }
    }
}
