import DaybookIntake
import DaybookLog
import Testing

@testable import DaybookLedger

@Suite("Sequencing: keys and references")
struct SequencingTests {
    @Test("An empty log begins with genesis and the catalog's text")
    func firstEvents() throws {
        let bench = try Bench()
        var controls: [Control] = []
        for block in bench.log.allBlocks {
            try block.forEachBatch { reader in
                #expect(reader.facts.source == "system")
                #expect(try reader.nextBranch() == reader.schema.controlBranch)
                controls.append(try reader.readControl())
            }
        }
        #expect(controls.map(\.kind) == ["genesis", "catalog"])
        #expect(String(decoding: controls[0].text, as: UTF8.self).contains("\(bench.log.ledger)"))
        #expect(controls[1].text == Array(bench.catalog.text.utf8))
    }

    @Test("A key is taken once: within a batch, over batches, and after a restart")
    func duplicates() async throws {
        let bench = try Bench()
        let row = #"{"id":1,"name":"a"}"#
        let first = try await bench.append("departments", "[\(row),\(row)]")
        #expect(first.brief == ["1 duplicate_key(id)"])
        #expect(try await bench.append("departments", row).brief == ["0 duplicate_key(id)"])
        try bench.open()
        #expect(try await bench.append("departments", row).brief == ["0 duplicate_key(id)"])
        #expect(try await bench.append("departments", #"{"id":2,"name":"a"}"#).brief == [])
    }

    @Test("A rejected row takes no key, and hears every reason in order of precedence")
    func rejectedRowsTakeNothing() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        let receipt = try await bench.append(
            "departments",
            #"[{"id":2},{"id":2,"name":"b"},{"id":1},{"id":1,"name":5,"x":0}]"#)
        #expect(
            receipt.brief == [
                "0 missing_field(name)", "2 missing_field(name) duplicate_key(id)",
                "3 unknown_field(x) wrong_type(name) duplicate_key(id)",
            ])
    }

    @Test("References are known to be in the ledger, earlier in the batch, or the row itself")
    func references() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        let receipt = try await bench.append(
            "employees",
            #"""
            [{"id":1,"email":"a","department_id":1},
             {"id":2,"email":"b","department_id":9,"boss_id":1},
             {"id":3,"email":"c","department_id":1,"boss_id":3},
             {"id":4,"email":"d","department_id":1,"boss_id":2},
             {"id":5,"email":"e","department_id":1,"boss_id":6},
             {"id":6,"email":"f","department_id":1,"boss_id":1},
             {"id":7,"email":"a","department_id":8,"boss_id":null}]
            """#)
        #expect(
            receipt.brief == [
                "1 unknown_reference(department_id)", "3 unknown_reference(boss_id)",
                "4 unknown_reference(boss_id)",
                "6 duplicate_key(email) unknown_reference(department_id)",
            ])
    }

    @Test("What a row took is given back when another of its rules fails")
    func halfTakenKeys() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        let bad = #"{"id":1,"email":"a","department_id":9}"#
        let good = #"{"id":1,"email":"a","department_id":1}"#
        let receipt = try await bench.append("employees", "[\(bad),\(good)]")
        #expect(receipt.rejected.map(\.index) == [0])
    }

    @Test("Text and composite keys are compared by value, and a missing row may be accepted")
    func otherKeys() async throws {
        let bench = try Bench()
        let receipt = try await bench.append("currencies", #"[{"code":"EUR"},{"code":"EUR"}]"#)
        #expect(receipt.brief == ["1 duplicate_key(code)"])
        let rows = #"""
            [{"account":"a","day":"2024-01-02","currency":"EUR"},
             {"account":"a","day":"2024-01-03","currency":"EUR","note":"x"},
             {"account":"a","day":"2024-01-02","currency":"EUR"},
             {"account":"b","day":"2024-01-02","currency":"USD"}]
            """#
        for round in 0..<2 {
            let brief = try await bench.append("payments", rows).brief
            let repeated = "duplicate_key(account,day)"
            let unknown = "3 unknown_reference(currency)"
            #expect(
                brief
                    == (round == 0
                        ? ["2 \(repeated)", unknown]
                        : ["0 \(repeated)", "1 \(repeated)", "2 \(repeated)", unknown]))
            try bench.open()
        }
        #expect(try await bench.append("readings", #"{"sensor":77,"value":1.5}"#).brief == [])
    }

    @Test("Of an atomic batch all rows or none are accepted, and none keeps a key")
    func atomic() async throws {
        let bench = try Bench()
        let rows = #"[{"id":1,"name":"a"},{"id":1,"name":"b"},{"id":2,"name":"c"}]"#
        let receipt = try await bench.append("departments", rows, isAtomic: true)
        #expect(
            receipt.brief == ["0 atomic_batch()", "1 duplicate_key(id)", "2 atomic_batch()"])
        let good = #"[{"id":1,"name":"a"},{"id":2,"name":"c"}]"#
        #expect(try await bench.append("departments", good, isAtomic: true).brief == [])
    }

    @Test("Another dictionary's batch is refused")
    func otherDictionary() async throws {
        let bench = try Bench()
        let batch = try bench.judged("departments", #"{"id":1,"name":"a"}"#)
        let submission = Submission(
            batch: batch, source: "http", principal: "ann", idempotencyKey: nil,
            requestDigest: [], dictionary: "other")
        await #expect(throws: LedgerError.dictionaryChanged) {
            try await bench.ledger.append(submission)
        }
    }

    @Test("A batch is found by its position and by its id, and reads as it was answered")
    func lookup() async throws {
        let bench = try Bench()
        var receipts: [Receipt] = []
        for id in 0..<20 {
            receipts.append(
                try await bench.append(
                    "departments", #"[{"id":\#(id),"name":"a"},{"id":0,"name":"b"},{}]"#))
        }
        for receipt in receipts {
            var stored = receipt
            stored.isReplay = true
            #expect(try bench.ledger.batch(at: receipt.position) == stored)
            #expect(try bench.ledger.batch(at: receipt.endPosition - 1) == stored)
            #expect(try bench.ledger.batch(id: receipt.batchID) == stored)
        }
        #expect(try bench.ledger.batch(at: bench.log.durable.position) == nil)
        #expect(try bench.ledger.batch(id: "0190c0de-0000-7000-8000-000000000000") == nil)
        #expect(try bench.ledger.batch(id: "no id") == nil)
    }

    @Test("A new dictionary rolls the log, is written down, and its new keys come from the log")
    func newDictionary() async throws {
        let old = """
            table: jobs
            key: [id]
            columns:
              - {name: id, type: integer}
              - {name: code, type: string}
            """
        let new = """
            table: jobs
            key: [id]
            unique: [[code]]
            columns:
              - {name: id, type: integer}
              - {name: note, type: string, optional: true}
              - {name: code, type: string}
            """
        let bench = try Bench(old)
        try await bench.append("jobs", #"[{"id":1,"code":"a"},{"id":2,"code":"b"}]"#)
        bench.close()
        let later = try Bench(new, log: bench.log, folder: bench.folder)
        #expect(bench.log.rollCount == 1)
        let receipt = try await later.append(
            "jobs", #"[{"id":3,"code":"a"},{"id":2,"code":"c"},{"id":4,"code":"d"}]"#)
        #expect(receipt.brief == ["0 duplicate_key(code)", "1 duplicate_key(id)"])
        try later.open()
        #expect(bench.log.rollCount == 1)
    }
}
