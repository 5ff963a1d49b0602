import Foundation
import TestSupport
import Testing

@testable import DaybookServer

@Suite("Keys")
struct KeyFileTests {
    @Test("A key made in one process is known at once in another, and once revoked no longer")
    func atOnce() throws {
        let folder = try TemporaryFolder()
        let server = KeyFile(path: folder.path("keys.json"))
        let command = KeyFile(path: folder.path("keys.json"))
        #expect(server.caller(presenting: "nobody") == nil)
        let text = try command.create(name: "shop", scopes: [.append], tables: ["orders"])
        let caller = try #require(server.caller(presenting: text))
        #expect(caller.principal == "shop")
        #expect(caller.scopes == [.append] && caller.tables == ["orders"])
        #expect(caller.mayTouch("orders") && !caller.mayTouch("jobs"))
        let other = try command.create(name: "other", scopes: Scope.allCases, tables: nil)
        #expect(server.caller(presenting: other)?.mayTouch("jobs") == true)
        try command.revoke(name: "shop")
        #expect(server.caller(presenting: text) == nil)
        #expect(server.caller(presenting: other) != nil)
    }

    @Test("The file is its owner's alone and holds no key, only what sha256sum says of it")
    func atRest() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        let text = try KeyFile(path: path).create(name: "a", scopes: [.read], tables: nil)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        let kept = try String(contentsOfFile: path, encoding: .utf8)
        #expect(!kept.contains(text))
        let sum = try runTool(requireTool("sha256sum"), [], input: Data(text.utf8))
        #expect(kept.contains(sum.text.prefix(64)))
    }

    @Test("The environment's key has every scope and is in no file")
    func environment() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        let keys = KeyFile(path: path, extraKey: "from the environment")
        #expect(keys.caller(presenting: "from the environment")?.scopes == Set(Scope.allCases))
        _ = try keys.create(name: "a", scopes: [.read], tables: nil)
        #expect(keys.caller(presenting: "from the environment") != nil)
        #expect(!(try String(contentsOfFile: path, encoding: .utf8)).contains("environment"))
    }

    @Test("Names are unique, and plain enough for a log")
    func names() throws {
        let folder = try TemporaryFolder()
        let keys = KeyFile(path: folder.path("keys.json"))
        _ = try keys.create(name: "a", scopes: [.read], tables: nil)
        #expect(throws: KeyFileError.nameTaken("a")) {
            try keys.create(name: "a", scopes: [.read], tables: nil)
        }
        #expect(throws: KeyFileError.unknownName("b")) { try keys.revoke(name: "b") }
        for name in ["", "a b", "ü", "a\n", String(repeating: "a", count: 65)] {
            #expect(throws: KeyFileError.badName(name)) {
                try keys.create(name: name, scopes: [.read], tables: nil)
            }
        }
    }

    @Test("A damaged file lets nobody in, and is not written over")
    func damaged() throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("{", to: "keys.json")
        let keys = KeyFile(path: path)
        #expect(keys.caller(presenting: "") == nil)
        #expect(throws: KeyFileError.unreadable(path: path)) {
            try keys.create(name: "a", scopes: [.read], tables: nil)
        }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "{")
    }

    @Test("Keys made by many at once are all there")
    func concurrent() async throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                group.addTask {
                    _ = try KeyFile(path: path).create(
                        name: "key\(index)", scopes: [.append], tables: nil)
                }
            }
            try await group.waitForAll()
        }
        #expect(try KeyFile(path: path).list().count == 20)
    }
}
