import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

/// The key by which a ledger signs, and which keys its log names.
@Suite("Signing keys")
struct SigningKeyTests {
    @Test("A key that was made is its owner's alone, stays the same, and is the one openssl sees")
    func made() throws {
        let folder = try TemporaryFolder()
        let path = folder.path("ledger.key")
        let key = try SigningKey(path: path)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]
        #expect(mode as? Int == 0o600)
        #expect(try SigningKey(path: path).publicKey == key.publicKey)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["ledger.key"])
        let seen = try runTool("openssl", ["pkey", "-in", path, "-pubout"])
        #expect(seen.status == 0 && seen.text == key.publicKey.pem)
    }

    @Test(
        "A key of another kind is refused, and so is a file that is none",
        arguments: ["X25519", "ED448", "none"])
    func otherKind(_ kind: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("no key\n", to: "ledger.key")
        if kind != "none" {
            let made = try runTool("openssl", ["genpkey", "-algorithm", kind, "-out", path])
            #expect(made.status == 0, "\(made.errorText)")
        }
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let error = #expect(throws: LedgerError.self) { try SigningKey(path: path) }
        guard case .state(let words) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(words.contains("no Ed25519 key"), "\(words)")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text, "it was not overwritten")
    }

    @Test("The log names the first key and every later one; no other kind of event does")
    func named() async throws {
        let folder = try TemporaryFolder()
        let keys = try ["a", "b", "c"].map { try SigningKey(path: folder.path($0)).publicKey }
        let bench = try Bench { $0.signingKey = keys[0] }
        #expect(try SigningKeys.first(of: bench.log) == keys[0])
        #expect(try SigningKeys.all(of: bench.log) == [keys[0]])
        try await bench.append("departments", #"[{"id":1,"name":"a"}]"#)
        for _ in 0..<2 {
            let receipt = await withCheckedContinuation { continuation in
                bench.ledger.announce(keys[1]) { continuation.resume(returning: $0) }
            }
            _ = try receipt.get()
        }
        let text = #"{"algorithm":"Ed25519","signing_key":"\#(keys[2])"}"#
        _ = try await bench.ledger.record([Control(kind: "provenance", text: Array(text.utf8))])
        #expect(try SigningKeys.first(of: bench.log) == keys[0])
        #expect(try SigningKeys.all(of: bench.log) == [keys[0], keys[1]])
    }
}
