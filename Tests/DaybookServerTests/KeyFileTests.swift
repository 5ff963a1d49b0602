import Foundation
import Synchronization
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
        try command.revoke(name: "shop", by: "local:ann")
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
        #expect(throws: KeyFileError.unknownName("b")) { try keys.revoke(name: "b", by: "x") }
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
        #expect(chmod(path, 0o600) == 0)
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

    @Test("A file that others may read or write lets nobody in until it is its owner's alone again")
    func exposed() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        let faults = Mutex<[KeyFileError]>([])
        let keys = KeyFile(path: path, extraKey: "extra") { fault in
            faults.withLock { $0.append(fault) }
        }
        let text = try keys.create(name: "a", scopes: [.read], tables: nil)
        for mode: mode_t in [0o640, 0o620, 0o604, 0o602, 0o666] {
            #expect(keys.caller(presenting: text)?.principal == "a")
            #expect(chmod(path, mode) == 0)
            let expected = KeyFileError.exposed(path: path, mode: mode)
            for key in [text, "extra", text] { #expect(keys.caller(presenting: key) == nil) }
            #expect(throws: expected) { try keys.list() }
            #expect(throws: expected) { try keys.revoke(name: "a", by: "x") }
            #expect(throws: expected) { try keys.create(name: "b", scopes: [.read], tables: nil) }
            #expect(faults.withLock(\.self) == [expected])
            #expect(expected.description.contains("chmod 600 \(path)"))
            faults.withLock { $0 = [] }
            #expect(chmod(path, 0o600) == 0)
        }
        #expect(keys.caller(presenting: "extra") != nil)
    }

    @Test("A file of another user is not used")
    func foreign() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        let text = try KeyFile(path: path).create(name: "a", scopes: [.read], tables: nil)
        // Only root can give a file away; another user looks at one of root's.
        let isRoot = geteuid() == 0
        if isRoot { #expect(chown(path, 12_345, 12_345) == 0) }
        let other = isRoot ? path : "/etc/hostname"
        let keys = KeyFile(path: other)
        #expect(throws: KeyFileError.foreign(path: other, owner: isRoot ? 12_345 : 0)) {
            try keys.list()
        }
        #expect(keys.caller(presenting: text) == nil)
    }

    @Test("A folder in the place of the file, or none that can be looked into, lets nobody in")
    func noFile() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("keys.json")
        #expect(KeyFile(path: path, extraKey: "x").caller(presenting: "x") != nil)
        #expect(mkdir(path, 0o700) == 0)
        #expect(KeyFile(path: path, extraKey: "x").caller(presenting: "x") == nil)
        let file = try folder.write("", to: "file")
        let below = KeyFile(path: file + "/keys.json", extraKey: "x")
        #expect(below.caller(presenting: "x") == nil)
        #expect(throws: KeyFileError.self) { try below.list() }
    }

    @Test("Names that the log has for others are no names of keys")
    func reserved() throws {
        let folder = try TemporaryFolder()
        let keys = KeyFile(path: folder.path("keys.json"))
        for name in ["system", "environment"] {
            #expect(throws: KeyFileError.reservedName(name)) {
                try keys.create(name: name, scopes: [.read], tables: nil)
            }
        }
    }

    @Test("A key that was taken away is kept in the file, lets nobody in, and frees its name")
    func revoked() throws {
        let folder = try TemporaryFolder()
        let keys = KeyFile(path: folder.path("keys.json"))
        let old = try keys.create(name: "a", scopes: [.read], tables: nil)
        #expect(try keys.revoke(name: "a", by: "local:ann"))
        #expect(try !keys.revoke(name: "a", by: "local:bob"), "the log may not have it yet")
        let new = try keys.create(name: "a", scopes: [.append], tables: nil)
        #expect(keys.caller(presenting: old) == nil)
        #expect(keys.caller(presenting: new)?.scopes == [.append])
        let pending = try #require(try keys.content().revoked)
        #expect(pending.map(\.by) == ["local:ann"])
        try keys.forget(pending)
        #expect(try keys.content().revoked == nil)
        #expect(throws: KeyFileError.unknownName("b")) { try keys.revoke(name: "b", by: "x") }
    }
}

extension KeyFile {
    /// Makes a key without a log.
    func create(name: String, scopes: [Scope], tables: [String]?) throws(KeyFileError) -> String {
        let text = Key.randomText()
        try add(Key(name: name, text: text, scopes: scopes, tables: tables))
        return text
    }
}
