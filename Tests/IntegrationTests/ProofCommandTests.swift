import Foundation
import LogForger
import TestSupport
import Testing

/// `log verify --anchor … --json`.
private struct Verification: Decodable {
    let ok: Bool
    let events: Int
    let anchors: Int?
    let anchors_that_hold: Int?
    let key_from: String?
    let anchored: Range?
    let unanchored: Range?
    let problems: [Problem]

    struct Range: Decodable, Equatable {
        let from: Int
        let to: Int
    }

    struct Problem: Decodable {
        let position: Int
        let what: String
    }
}

/// `log anchor --json`.
private struct Anchored: Decodable {
    let file: String
    let written: Bool
    let position: Int
    let size: Int
    let root: String
}

/// What a proof's file says; only what the tests look at.
private struct ProofFile: Decodable {
    let batch_id: String
    let position: Int
    let leaf: String
    let leaf_index: Int
    let inclusion: [String]
}

extension Integration {
    @Suite("Proofs and anchors") struct Proofs {
        /// Keeps an append's answer, as a client does, and gives its batch.
        private func append(
            _ ids: ClosedRange<Int>, to daybook: DaybookServer, keep file: String
        ) async throws -> Verdicts {
            let rows = ids.map { #"{"id": \#($0), "job": "Lamplighter \#($0)"}"# }
            let answer = try await daybook.client.append(
                "[\(rows.joined(separator: ","))]", to: "jobs")
            #expect(answer.status == 200, "\(answer.text)")
            try daybook.folder.write(answer.text, to: file)
            return try answer.verdicts()
        }

        private func keepKey(_ daybook: DaybookServer) throws -> String {
            let pem = try daybook.run(["keys", "ledger"])
            #expect(pem.status == 0, "\(pem.errorText)")
            return try daybook.folder.write(pem.text, to: "elsewhere/ledger.pub")
        }

        private func python(_ arguments: [String]) throws -> ToolResult {
            try runTool(
                try pythonPath,
                ["\(packageRoot)/Tests/IntegrationTests/scripts/check_proof.py"] + arguments)
        }

        @Test(
            """
            A proof checks by itself, by another program, and by curl and the command alike; a \
            changed one does not
            """)
        func proofs() async throws {
            try await withDaybook { daybook in
                let key = try keepKey(daybook)
                for batch in 0..<5 {
                    _ = try await append(
                        batch * 10...batch * 10 + 2, to: daybook, keep: "answer-\(batch).json")
                }
                let batch = try await append(100...101, to: daybook, keep: "answer.json")
                _ = try await append(200...200, to: daybook, keep: "later.json")

                let web = try await daybook.client.get(
                    "/v1/batches/\(batch.batch_id)/proof?from_size=4")
                #expect(web.status == 200, "\(web.text)")
                try daybook.folder.write(web.text, to: "web.proof")
                let made = try daybook.run([
                    "proof", "get", batch.batch_id, "--from-size", "4", "--out",
                    daybook.folder.path("own.proof"),
                ])
                #expect(made.status == 0, "\(made.errorText)")
                for file in ["web.proof", "own.proof"] {
                    let oracle = try python([daybook.folder.path(file), key])
                    #expect(oracle.status == 0, "\(oracle.errorText)")
                    let check = try runTool(
                        try daybookBinary,
                        [
                            "proof", "check", daybook.folder.path(file), "--key", key,
                            "--receipt", daybook.folder.path("answer.json"), "--json",
                        ], environment: ["DAYBOOK_DATA": daybook.folder.path("nowhere")])
                    #expect(check.status == 0, "\(check.text)\(check.errorText)")
                }
                let own = try String(
                    contentsOfFile: daybook.folder.path("own.proof"), encoding: .utf8)
                #expect(web.text == own)
                let wrong = try daybook.run([
                    "proof", "check", daybook.folder.path("web.proof"), "--receipt",
                    daybook.folder.path("later.json"),
                ])
                #expect(wrong.status == 1 && wrong.text.contains("FALSE receipt"))
                try expectTamperingFound(web, daybook, key: key)

                let none = try daybook.run(["proof", "get", UUID().uuidString])
                #expect(none.status == 2 && none.errorText.contains("no batch"))
                let size = try daybook.run(["proof", "get", batch.batch_id, "--from-size", "99"])
                #expect(size.status == 2 && size.errorText.contains("--from-size"))
                let noProof = try daybook.run(["proof", "check", "answer.json"])
                #expect(noProof.status == 2 && noProof.errorText.contains("is no proof"))
            }
        }

        /// Every digest of a proof, changed by one digit, is found by us and by the oracle.
        private func expectTamperingFound(
            _ proof: HTTPAnswer, _ daybook: DaybookServer, key: String
        ) throws {
            let file = try JSONDecoder().decode(ProofFile.self, from: proof.body)
            for digest in file.inclusion + [file.leaf] {
                let changed = String(digest.dropLast()) + (digest.last == "0" ? "1" : "0")
                let path = try daybook.folder.write(
                    proof.text.replacingOccurrences(of: digest, with: changed), to: "bad.proof")
                let check = try daybook.run(["proof", "check", path, "--key", key])
                #expect(check.status == 1 && check.text.contains("FALSE inclusion"))
                #expect(try python([path, key]).status == 1)
            }
        }

        @Test("A server writes anchors by itself and at its end, and tells ranges apart by them")
        func anchors() async throws {
            try await withDaybook(start: false) { daybook in
                let elsewhere = daybook.folder.path("elsewhere/anchors")
                try await daybook.start(["--anchor", elsewhere, "--anchor-every", "1s"])
                let key = try keepKey(daybook)
                let first = try await append(1...3, to: daybook, keep: "one.json")
                let end = first.position + 3
                func files() throws -> [String] {
                    try FileManager.default.contentsOfDirectory(atPath: elsewhere).sorted()
                }
                let name = String(repeating: "0", count: 20 - "\(end)".count) + "\(end).checkpoint"
                try await wait("the anchor") { try files().contains(name) }
                _ = try await append(4...5, to: daybook, keep: "two.json")
                try daybook.stop()
                let all = try files()
                #expect(all.allSatisfy { $0.hasSuffix(".checkpoint") }, "\(all)")

                let whole = try daybook.json(
                    ["log", "verify", "--anchor", elsewhere, "--key", key], as: Verification.self)
                #expect(whole.ok && whole.anchors == all.count && whole.key_from == "given")
                #expect(whole.anchored == .init(from: 0, to: whole.events))
                #expect(whole.unanchored == .init(from: whole.events, to: whole.events))
                let part = try daybook.json(
                    ["log", "verify", "--anchor", "\(elsewhere)/\(name)"], as: Verification.self)
                #expect(part.ok && part.key_from == "ledger.key" && part.anchors_that_hold == 1)
                #expect(part.anchored == .init(from: 0, to: end))
                #expect(part.unanchored == .init(from: end, to: whole.events))
                #expect(whole.events == end + 2)

                let again = try daybook.json(["log", "anchor", elsewhere], as: Anchored.self)
                #expect(!again.written && again.position == whole.events)
                #expect(try files() == all)
                try expectBadAnchorsRefused(daybook, anchor: "\(elsewhere)/\(name)", key: key)
            }
        }

        private func expectBadAnchorsRefused(
            _ daybook: DaybookServer, anchor: String, key: String
        ) throws {
            let text = try String(contentsOfFile: anchor, encoding: .utf8)
            let changed = try daybook.folder.write(
                text.replacingOccurrences(of: "position ", with: "position 1"),
                to: "changed.checkpoint")
            let unsigned = try daybook.run(["log", "verify", "--anchor", changed])
            #expect(unsigned.status == 1 && unsigned.errorText.contains("not signed"))
            let none = try daybook.run(["log", "verify", "--anchor", key])
            #expect(none.status == 2 && none.errorText.contains("is no anchor"))
            let empty = daybook.folder.path("empty")
            try FileManager.default.createDirectory(
                atPath: empty, withIntermediateDirectories: true)
            #expect(try daybook.run(["log", "verify", "--anchor", empty]).status == 2)
            #expect(try daybook.run(["log", "verify", "--key", key]).status == 2)
            #expect(try daybook.run(["serve", "--anchor-every", "1m"]).status == 2)
        }

        @Test(
            """
            A value changed with every checksum made again passes for sound, and is found by a \
            receipt and by an anchor
            """)
        func attack() async throws {
            try await withDaybook { daybook in
                let path = daybook.folder.path
                let elsewhere = "\(path)/elsewhere"
                let key = try keepKey(daybook)
                let victim = try await append(1...3, to: daybook, keep: "receipt.json")
                let anchor = try daybook.json(["log", "anchor", elsewhere], as: Anchored.self)
                let before = try await append(4...4, to: daybook, keep: "before.json")
                let old = try daybook.run([
                    "proof", "get", victim.batch_id, "--out", "\(path)/old.proof",
                ])
                #expect(old.status == 0, "\(old.errorText)")
                try daybook.stop()

                let count = try LogForger.forge(
                    dataFolder: daybook.data, replacing: "Lamplighter 2", by: "Lamplighter 9")
                #expect(count == 1)
                let cat = try daybook.run(["log", "cat", "--table", "jobs"])
                #expect(cat.text.contains("Lamplighter 9") && !cat.text.contains("Lamplighter 2"))
                let alone = try daybook.json(["log", "verify"], as: Verification.self)
                #expect(alone.ok, "the attack is whole: the log is sound in itself")

                let verify = try daybook.run([
                    "log", "verify", "--anchor", anchor.file, "--key", key, "--json",
                ])
                #expect(verify.status == 3, "\(verify.text)")
                let found = try JSONDecoder().decode(Verification.self, from: verify.output)
                #expect(!found.ok && found.problems.count == 1)
                #expect(found.problems[0].what.contains("positions 0..<\(anchor.position)"))
                #expect(found.anchored == .init(from: 0, to: 0))

                // The old proof is as good as it was; no new one fits what was kept.
                try expect(0, ["old.proof", "--receipt", "receipt.json"], daybook)
                let size = "\(anchor.size)"
                for (batch, name) in [(victim, "new"), (before, "other")] {
                    let made = try daybook.run([
                        "proof", "get", batch.batch_id, "--from-size", size, "--out",
                        "\(path)/\(name).proof",
                    ])
                    #expect(made.status == 0, "\(made.errorText)")
                    try expect(0, ["\(name).proof", "--key", key], daybook)
                    try expect(
                        1, ["\(name).proof", "--anchor", anchor.file], daybook,
                        saying: "was changed since it was anchored")
                }
                try expect(
                    1, ["new.proof", "--receipt", "receipt.json"], daybook,
                    saying: "not the one that was acknowledged")
                try expect(0, ["other.proof", "--receipt", "before.json"], daybook)
                let over = try daybook.run(["log", "anchor", elsewhere])
                #expect(over.status == 3 && over.errorText.contains("not the one"))
            }
        }

        private func expect(
            _ status: Int32, _ arguments: [String], _ daybook: DaybookServer,
            saying text: String? = nil, at place: SourceLocation = #_sourceLocation
        ) throws {
            let check = try daybook.run(["proof", "check"] + arguments)
            #expect(
                check.status == status, "\(check.text)\(check.errorText)", sourceLocation: place)
            if let text { #expect(check.text.contains(text), sourceLocation: place) }
        }
    }
}
