import DaybookCatalog
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation
import Postgres

/// What a command that looks at the read side works with: the log, the dictionary, and Postgres.
///
/// Beside a running server it takes them as the server has them. Without one it holds the ledger
/// and runs the projections until `close`.
final class ReadSide: Sendable {
    let catalog: Catalog
    /// The folder with `projections/` and `sql/`.
    let catalogFolder: String
    private let dataFolder: String
    private let holder: Holder

    private enum Holder: Sendable {
        case server(conninfo: String)
        case own(Composition)
    }

    /// How long a running server's log may take to show what its Postgres has already: an event is
    /// attested when the next group follows it, or nothing does for `LogLimits.quietSeconds`.
    private static let patienceSeconds = 10.0

    private init(
        catalog: Catalog, catalogFolder: String, dataFolder: String, holder: Holder
    ) {
        self.catalog = catalog
        self.catalogFolder = catalogFolder
        self.dataFolder = dataFolder
        self.holder = holder
    }

    /// Finds the server that runs on the ledger, or takes the ledger and projects to its end.
    ///
    /// - Throws: `CommandFailure` with `unreachable` if there is no Postgres, with `usage` if there
    ///   is no ledger or the server has another dictionary.
    ///
    /// - Parameter projects: without it a ledger that is taken is not projected: what is done next
    ///   does not want it.
    static func open(_ settings: Settings, projects: Bool = true) async throws -> ReadSide {
        // Looking must not make a ledger where there is none.
        _ = try LogReader.open(folder: settings.dataFolder)
        let folder = try settings.catalogFolder()
        switch try await ImportTarget.find(settings, projects: projects) {
        case .server(let client):
            let catalog = try CatalogLoader.load(folder: folder + "/projections")
            let conninfo = try await conninfo(of: client, dictionary: catalog.version)
            return ReadSide(
                catalog: catalog, catalogFolder: folder, dataFolder: settings.dataFolder,
                holder: .server(conninfo: conninfo))
        case .own(let composition):
            let side = ReadSide(
                catalog: composition.catalog, catalogFolder: folder,
                dataFolder: settings.dataFolder, holder: .own(composition))
            do {
                if projects { try await side.projectToEnd(composition.projections) }
            } catch {
                try? await composition.close()
                throw error
            }
            return side
        }
    }

    /// Opens the read side, runs `body` on a thread where it may block, and lets go.
    static func use<Value: Sendable>(
        _ settings: Settings, projects: Bool = true,
        _ body: @escaping @Sendable (ReadSide) throws -> Value
    ) async throws -> Value {
        let side = try await open(settings, projects: projects)
        let result = try await offPool { Result { try body(side) } }
        Console.endProgress()
        do {
            try await side.close()
        } catch {
            // What `body` met says more than what the end met.
            _ = try result.get()
            throw error
        }
        return try result.get()
    }

    /// Stops what was started.
    func close() async throws {
        if case .own(let composition) = holder { try await composition.close() }
    }

    /// The events that are durable now. Blocks.
    func log() throws -> any LogSource {
        switch holder {
        case .server: try LogReader.open(folder: dataFolder)
        case .own(let composition): composition.log
        }
    }

    /// The events that are durable now, which are at least those below `position`: Postgres has
    /// them, and the server's own sync was before that. Blocks.
    ///
    /// - Throws: `CommandFailure` if the log does not come so far.
    func log(reaching position: Position) throws -> any LogSource {
        let deadline = ContinuousClock.now + .seconds(ReadSide.patienceSeconds)
        while true {
            let log = try log()
            if log.durable.position >= position { return log }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    .corrupt,
                    "Postgres is at position \(position), the log ends at "
                        + "\(log.durable.position): it lost data, or is an old copy")
            }
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    /// Where the ledger's Postgres is.
    var conninfo: String {
        switch holder {
        case .server(let conninfo): conninfo
        case .own(let composition): composition.projections.postgres
        }
    }

    /// A new connection to the ledger's Postgres. Blocks.
    func connect() throws -> PostgresConnection {
        switch holder {
        case .server(let conninfo): try PostgresConnection(.init(conninfo: conninfo))
        case .own(let composition): try composition.projections.connect()
        }
    }

    /// A projection that has stopped is none of our business: what it has is still looked at.
    private func projectToEnd(_ projections: Projections) async throws {
        let isProjected = await projections.projectToEnd { lag in
            Console.progress("projecting: \(lag) events to go")
        }
        Console.endProgress()
        guard !isProjected, projections.postgresState != "connected" else { return }
        throw CommandFailure(
            .unreachable,
            "Postgres could not be reached (\(projections.fault ?? "no answer")); "
                + "see that it runs, or say where it is with --postgres")
    }

    private struct ServerFacts: Decodable {
        let dictionary: String
        let postgres: String?
        let postgres_state: String
    }

    private static func conninfo(
        of client: LocalClient, dictionary: String
    ) async throws -> String {
        let facts = try JSONDecoder().decode(
            ServerFacts.self, from: try await client.settledStatus())
        guard facts.dictionary == dictionary else {
            throw CommandFailure(
                .usage,
                "the server runs with another dictionary; name its catalog with --catalog, "
                    + "or start it again")
        }
        guard let conninfo = facts.postgres, !conninfo.isEmpty else {
            throw CommandFailure(
                .unreachable,
                "the server's Postgres is \(facts.postgres_state); see its log, and try again")
        }
        return conninfo
    }
}
