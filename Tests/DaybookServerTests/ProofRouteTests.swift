import DaybookLedger
import DaybookLog
import Foundation
import HummingbirdTesting
import Testing

@testable import DaybookServer

@Suite("Proofs by HTTP")
struct ProofRouteTests {
    @Test("An append's answer has the leaf by which its proof is known, and so has a replay")
    func receipts() async throws {
        try await withServer { client, _, log in
            let key = ["Idempotency-Key": "k"]
            let answer = try await client.append(#"[{"id":1,"job":"a"},{"id":2}]"#, headers: key)
            let leaf = try #require(try answer.json["leaf"] as? String)
            #expect(Digest(hexadecimal: leaf) != nil)
            let again = try await client.append(#"[{"id":1,"job":"a"},{"id":2}]"#, headers: key)
            #expect(again.body == answer.body)
            let refused = try await client.append("[{}]")
            #expect(refused.status == .badRequest)
            #expect(try refused.json["leaf"] is String)
            _ = try await client.append(#"{"id":3,"job":"c"}"#)

            let id = try #require(try answer.json["batch_id"] as? String)
            let proof = try await client.get("/v1/batches/\(id)/proof")
            #expect(proof.status == .ok && proof.headers[.contentType] == "application/json")
            #expect(proof.headers[.daybookPosition] == "\(log.durable.position)")
            let read = try BatchProof(json: Array(buffer: proof.body))
            let kept = try KeptReceipt(json: Array(buffer: answer.body))
            let signer = try SigningKey(seed: Array(1...32)).publicKey
            #expect(ProofCheck(read, trusted: signer, receipt: kept).isGood)
            #expect(read.path.head == log.durable && read.path.earlier == nil)
            let batch = try await client.get("/v1/batches/\(id)")
            #expect(try batch.json["leaf"] as? String == leaf)
        }
    }

    @Test("from_size adds the path from that tree; a size that never was is 400")
    func consistency() async throws {
        try await withServer { client, _, log in
            let early = log.durable
            let answer = try await client.append(#"{"id":1,"job":"a"}"#)
            let id = try #require(try answer.json["batch_id"] as? String)
            for size in 1...log.durable.size {
                let proof = try await client.get("/v1/batches/\(id)/proof?from_size=\(size)")
                let read = try BatchProof(json: Array(buffer: proof.body))
                #expect(ProofCheck(read).isGood && read.path.earlier?.size == size)
                if size == early.size { #expect(read.path.earlier?.root == early.root) }
            }
            for size in ["0", "-1", "x", "\(log.durable.size + 1)", "1.5", ""] {
                let wrong = try await client.get("/v1/batches/\(id)/proof?from_size=\(size)")
                #expect(wrong.status == .badRequest, "\(size)")
                #expect(try wrong.problem == "bad-option")
            }
        }
    }

    @Test("A proof is for whoever may see the batch")
    func scopes() async throws {
        try await withServer { client, _, _ in
            let body = #"{"id":1,"department":"a"}"#
            let answer = try await client.append(body, to: "departments")
            let id = try #require(try answer.json["batch_id"] as? String)
            #expect(try await client.get("/v1/batches/\(id)/proof", key: "reader").status == .ok)
            let other = try await client.get("/v1/batches/\(id)/proof", key: "jobs")
            #expect(other.status == .notFound)
            #expect(try await client.get("/v1/batches/\(id)/proof", key: nil).status.code == 401)
            let none = "0190a000-0000-7000-8000-000000000000"
            #expect(try await client.get("/v1/batches/\(none)/proof").status == .notFound)
        }
    }

    @Test("Only so many proofs are made at once; more are told to ask again")
    func busy() async throws {
        let places = Places(limit: 2)
        var taken = [places.take(), places.take()]
        #expect(taken.allSatisfy { $0 != nil } && places.take() == nil && places.count == 2)
        taken.removeLast()
        #expect(places.take() != nil && places.count == 1)
        withExtendedLifetime(taken) {}
        try await withServer(proofLimit: 0) { client, _, _ in
            let answer = try await client.append(#"{"id":1,"job":"a"}"#)
            let id = try #require(try answer.json["batch_id"] as? String)
            let refused = try await client.get("/v1/batches/\(id)/proof")
            #expect(refused.status.code == 503 && refused.headers[.retryAfter] == "1")
            #expect(try refused.problem == "proofs-busy")
        }
    }
}
