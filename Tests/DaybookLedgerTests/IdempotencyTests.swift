import DaybookLog
import Testing

@testable import DaybookLedger

@Suite("Idempotency")
struct IdempotencyTests {
    private let rows = #"[{"id":1,"name":"a"},{"id":1,"name":"b"},{"id":"x"}]"#

    @Test("The same batch with the same key gives the same receipt, now and after a restart")
    func replay() async throws {
        let bench = try Bench()
        var first = try await bench.append("departments", rows, key: "k")
        #expect(!first.isReplay && first.acceptedCount == 1)
        let position = bench.log.durable.position
        first.isReplay = true
        #expect(try await bench.append("departments", rows, key: "k") == first)
        try bench.open()
        #expect(try await bench.append("departments", rows, key: "k") == first)
        #expect(bench.log.durable.position == position)
        let found = try await bench.ledger.batch(
            source: "http", principal: "ann", idempotencyKey: "k")
        #expect(found == first)
        #expect(bench.ledger.status.replayCount == 1)
    }

    @Test("Fault 27: the same key with another body or table is a conflict, names the batch")
    func conflict() async throws {
        let bench = try Bench()
        let first = try await bench.append("departments", rows, key: "k")
        await #expect(throws: LedgerError.idempotencyConflict(batchID: first.batchID)) {
            try await bench.append("departments", "[]", key: "k")
        }
        await #expect(throws: LedgerError.idempotencyConflict(batchID: first.batchID)) {
            try await bench.append("currencies", rows, key: "k")
        }
    }

    @Test("Fault 27: another principal's key is another key; an import's is everybody's")
    func scopes() async throws {
        let bench = try Bench()
        let first = try await bench.append("departments", rows, key: "k")
        let second = try await bench.append("departments", rows, key: "k", principal: "bob")
        #expect(!second.isReplay && second.position == first.endPosition)
        let source = "csv:a.csv"
        let third = try await bench.ledger.append(
            try bench.submission("departments", rows, key: "k", source: source))
        #expect(!third.isReplay)
        let fourth = try await bench.ledger.append(
            try bench.submission("departments", rows, key: "k", principal: "bob", source: source))
        #expect(fourth.isReplay && fourth.position == third.position)
        let none = try await bench.ledger.batch(
            source: "http", principal: "eve", idempotencyKey: "k")
        #expect(none == nil)
    }

    @Test("Fault 26: a retry of a batch in flight waits for it: one append, the same verdicts")
    func inFlight() async throws {
        let bench = try Bench()
        let ledger = bench.ledger
        let answers = FailureTests.Answers()
        bench.log.block(true)
        // The first holds the writer, so that the others are decided as one group.
        answers.submit(
            "0", try bench.submission("departments", #"{"id":7,"name":"a"}"#), to: ledger)
        try await Task.sleep(for: .milliseconds(50))
        for name in ["1", "2"] {
            answers.submit(
                name, try bench.submission("departments", rows, key: "k"), to: ledger)
        }
        answers.submit("3", try bench.submission("departments", "{}", key: "k"), to: ledger)
        #expect(answers.all.isEmpty)
        bench.log.block(false)
        let results = try await answers.wait(for: 4)
        var first = try results[1].get()
        let second = try results[2].get()
        #expect(!first.isReplay && second.isReplay)
        first.isReplay = true
        #expect(first == second)
        #expect(results[3] == .failure(.idempotencyConflict(batchID: first.batchID)))
        #expect(bench.log.durable.position == first.endPosition)
        #expect(bench.log.appendCount == 3)
    }

    @Test("A retry in a group that finds no space is answered as the batch itself")
    func inFlightDiskFull() async throws {
        let bench = try Bench()
        let answers = FailureTests.Answers()
        bench.log.block(true)
        answers.submit(
            "0", try bench.submission("departments", #"{"id":7,"name":"a"}"#), to: bench.ledger)
        try await Task.sleep(for: .milliseconds(50))
        bench.log.fail(append: 1, .diskFull)
        for name in ["1", "2"] {
            answers.submit(
                name, try bench.submission("departments", rows, key: "k"), to: bench.ledger)
        }
        bench.log.block(false)
        let results = try await answers.wait(for: 3)
        #expect(results[1...] == [.failure(.diskFull), .failure(.diskFull)])
        #expect(try await !bench.append("departments", rows, key: "k").isReplay)
    }

    @Test("The ledger's own events have keys too, and are found by them")
    func controls() async throws {
        let bench = try Bench()
        let control = Control(kind: "import", refersTo: [2..<5], text: Array("{}".utf8))
        let digest = [UInt8](repeating: 7, count: 32)
        let first = try await bench.ledger.record(
            [control], idempotencyKey: "done", requestDigest: digest)
        let again = try await bench.ledger.record(
            [control], idempotencyKey: "done", requestDigest: digest)
        #expect(!first.isReplay && again.isReplay && again.position == first.position)
        #expect(try await bench.ledger.control(idempotencyKey: "done") == control)
        #expect(try await bench.ledger.control(idempotencyKey: "other") == nil)
    }
}
