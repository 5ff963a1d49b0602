import DaybookLog
import Foundation
import Testing

@testable import DaybookLedger

@Suite("Proofs and anchors")
struct ProofTests {
    private static func key(_ first: UInt8) throws -> SigningKey {
        try SigningKey(seed: Array(first..<first + 32))
    }

    /// A ledger with a few batches, and their receipts.
    private static func ledger() async throws -> (Bench, [Receipt]) {
        let bench = try Bench()
        var receipts: [Receipt] = []
        for id in 1...9 {
            receipts.append(
                try await bench.append(
                    "departments", #"[{"id":\#(id),"name":"a"},{"id":\#(id)}]"#))
        }
        return (bench, receipts)
    }

    /// The digest of no batch.
    private static func digest(_ number: UInt8) -> Digest {
        [number].withUnsafeBytes { Digest(of: $0) }
    }

    private static func fault(_ body: () throws(ProofFault) -> Void) -> String {
        do throws(ProofFault) {
            try body()
            return ""
        } catch {
            return error.description
        }
    }

    @Test("The signed note in the manual of Go's note package checks, and nothing near it")
    func publishedNote() throws {
        let note = """
            If you think cryptography is the answer to your problem,
            then you don't know what your problem is.

            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSN\
            XgKvqfqdngotpRZb6KE6RyyBwJnAM=

            """
        let named = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
        let encoded = try #require(named.split(separator: "+").last)
        let bytes = try #require(Data(base64Encoded: String(encoded)))
        let key = VerifyingKey(bytes: Array(bytes.dropFirst()))
        let read = try SignedNote(note)
        #expect(read.description == note)
        #expect(read.isSigned(by: key, name: "PeterNeumann"))
        #expect(!read.isSigned(by: key, name: "Peter"))
        #expect(!read.isSigned(by: try Self.key(1).publicKey, name: "PeterNeumann"))
        let changed = try SignedNote(note.replacingOccurrences(of: "answer", with: "Answer"))
        #expect(!changed.isSigned(by: key, name: "PeterNeumann"))
    }

    @Test("What is no note is refused")
    func notNotes() {
        let line = "\u{2014} a AAAAAAAA\n"
        for text in [
            "", "\n", "text\n", "text\n\n", "text\n\n\n", "text\n\n- a AAAAAAAA\n",
            "text\n\n\u{2014} a AAAA\n", "text\n\n\u{2014} a+b AAAAAAAA\n",
            "text\n\n\u{2014}  AAAAAAAA\n", "text\n\n\u{2014} a AAAAAAAA", "text\r\n\r\n" + line,
            "text\n\n\u{2014} a !!!!!!!!\n", "te\txt\n\n" + line, "text\n\n" + line + "x\n",
            String(repeating: "x", count: SignedNote.byteCountMax) + "\n\n" + line,
        ] {
            let fault = Self.fault { () throws(ProofFault) in _ = try SignedNote(text) }
            #expect(!fault.isEmpty, "\(text.debugDescription.prefix(60))")
        }
        let fault = Self.fault { () throws(ProofFault) in
            _ = try SignedNote("text\n\nmore\n\n" + line)
        }
        #expect(fault.isEmpty)
    }

    @Test("A tree head reads back as it was signed, and no other text passes for it")
    func treeHeads() throws {
        let ledger = LedgerID(high: 1, low: 2)
        let head = TreeHead(
            ledger: ledger, size: 12, position: 345, root: Self.digest(7))
        let key = try Self.key(1)
        let signed = SignedTreeHead(signing: head, key: key)
        let lines = signed.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "daybook/00000000000000010000000000000002" && lines[1] == "12")
        #expect(lines[3] == "position 345" && lines[4].isEmpty)
        let read = try SignedTreeHead(signed.text)
        #expect(read.head == head && read.text == signed.text)
        #expect(read.isSigned(by: key.publicKey))
        #expect(!read.isSigned(by: try Self.key(2).publicKey))
        for (old, new) in [
            ("\n12\n", "\n13\n"), ("position 345", "position 346"),
            ("0002\n", "0003\n"),
        ] {
            let changed = try SignedTreeHead(
                signed.text.replacingOccurrences(of: old, with: new))
            #expect(!changed.isSigned(by: key.publicKey), "\(new)")
        }
        for (old, new) in [
            ("\n12\n", "\n012\n"), ("\n12\n", "\n-1\n"), ("position 345", "position +345"),
            ("position 345", "place 345"), ("position 345\n", ""), ("daybook/", "other/"),
            ("position 345\n", "\nposition 345\n"), ("daybook/0", "daybook/-0"),
        ] {
            let text = signed.text.replacingOccurrences(of: old, with: new)
            let fault = Self.fault { () throws(ProofFault) in _ = try SignedTreeHead(text) }
            #expect(!fault.isEmpty, "\(new)")
        }
    }

    @Test("A proof goes through its file, and holds for its receipt and for anchors around it")
    func proofs() async throws {
        let (bench, receipts) = try await Self.ledger()
        let key = try Self.key(1)
        let head = bench.log.durable
        let receipt = receipts[4]
        let early = try #require(try bench.log.place(of: receipts[2].endPosition).head)
        let proof = try BatchProof(
            of: receipt, in: bench.log, head: head, from: early.size, key: key)
        #expect(proof.path.leaf == receipt.leaf)
        let read = try BatchProof(json: proof.json)
        #expect(read == proof && read.json == proof.json)
        #expect(ProofCheck(read).isGood && ProofCheck(read, trusted: key.publicKey).isGood)
        #expect(!ProofCheck(read, trusted: try Self.key(2).publicKey).isGood)

        let kept = try Self.kept(receipt)
        #expect(ProofCheck(read, receipt: kept).isGood)
        for other in receipts where other.batchID != receipt.batchID {
            #expect(!ProofCheck(read, receipt: try Self.kept(other)).isGood)
        }
        func anchor(_ head: TreeHead, _ key: SigningKey) -> Bool {
            ProofCheck(read, anchor: SignedTreeHead(signing: head, key: key)).isGood
        }
        #expect(anchor(head, key) && anchor(early, key))
        #expect(!anchor(early, try Self.key(2)))
        let middle = try #require(try bench.log.place(of: receipts[6].endPosition).head)
        #expect(!anchor(middle, key), "the file has no path from there")
        let forged = TreeHead(
            ledger: early.ledger, size: early.size, position: early.position,
            root: Self.digest(1))
        #expect(!anchor(forged, key))
        let stranger = TreeHead(ledger: .random(), size: 1, position: 1, root: early.root)
        #expect(!anchor(stranger, key))
    }

    @Test("Whatever is changed in a proof's file is noticed, or is not part of what is proven")
    func changedProofs() async throws {
        let (bench, receipts) = try await Self.ledger()
        let proof = try BatchProof(
            of: receipts[3], in: bench.log, head: bench.log.durable, from: 3,
            key: try Self.key(1))
        let text = String(decoding: proof.json, as: UTF8.self)
        // Only with a receipt is it known which batch the leaf is of.
        let labels = ["batch_id", "position", "rows"]
        let kept = try Self.kept(receipts[3])
        for line in text.split(separator: "\n") where line.contains(where: \.isHexDigit) {
            let changed = line.reversed().contains("1")
                ? line.replacing("1", with: "2") : line.replacing("0", with: "1")
            guard changed != line else { continue }
            let file = Array(text.replacing(line, with: changed).utf8)
            guard let read = Self.read(file) else { continue }
            #expect(!ProofCheck(read, receipt: kept).isGood, "\(changed)")
            if !labels.contains(where: { line.contains("\"\($0)\"") }) {
                #expect(!ProofCheck(read).isGood, "\(changed)")
            }
        }
        #expect(Self.read(Array("{}".utf8)) == nil && Self.read([]) == nil)
        let younger = text.replacing(#""version" : 1"#, with: #""version" : 2"#)
        #expect(younger != text && Self.read(Array(younger.utf8)) == nil)
    }

    @Test("A batch is found in any log by its id")
    func byID() async throws {
        let (bench, receipts) = try await Self.ledger()
        for receipt in receipts {
            let found = try #require(try bench.log.batch(id: receipt.batchID))
            #expect(found.leaf == receipt.leaf && found.position == receipt.position)
        }
        #expect(try bench.log.batch(id: "0190a000-0000-7000-8000-000000000000") == nil)
        #expect(try bench.log.batch(id: "no id") == nil)
    }

    @Test("The public key goes through PEM")
    func pem() throws {
        let key = try Self.key(1).publicKey
        #expect(VerifyingKey(pem: key.pem) == key)
        #expect(VerifyingKey(pem: key.pem.replacing("PUBLIC", with: "PRIVATE")) == nil)
        #expect(VerifyingKey(pem: "") == nil)
    }

    private static func kept(_ receipt: Receipt) throws -> KeptReceipt {
        try KeptReceipt(
            json: Array(
                """
                {"batch_id":"\(receipt.batchID)","position":\(receipt.position),
                "rows":\(receipt.rowCount),"leaf":"\(receipt.leaf)","accepted":1,"rejected":[]}
                """.utf8))
    }

    private static func read(_ file: [UInt8]) -> BatchProof? {
        do throws(ProofFault) {
            return try BatchProof(json: file)
        } catch {
            return nil
        }
    }
}
