import DaybookBackup
import DaybookLog
import DaybookProjections
import Foundation
import TestSupport
import Testing

@testable import LedgerWorld

/// A backup that anybody has changed, by accident or on purpose, is found out: `verify` names the
/// row where there is one, and a restore refuses before it touches a table.
@Suite struct TamperTests {
    @Test("Fault 35: each of 200 random changes to a backup is found, named, its restore refused")
    func tampering() async throws {
        let environment = ProcessInfo.processInfo.environment
        let seed = environment["DAYBOOK_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        let world = try await World(Shops.dictionary)
        var model = Shops()
        for _ in 0..<40 { try model.append(to: world, &random) }
        await world.projectAll()
        for codec in 0..<3 {
            _ = try world.backUp {
                $0.codec = [.null, .deflate, .zstandard][codec]
                $0.blockByteCount = 1024
            }
        }
        let names = try world.backups.backups()
        let before = try world.psql(Shops.query("sales", in: "public"))
        var found: [Tampering.Kind: Int] = [:]
        for number in 0..<200 {
            let kinds = Tampering.Kind.allCases
            let kind = kinds[number % kinds.count]
            let name = names[Int.random(in: 0..<names.count, using: &random)]
            let text = try tamper(world, name, kind, &random)
            found[kind, default: 0] += 1
            if let text {
                Issue.record("\(text), \(name), change \(number), seed \(seed)")
                return
            }
        }
        #expect(found.count == Tampering.Kind.allCases.count)
        #expect(try world.psql(Shops.query("sales", in: "public")) == before)
        #expect(
            try world.psql(
                "SELECT count(*) FROM pg_tables WHERE schemaname IN ('daybook_build', 'scratch')")
                == "0", "nothing was built from any of them")
        for name in names {
            let source = try BackupSource(name, in: world.backups)
            #expect(try world.verifier(source).run().isSound, "the originals are sound")
        }
    }

    /// Changes a copy of a backup; what is wrong if that is not found, nil if all is as it should.
    private func tamper(
        _ world: World, _ name: String, _ kind: Tampering.Kind, _ random: inout SeededGenerator
    ) throws -> String? {
        let folder = world.folder.path("tampered")
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            atPath: "\(world.backups.name)/\(name)", toPath: "\(folder)/\(name)")
        let original = try BackupSource(name, in: world.backups)
        var tampering = Tampering(
            kind, path: "\(folder)/\(name)", manifest: original.manifest,
            key: try world.signingKey())
        try tampering.run(&random)
        guard let source = try open(name, folder) else { return nil }
        let verification = try world.verifier(source).run()
        if verification.isSound { return "\(tampering.text) was not found" }
        if let position = tampering.position {
            let named = verification.tables.compactMap(\.differences).flatMap { differences in
                differences.missing.map(\.position) + differences.extra.map(\.position)
                    + differences.different.map(\.position)
            }
            if !named.contains(position) { return "\(tampering.text): the row was not named" }
        }
        return try isRefused(world, source) ? nil : "\(tampering.text) was restored"
    }

    /// Nil if the manifest is none any more, which is found as well.
    private func open(_ name: String, _ folder: String) throws -> BackupSource? {
        do {
            return try BackupSource(name, in: FolderStorage(path: folder))
        } catch {
            guard case .badManifest = error else { throw error }
            return nil
        }
    }

    private func isRefused(_ world: World, _ source: BackupSource) throws -> Bool {
        do {
            try world.restore(from: source) { $0.destination = "scratch" }
            return false
        } catch let error as BackupError {
            guard case .notProven = error else { throw error }
            return true
        }
    }
}
