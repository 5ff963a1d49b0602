import ArgumentParser
import DaybookCatalog
import DaybookLog
import DaybookSegments
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
        guard let client = LocalClient(dataFolder: settings.dataFolder) else {
            return try await offPool { try offlineStatus() }
        }
        return String(decoding: try await client.settledStatus(), as: UTF8.self)
    }

    /// Without a server: the log by itself, and the checkpoints that Postgres has. Blocks.
    private func offlineStatus() throws -> String {
        let log = try LogReader.open(folder: settings.dataFolder, acceptsDamage: true)
        let lock = try? DirectoryLock(folder: settings.dataFolder)
        defer { withExtendedLifetime(lock) {} }
        let catalog = try CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        let segments = log.segments
        let found =
            lock == nil
            ? PostgresPlace.checkpoints(settings)?.places
            : PostgresPlace.checkpointsAtRest(settings)
        let names = catalog.tables.map(\.name) + catalog.aggregates.map(\.name) + ["audit"]
        var size = LogSize(
            segmentCount: segments.count, byteCount: segments.reduce(0) { $0 + $1.byteCount })
        size.damage = log.damage + (log.corruption.map { [$0] } ?? [])
        let status = ServerStatus(
            head: log.durable, dictionary: catalog.version, hold: nil, size: size,
            projections: names.sorted().map { name in
                let held = found?[name]?.pauseReason
                return ProjectionStatus(
                    name: name, position: found?[name]?.head.position ?? 0,
                    state: held == nil ? "stopped" : "paused", reason: held)
            },
            postgres: PostgresPlace.conninfo(settings) ?? "", postgresState: "stopped")
        var json = JSONWriter()
        status.write(to: &json)
        return String(decoding: json.unsafeBytes, as: UTF8.self)
    }

    /// The status as people read it.
    private struct Report: Decodable, CustomStringConvertible {
        struct Projection: Decodable {
            let position: Int
            let lag: Int
            let state: String
            let reason: String?
        }
        struct Damage: Decodable {
            let file: String
            let offset: UInt64
            let position: Int64
            let what: String
        }
        let durable_position: Int
        let segments: Int
        let bytes: Int
        let state: String
        let ledger: String
        let projections: [String: Projection]
        let postgres: String?
        let postgres_state: String
        let damage: [Damage]?

        /// A line for each damaged range.
        private var damageText: String {
            (damage ?? []).map {
                "  damaged: \($0.file) at offset \($0.offset), position \($0.position): "
                    + "\($0.what)\n"
            }.joined()
        }

        var description: String {
            let width = projections.keys.map(\.count).max() ?? 0
            let lines = projections.sorted { $0.key < $1.key }.map { name, projection in
                "  " + name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                    + "position \(projection.position), lag \(projection.lag), "
                    + "\(projection.state)\(projection.reason.map { ": \($0)" } ?? "")\n"
            }
            return """
                ledger \(ledger): \(state)
                log: next position \(durable_position), \(segments) segments, \(bytes) bytes
                \(damageText)\
                postgres \(postgres_state): \(postgres ?? "")
                projections:
                \(lines.joined())
                """
        }
    }
}
