import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookSegments
import Foundation
import TestSupport
import Testing

@testable import DaybookServer

/// A ledger with keys, whose parts a test can break and begin again.
private final class KeyWorld {
    let folder: TemporaryFolder
    let log: SegmentLog
    let ledger: Ledger
    let scripted: ScriptedLedger

    init() throws {
        folder = try TemporaryFolder()
        let catalog = try testCatalog()
        let clock: @Sendable () -> Microseconds = { 1_800_000_000_000_000 }
        log = try SegmentLog.open(
            folder: folder.path("data"),
            options: SegmentLogOptions(schema: try catalog.logSchema(), clock: clock))
        ledger = try Ledger.open(
            engine: log, catalog: catalog, stateFolder: folder.path("data/state"),
            options: LedgerOptions(wallClock: clock, bootClock: clock, onFatal: { _ in }))
        scripted = ScriptedLedger(ledger)
    }

    deinit {
        ledger.close()
        try? log.close()
    }

    var path: String { folder.path("keys.json") }

    /// What a new process has.
    func begin(extraKey: String? = nil) -> (file: KeyFile, registry: KeyRegistry) {
        let file = KeyFile(path: path, extraKey: extraKey)
        let registry = KeyRegistry(file: file, ledger: scripted, tables: ["jobs", "departments"])
        return (file, registry)
    }

    /// The events of keys, as the feed shows them: kind, name, who.
    var events: [String] {
        get throws {
            var text = JSONWriter(capacity: 4096)
            var writer = EventText()
            for block in try log.blocks(from: 0, byteLimit: 1 << 20) {
                _ = try writer.write(
                    block, filter: EventFilter(
                        positions: 0..<Position.max, tables: nil, verdict: .control),
                    limits: .init(), to: &text)
            }
            let lines = String(decoding: text.unsafeBytes, as: UTF8.self).split(separator: "\n")
            return try lines.compactMap { line in
                let event = try #require(
                    try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
                guard let kind = event["kind"] as? String, kind.hasPrefix("key_") else {
                    return nil
                }
                let text = try #require(event["text"] as? [String: Any])
                let who = text["by"] as? String ?? (text["found"] as? Bool == true ? "found" : "?")
                return "\(kind) \(text["name"] ?? "") \(who)"
            }
        }
    }
}

@Suite("Changes of keys in the log")
struct KeyRegistryTests {
    @Test("The log has who made and revoked a key, what it may do, and never the key")
    func audit() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin()
        let made = try await registry.create(
            name: "shop", scopes: [.append, .read], tables: ["jobs"], by: "local:ann")
        #expect(file.caller(presenting: made.text)?.principal == "shop")
        let event = try #require(try world.ledger.batch(at: made.position))
        #expect(made.key.createdAtMicroseconds == event.receivedAt)
        #expect(try file.list() == [made.key])
        let control = try #require(
            try await world.ledger.control(idempotencyKey: "key-change/1"))
        #expect(control.kind == "key_created")
        let prefix = made.key.sha256.prefix(8)
        #expect(
            String(decoding: control.text, as: UTF8.self) == """
                {"by":"local:ann","name":"shop","scopes":["append","read"],\
                "sha256_prefix":"\(prefix)","tables":["jobs"]}
                """)
        try file.revoke(name: "shop", by: "local:bob")
        #expect(file.caller(presenting: made.text) == nil)
        #expect(try await registry.recordChanges() == 1)
        #expect(
            try world.events == ["key_created shop local:ann", "key_revoked shop local:bob"])
        #expect(try file.content() == KeyFile.Content())
        let again = try await registry.create(
            name: "shop", scopes: [.read], tables: nil, by: "local:ann")
        #expect(again.text != made.text && again.key.sha256 != made.key.sha256)
        #expect(file.caller(presenting: again.text)?.scopes == [.read])
        #expect(try world.events.count == 3)
        let text = try String(contentsOfFile: world.path, encoding: .utf8)
        #expect(!text.contains(again.text))
    }

    @Test("A key of which the log did not take note is not made")
    func refusedEvent() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin()
        world.scripted.failRecords(with: .diskFull)
        await #expect(throws: KeyRegistryError.ledger(.diskFull)) {
            try await registry.create(name: "a", scopes: [.read], tables: nil, by: "local:ann")
        }
        #expect(try file.list() == [] && world.events == [])
        world.scripted.failRecords(with: nil)
        _ = try await registry.create(name: "a", scopes: [.read], tables: nil, by: "local:ann")
        #expect(try world.events == ["key_created a local:ann"])
    }

    @Test("A crash between the event and the file leaves no key, and the next start says so")
    func crashInCreate() async throws {
        let world = try KeyWorld()
        // What the log has when the process ends before the file is written.
        let facts = KeyFacts(name: "a", sha256Prefix: "0a1b2c3d", scopes: [.read], tables: nil)
        let control = KeyChange(.created, facts, by: "local:ann").control
        _ = try await world.ledger.record([control], idempotencyKey: "key-change/1")
        let (_, registry) = world.begin()
        #expect(try await registry.recordChanges() == 1)
        #expect(try world.events == ["key_created a local:ann", "key_revoked a found"])
        #expect(try await registry.recordChanges() == 0)
    }

    @Test("A revoked key lets nobody in before the log has it, and the log gets it once, later")
    func crashInRevoke() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin()
        let made = try await registry.create(
            name: "a", scopes: [.read], tables: nil, by: "local:ann")
        try file.revoke(name: "a", by: "local:bob")
        world.scripted.failRecords(with: .diskFull)
        await #expect(throws: KeyRegistryError.ledger(.diskFull)) {
            try await registry.recordChanges()
        }
        #expect(file.caller(presenting: made.text) == nil)
        world.scripted.failRecords(with: nil)
        // Two processes, one after the other; and the second time the file was not cleared.
        let before = try Data(contentsOf: URL(fileURLWithPath: world.path))
        #expect(try await world.begin().registry.recordChanges() == 1)
        try before.write(to: URL(fileURLWithPath: world.path))
        #expect(chmod(world.path, 0o600) == 0)
        #expect(try await world.begin().registry.recordChanges() == 0)
        #expect(try world.events == ["key_created a local:ann", "key_revoked a local:bob"])
        #expect(try file.content().revoked == nil)
    }

    @Test("What was done to the file by hand is recorded as found, and acts only then")
    func byHand() async throws {
        // A key by the name that is the environment's is not the environment's.
        let forged = try KeyWorld()
        let (kept, keeper) = forged.begin(extraKey: "of the environment")
        #expect(try await keeper.recordChanges(startingAs: "local:ann") == 1)
        #expect(kept.caller(presenting: "of the environment") != nil)
        let impostor = try KeyFile(path: forged.path).create(
            name: "impostor", scopes: [.admin], tables: nil)
        let renamed = try String(contentsOfFile: forged.path, encoding: .utf8)
            .replacing("\"impostor\"", with: "\"environment\"")
        try renamed.write(toFile: forged.path, atomically: false, encoding: .utf8)
        #expect(kept.caller(presenting: impostor) == nil)
        #expect(kept.caller(presenting: "of the environment") != nil)

        let world = try KeyWorld()
        // Keys of an older program, or of somebody with an editor.
        let old = try KeyFile(path: world.path).create(
            name: "old", scopes: [.read], tables: nil)
        let (file, registry) = world.begin()
        #expect(file.caller(presenting: old) == nil)
        #expect(try await registry.recordChanges() == 1)
        #expect(file.caller(presenting: old)?.principal == "old")

        let other = KeyFile(path: world.path)
        let slipped = try other.create(name: "slipped-in", scopes: Scope.allCases, tables: nil)
        #expect(file.caller(presenting: slipped) == nil, "the log does not know it")
        #expect(file.caller(presenting: old) != nil)
        // More rights than the log knows of are none.
        var text = try String(contentsOfFile: world.path, encoding: .utf8)
        let range = try #require(text.range(of: "\"read\"\n"))
        text.replaceSubrange(range, with: "\"read\", \"admin\"\n")
        try text.write(toFile: world.path, atomically: false, encoding: .utf8)
        #expect(file.caller(presenting: old) == nil)
        #expect(try await registry.recordChanges() == 3)
        #expect(file.caller(presenting: old)?.scopes == [.read, .admin])
        #expect(file.caller(presenting: slipped) != nil)

        try FileManager.default.removeItem(atPath: world.path)
        #expect(try await registry.recordChanges() == 2)
        #expect(
            try world.events == [
                "key_created old found", "key_revoked old found", "key_created old found",
                "key_created slipped-in found", "key_revoked old found",
                "key_revoked slipped-in found",
            ])
    }

    @Test("The environment's key is recorded when it comes and when it is gone, without a digest")
    func environment() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin(extraKey: "sesame")
        #expect(file.caller(presenting: "sesame") == nil)
        #expect(try await registry.recordChanges() == 0, "a command's environment is none")
        #expect(try await registry.recordChanges(startingAs: "local:ann") == 1)
        #expect(file.caller(presenting: "sesame")?.principal == "environment")
        #expect(try await registry.recordChanges(startingAs: "local:ann") == 0)
        let control = try await world.ledger.control(idempotencyKey: "key-change/1")
        #expect(
            String(decoding: control?.text ?? [], as: UTF8.self) == """
                {"by":"local:ann","name":"environment",\
                "scopes":["append","read","audit","admin"],"sha256_prefix":null,"tables":null}
                """)
        let (_, next) = world.begin()
        #expect(try await next.recordChanges(startingAs: "local:bob") == 1)
        #expect(
            try world.events == [
                "key_created environment local:ann", "key_revoked environment local:bob",
            ])
    }

    @Test("Tables that the dictionary does not have are told with those it has, and no event")
    func tables() async throws {
        let world = try KeyWorld()
        let (_, registry) = world.begin()
        await #expect(
            throws: KeyRegistryError.unknownTable("job", known: ["jobs", "departments"])
        ) {
            try await registry.create(
                name: "a", scopes: [.read], tables: ["jobs", "job"], by: "local:ann")
        }
        await #expect(throws: KeyRegistryError.file(.badName("a b"))) {
            try await registry.create(name: "a b", scopes: [.read], tables: nil, by: "local:ann")
        }
        #expect(try world.events == [])
    }

    @Test("Keys made and revoked by many at once are in the log in an order that makes sense")
    func concurrent() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    let name = "key\(number % 6)"
                    _ = try? await registry.create(
                        name: name, scopes: [.append], tables: nil, by: "local:ann")
                    _ = try? file.revoke(name: name, by: "local:bob")
                    _ = try? await registry.recordChanges()
                }
            }
        }
        #expect(try file.list() == [] && file.content().revoked == nil)
        var inForce: Set<Substring> = []
        let events = try world.events
        #expect(events.count >= 12)
        for event in events {
            let words = event.split(separator: " ")
            if words[0] == "key_created" {
                #expect(inForce.insert(words[1]).inserted)
                #expect(words[2] == "local:ann")
            } else {
                #expect(inForce.remove(words[1]) != nil)
                #expect(words[2] == "local:bob")
            }
        }
        #expect(inForce.isEmpty)
    }

    @Test("A guess costs some microseconds, with 200 keys in the file")
    func cost() async throws {
        let world = try KeyWorld()
        let (file, registry) = world.begin()
        for number in 0..<200 {
            _ = try KeyFile(path: world.path).create(
                name: "key\(number)", scopes: [.append], tables: nil)
        }
        try await registry.recordChanges()
        let text = try await registry.create(
            name: "last", scopes: [.read], tables: nil, by: "local:ann"
        ).text
        let start = ContinuousClock.now
        for _ in 0..<2_000 { #expect(file.caller(presenting: text) != nil) }
        let each = (ContinuousClock.now - start) / 2_000
        #expect(each < .microseconds(500), "\(each)")
    }
}
