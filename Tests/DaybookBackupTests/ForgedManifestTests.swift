import DaybookBackup
import DaybookLedger
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import LedgerWorld

/// A manifest says what a backup is of; what it says is held against the log and the ledger's key,
/// even where somebody has signed it.
@Suite struct ForgedManifestTests {
    /// 30 jobs in three batches.
    private func world() async throws -> World {
        let world = try await World()
        for _ in 0..<3 { try world.appendJobs(10) }
        await world.projectAll()
        return world
    }

    /// Makes a backup whose manifest then says something else, signed by a key.
    private func forge(
        _ world: World, by key: SigningKey? = nil, _ change: (String, BackupManifest) -> String
    ) throws -> String {
        let made = try world.backUp()
        let folder = "\(world.backups.name)/\(made.name)"
        let text = try String(contentsOfFile: "\(folder)/manifest.json", encoding: .utf8)
        let changed = change(text, made.manifest)
        #expect(changed != text, "the manifest was changed")
        try Data(changed.utf8).write(to: URL(fileURLWithPath: "\(folder)/manifest.json"))
        let signature = try (key ?? world.signingKey()).signature(of: Array(changed.utf8))
        try Data(signature).write(to: URL(fileURLWithPath: "\(folder)/manifest.sig"))
        return made.name
    }

    /// What a verification says, which must be a refusal too.
    private func refusal(_ verifier: BackupVerifier) throws -> String {
        let found = try verifier.run()
        let error = #expect(throws: BackupError.self) { try verifier.prove() }
        guard case .notProven = error else { return "restored, or \(String(describing: error))" }
        return found.summary ?? "sound"
    }

    /// Something that a manifest says, and what is said of it.
    struct Lie: Sendable, CustomTestStringConvertible {
        let from: @Sendable (BackupManifest) -> String
        let to: String
        let answer: String
        var testDescription: String { answer }
    }

    private static let lies = [
        Lie(
            from: { "\"root\" : \"\($0.root)\"" },
            to: "\"root\" : \"\(String(repeating: "0", count: 64))\"", answer: "another root"),
        Lie(
            from: { "\"tree_size\" : \($0.treeSize)" }, to: "\"tree_size\" : 2",
            answer: "another root"),
        Lie(
            from: { "\"position\" : \($0.position)" }, to: "\"position\" : 25",
            answer: "inside the batch 20..<30"),
        Lie(
            from: { "\"position\" : \($0.position)" }, to: "\"position\" : 31",
            answer: "the log ends at 30"),
        Lie(
            from: { "\"ledger\" : \"\($0.ledger)\"" },
            to: "\"ledger\" : \"\(LedgerID.random())\"", answer: "it is of ledger"),
        Lie(
            from: { "\"content_digest\" : \"\($0.tables[0].contentDigest)" },
            to: "\"content_digest\" : \"0", answer: "not those of the manifest's digest"),
        Lie(
            from: { "\"rows\" : \($0.tables[0].rows)" }, to: "\"rows\" : 29",
            answer: "not those of the manifest's digest"),
        Lie(
            from: { "\"bytes\" : \($0.tables[0].bytes)" }, to: "\"bytes\" : 7",
            answer: "the manifest says 7"),
        Lie(
            from: { "\"dictionary\" : \"\($0.dictionary)" }, to: "\"dictionary\" : \"0",
            answer: "the log has no dictionary"),
    ]

    @Test("What the ledger's own key has signed is held against the log", arguments: lies)
    func signed(_ lie: Lie) async throws {
        let world = try await world()
        let name = try forge(world) { text, manifest in
            text.replacing(lie.from(manifest), with: lie.to)
        }
        let source = try BackupSource(name, in: world.backups)
        let words = try refusal(world.verifier(source))
        #expect(words.contains(lie.answer), "\(words)")
    }

    @Test("A manifest that is of another version, or names files elsewhere, is not read")
    func unreadable() async throws {
        let world = try await world()
        for (old, new) in [
            ("\"format_version\" : 1", "\"format_version\" : 2"),
            ("\"format\" : \"daybook-backup\"", "\"format\" : \"backup\""),
            ("\"jobs.avro\"", "\"../jobs.avro\""), ("\"jobs.avro\"", "\"a/b/jobs.avro\""),
            ("\"jobs.avro\"", "\"notes.avro\""),
        ] {
            let name = try forge(world) { text, _ in text.replacing(old, with: new) }
            let error = #expect(throws: BackupError.self) {
                try BackupSource(name, in: world.backups)
            }
            guard case .badManifest = error else {
                Issue.record("\(new): \(String(describing: error))")
                continue
            }
        }
    }

    @Test("The newest backup is the newest of the ledger, not one of another")
    func newest() async throws {
        let world = try await world()
        let other = LedgerID.random()
        let foreign = try forge(world) { text, manifest in
            text.replacing(manifest.ledger, with: "\(other)")
                .replacing("\"position\" : 30", with: "\"position\" : 99")
        }
        let own = try world.backUp()
        let ledger = world.log.ledger
        #expect(try BackupSource.newest(in: world.backups, of: ledger)?.name == own.name)
        #expect(try BackupSource.newest(in: world.backups, of: other)?.name == foreign)
        #expect(try BackupSource.newest(in: world.backups)?.name == foreign)
        #expect(try BackupSource.newest(in: world.backups, before: 30)?.name == own.name)
    }

    @Test("Another key than the ledger's is not taken, whether the log is at hand or not")
    func otherKey() async throws {
        let world = try await world()
        let other = try SigningKey(path: world.folder.path("other.key"))
        let name = try forge(world, by: other) { text, manifest in
            text.replacing(manifest.publicKey, with: other.publicKey.description)
        }
        let source = try BackupSource(name, in: world.backups)
        #expect(
            try refusal(world.verifier(source))
                == "manifest.sig: signed by a key that the log does not name")
        let alone = BackupVerifier(
            source, log: nil, catalog: world.catalog, trustedKey: try world.signingKey().publicKey)
        #expect(try refusal(alone) == "manifest.sig: another key than the ledger's")
    }

    @Test("A backup without a signature is not restored")
    func unsigned() async throws {
        let world = try await world()
        let source = try world.backUp()
        try FileManager.default.removeItem(
            atPath: "\(world.backups.name)/\(source.name)/manifest.sig")
        #expect(try refusal(world.verifier(source)) == "manifest.sig: it is missing")
    }

    @Test("A file that is missing is named where the log is not at hand too")
    func missing() async throws {
        let world = try await world()
        let source = try world.backUp { $0.logFolder = world.folder.path("data") }
        let copied = try #require(source.manifest.log?.files.first?.file)
        let folder = "\(world.backups.name)/\(source.name)"
        for file in ["jobs.avro", copied] {
            try FileManager.default.removeItem(atPath: "\(folder)/\(file)")
        }
        let alone = BackupVerifier(source, log: nil, catalog: world.catalog)
        #expect(try refusal(alone) == "jobs.avro: it is missing; \(copied): it is missing")
    }

    @Test("Files that are right by themselves are no proof without the log")
    func withoutLog() async throws {
        let world = try await world()
        let verifier = BackupVerifier(
            try world.backUp(), log: nil, catalog: world.catalog,
            trustedKey: try world.signingKey().publicKey)
        #expect(try verifier.run().isSound)
        let error = #expect(throws: BackupError.self) { try verifier.prove() }
        #expect(error?.description.contains("not held against the log") == true)
    }
}
