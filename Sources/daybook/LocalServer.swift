import DaybookServer
import Foundation
import NIOCore
import ServiceLifecycle

/// The server of a ledger for one command: the one that runs, or one that listens on the local
/// socket alone for as long as the command takes.
enum LocalServer {
    /// Runs `body` with a client of the server. Without a running one the ledger is taken, its
    /// events are projected first, and what `body` appended after it.
    static func use<Value: Sendable>(
        _ settings: Settings, _ body: @escaping @Sendable (LocalClient) async throws -> Value
    ) async throws -> Value {
        let target = try await ImportTarget.find(settings)
        switch target {
        case .server(let client): return try await body(client)
        case .own(let composition):
            let value: Value
            do {
                _ = await composition.projections.projectToEnd { lag in
                    Console.progress("projecting: \(lag) events to go")
                }
                Console.endProgress()
                value = try await serve(composition, settings, body)
            } catch {
                await target.abandon()
                throw error
            }
            try await target.finish()
            return value
        }
    }

    private static func serve<Value: Sendable>(
        _ composition: Composition, _ settings: Settings,
        _ body: @escaping @Sendable (LocalClient) async throws -> Value
    ) async throws -> Value {
        let socket = LocalSocket(dataFolder: settings.dataFolder)
        let path = try socket.prepare()
        defer { socket.remove() }
        let work = BackupWork(
            try BackupOptions.parse([]).plan(settings), settings: settings,
            composition: composition, catalogFolder: try settings.catalogFolder())
        let parts = composition.serverParts(
            keys: KeyFile(path: settings.dataFolder + "/keys.json", extraKey: nil),
            backups: ServerBackups(work, logger: composition.logger))
        let (isRunning, running) = AsyncStream.makeStream(of: Void.self)
        let application = LedgerServer(parts).localApplication(socketPath: path) {
            chmod(path, 0o600)
            running.finish()
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: application)], logger: composition.logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { running.finish() }
                try await group.run()
            }
            for await _ in isRunning {}
            let result: Result<Value, any Error>
            if let client = LocalClient(dataFolder: settings.dataFolder) {
                do { result = .success(try await body(client)) } catch { result = .failure(error) }
            } else {
                result = .failure(CommandFailure(.failed, "the local socket does not answer"))
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return try result.get()
        }
    }
}
