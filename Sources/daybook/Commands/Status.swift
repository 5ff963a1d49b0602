import ArgumentParser
import DaybookServer
import Foundation

/// `daybook status`
struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say how far the log is, how far every projection, and where Postgres is.",
        discussion: "Example: psql \"$(daybook status --json | jq -r .postgres)\"")

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let text = try await statusText()
        guard !json else { return Console.write(text + "\n") }
        let status = try JSONDecoder().decode(Report.self, from: Data(text.utf8))
        Console.write(status.description)
    }

    private func statusText() async throws -> String {
        if let client = LocalClient(dataFolder: settings.dataFolder) {
            return String(decoding: try await client.status(), as: UTF8.self)
        }
        return try await Composition.with(settings, .projecting) { composition in
            var json = JSONWriter()
            composition.status(showsPostgres: true).write(to: &json)
            return String(decoding: json.unsafeBytes, as: UTF8.self)
        }
    }

    /// The status as people read it.
    private struct Report: Decodable, CustomStringConvertible {
        struct Projection: Decodable {
            let position: Int
            let lag: Int
            let state: String
        }
        let durable_position: Int
        let segments: Int
        let bytes: Int
        let state: String
        let ledger: String
        let projections: [String: Projection]
        let postgres: String?

        var description: String {
            let width = projections.keys.map(\.count).max() ?? 0
            let lines = projections.sorted { $0.key < $1.key }.map { name, projection in
                "  " + name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                    + "position \(projection.position), lag \(projection.lag), "
                    + "\(projection.state)\n"
            }
            return """
                ledger \(ledger): \(state)
                log: next position \(durable_position), \(segments) segments, \(bytes) bytes
                postgres: \(postgres ?? "")
                projections:
                \(lines.joined())
                """
        }
    }
}
