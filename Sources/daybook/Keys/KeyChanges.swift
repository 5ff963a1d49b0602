import DaybookCatalog
import DaybookServer
import Foundation

/// Changes of the keys by the command line: the running server makes them, or, where none runs,
/// the command itself, which holds the ledger meanwhile. Postgres is left alone.
struct KeyChanges {
    let settings: Settings

    /// The key's file as commands use it.
    static func file(_ settings: Settings) -> KeyFile {
        KeyFile(path: settings.dataFolder + "/keys.json")
    }

    /// A key as scripts read it.
    struct Made: Decodable {
        let name: String
        let key: String
    }

    /// What is asked for.
    struct Wanted: Encodable {
        let name: String
        let scopes: [Scope]
        let tables: [String]?
    }

    /// Makes a key.
    ///
    /// - Returns: one JSON object, the key's text in it.
    func create(_ wanted: Wanted) async throws -> Data {
        try KeyFile.check(name: wanted.name)
        // Without a server a wrong name must not make a ledger; a server knows its own dictionary.
        if LocalClient(dataFolder: settings.dataFolder) == nil { try check(wanted.tables ?? []) }
        let target = try await ImportTarget.find(settings, projects: false)
        switch target {
        case .server(let client):
            let answer = try await client.send(
                "POST", "/local/v1/keys", contentType: "application/json",
                body: JSONEncoder().encode(wanted))
            guard answer.status == 200 else {
                let failure = client.failure(answer)
                // There is such a key: the ledger's state, no wrong usage.
                throw answer.status == 409 ? CommandFailure(.failed, failure.message) : failure
            }
            return answer.body
        case .own(let composition):
            return try await holding(composition) { registry, principal in
                let made = try await registry.create(
                    name: wanted.name, scopes: wanted.scopes, tables: wanted.tables,
                    by: principal)
                var json = JSONWriter(capacity: 512)
                made.write(to: &json)
                return Data(json.unsafeBytes)
            }
        }
    }

    /// Takes a key away at once, whatever state the ledger is in, and then sees to it that the log
    /// says so.
    ///
    /// - Throws: `CommandFailure` with what the log does not know, if it does not.
    func revoke(name: String) async throws {
        try KeyChanges.file(settings).revoke(name: name, by: "local:" + NSUserName())
        Console.progress("\(name) lets nobody in any more; telling the log")
        defer { Console.endProgress() }
        do {
            let target = try await ImportTarget.find(settings, projects: false)
            switch target {
            case .server(let client):
                let answer = try await client.send("POST", "/local/v1/keys/changes")
                guard answer.status == 200 else { throw client.failure(answer) }
            case .own(let composition):
                try await holding(composition) { registry, _ in
                    _ = try await registry.recordChanges()
                }
            }
        } catch {
            let failure = CommandFailure(error)
            throw CommandFailure(
                failure?.status ?? .failed,
                "\(name) is revoked and lets nobody in, but the log does not say so: "
                    + "\(failure?.message ?? "\(error)"); run the command again, or start the "
                    + "server, which records it too")
        }
    }

    private func check(_ tables: [String]) throws {
        guard !tables.isEmpty else { return }
        let catalog = try CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        let known = catalog.tables.map(\.name)
        guard let unknown = tables.first(where: { !known.contains($0) }) else { return }
        throw CommandFailure(
            .usage,
            "the dictionary has no table \(unknown); it has \(known.joined(separator: ", "))")
    }

    private func holding<Value: Sendable>(
        _ composition: Composition,
        _ body: (KeyRegistry, _ principal: String) async throws -> Value
    ) async throws -> Value {
        let registry = composition.keyRegistry(KeyChanges.file(settings))
        let value: Value
        do {
            value = try await body(registry, "local:" + NSUserName())
        } catch {
            try? await composition.close()
            throw error
        }
        try await composition.close()
        return value
    }
}
