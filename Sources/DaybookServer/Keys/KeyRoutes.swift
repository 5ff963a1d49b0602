import DaybookLedger
import DaybookLog
import Foundation
import Hummingbird

/// `/local/v1/keys`: changes of the keys, for the command line alone.
struct KeyRoutes: Sendable {
    let registry: KeyRegistry
    let bodies: BodyReceiver

    /// A request names scopes and tables: it is small.
    private static let bodyByteLimit = 1 << 20

    private struct Wanted: Decodable {
        let name: String
        let scopes: [Scope]
        let tables: [String]?
    }

    /// `POST`: makes a key, and answers its text, once.
    func create(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.admin)
        let receiver = bodies.limited(to: KeyRoutes.bodyByteLimit)
        let body = try await receiver.receive(request, context).bytes
        let data = body.withUnsafeBytes { Data($0) }
        guard let wanted = try? JSONDecoder().decode(Wanted.self, from: data),
            !wanted.scopes.isEmpty
        else {
            throw Problem.badRequest("bad-key", "send a name, scopes, and tables or null")
        }
        let made: MadeKey
        do throws(KeyRegistryError) {
            made = try await registry.create(
                name: wanted.name, scopes: wanted.scopes, tables: wanted.tables,
                by: caller.principal)
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter(capacity: 512)
        made.write(to: &json)
        return Response(status: .ok, json: json, headers: [.cacheControl: "no-store"])
    }

    /// `POST …/changes`: records what the log has not of the file.
    func record(_ request: Request, context: ServerContext) async throws -> Response {
        _ = try context.requireCaller(.admin)
        let count: Int
        do throws(KeyRegistryError) {
            count = try await registry.recordChanges()
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter()
        json.openObject()
        json.field("recorded", count)
        json.closeObject()
        return Response(status: .ok, json: json)
    }
}

extension MadeKey {
    /// Writes it as an object, the key's text in it.
    public func write(to json: inout JSONWriter) {
        json.openObject()
        json.field("name", key.name)
        json.field("key", text)
        key.writeFacts(to: &json)
        json.field("position", position)
        json.closeObject()
    }
}

extension Key {
    /// Writes what may be known of it: scopes, tables, digits of its digest, when it was made.
    public func writeFacts(to json: inout JSONWriter) {
        json.key("scopes")
        json.openArray()
        for scope in scopes { json.string(scope.rawValue) }
        json.closeArray()
        json.key("tables")
        if let tables {
            json.openArray()
            for table in tables { json.string(table) }
            json.closeArray()
        } else {
            json.null()
        }
        json.field("sha256_prefix", facts.sha256Prefix)
        json.key("created_at")
        if let createdAtMicroseconds { json.time(createdAtMicroseconds) } else { json.null() }
    }
}

extension Problem {
    /// Why the keys are as they were; or why the log does not say how they are.
    init(_ error: KeyRegistryError) {
        switch error {
        case .ledger(let error): self.init(error)
        case .unknownTable(let name, let known):
            self = .badRequest(
                "unknown-table",
                "the dictionary has no table \(name); it has \(known.joined(separator: ", "))")
        case .file(let error):
            switch error {
            case .nameTaken:
                self = Problem(
                    .conflict, "key-exists", title: "There is such a key",
                    detail: error.description)
            case .badName, .reservedName, .unknownName:
                self = .badRequest("bad-key", error.description)
            case .unreadable, .exposed, .foreign, .system:
                self = Problem(
                    .serviceUnavailable, "keys-unusable", title: "The keys cannot be used",
                    detail: error.description)
            }
        }
    }
}
