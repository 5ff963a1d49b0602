import DaybookLog
import Synchronization
import Testing

@testable import DaybookLedger

@Suite("Groups that fail, clocks that jump, queues that fill")
struct FailureTests {
    /// Submits and gathers the answers in the order in which they come.
    final class Answers: Sendable {
        private let list = Mutex<[(name: String, result: Result<Receipt, LedgerError>)]>([])

        func submit(_ name: String, _ submission: Submission, to ledger: Ledger) {
            ledger.submit(submission) { result in
                self.list.withLock { $0.append((name, result)) }
            }
        }

        var all: [(name: String, result: Result<Receipt, LedgerError>)] { list.withLock { $0 } }

        /// The answers as soon as there are so many.
        func wait(for count: Int) async throws -> [Result<Receipt, LedgerError>] {
            while all.count < count { try await Task.sleep(for: .milliseconds(1)) }
            return all.map(\.result)
        }
    }

    @Test("Fault 20: a group that finds no space is undone: keys, positions, times, retries")
    func undo() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        try await bench.append("currencies", #"{"code":"EUR"}"#)
        let before = bench.ledger.status.head
        bench.log.fail(append: 0, .diskFull)
        await #expect(throws: LedgerError.diskFull) {
            try await bench.append("departments", #"[{"id":2,"name":"a"}]"#, key: "k")
        }
        #expect(bench.ledger.status.hold == .diskFull)
        bench.log.fail(append: 0, .diskFull)
        await #expect(throws: LedgerError.diskFull) {
            try await bench.append("currencies", #"[{"code":"USD"}]"#)
        }
        #expect(bench.ledger.status.head == before)
        let receipt = try await bench.append("departments", #"[{"id":2,"name":"a"}]"#, key: "k")
        #expect(receipt.brief == [] && !receipt.isReplay && receipt.position == before.position)
        #expect(bench.ledger.status.hold == nil)
        #expect(try await bench.append("currencies", #"[{"code":"USD"}]"#).brief == [])
        #expect(try await bench.append("currencies", #"[{"code":"EUR"}]"#).acceptedCount == 0)
    }

    @Test("Whichever append finds no space, the log is as if its group had never been sent")
    func undoEach() async throws {
        for failing in 0..<6 {
            let bench = try Bench()
            bench.log.fail(append: failing, .diskFull)
            var expected: [String] = []
            for step in 0..<6 {
                let rows = #"[{"id":\#(step),"name":"a"},{"id":\#(step - 1),"name":"b"}]"#
                do {
                    expected.append(try await bench.append("departments", rows).batchID)
                } catch {
                    #expect(error as? LedgerError == .diskFull && step == failing)
                    let receipt = try await bench.append("departments", rows)
                    #expect(receipt.brief == (step == 0 ? [] : ["1 duplicate_key(id)"]))
                    expected.append(receipt.batchID)
                }
            }
            var found: [String] = []
            for block in bench.log.allBlocks.dropFirst() {
                try block.forEachBatch { found.append($0.facts.id) }
            }
            #expect(found == expected)
        }
    }

    @Test("After a failed sync the outcome is unknown to all that waited; nothing more is written")
    func syncFailure() async throws {
        let bench = try Bench()
        let answers = Answers()
        bench.log.block(true)
        bench.log.fail(append: 0, .syncFailed)
        for id in 0..<5 {
            answers.submit(
                "\(id)", try bench.submission("departments", #"{"id":\#(id),"name":"a"}"#),
                to: bench.ledger)
        }
        let appends = bench.log.appendCount
        bench.log.block(false)
        let results = try await answers.wait(for: 5)
        #expect(results.allSatisfy { $0 == .failure(.outcomeUnknown) })
        #expect(bench.log.appendCount == appends + 1)
        #expect(bench.fatal.withLock { $0 } == .syncFailed(file: "memory", code: 5))
        await #expect(throws: LedgerError.closed) {
            try await bench.append("departments", #"{"id":9,"name":"a"}"#)
        }
    }

    @Test("The queue takes so many bytes and no more, and takes again when it is empty")
    func queueBound() async throws {
        let bench = try Bench()
        let row = try bench.submission("departments", #"{"id":1,"name":"a"}"#)
        try bench.open { $0.queueByteLimit = row.byteCount * 3 }
        bench.log.block(true)
        let answers = Answers()
        for id in 0..<5 { answers.submit("\(id)", row, to: bench.ledger) }
        #expect(answers.all.map(\.name) == ["3", "4"])
        #expect(
            answers.all.allSatisfy { $0.result == .failure(.queueFull(retryAfterSeconds: 1)) })
        #expect(bench.ledger.status.queuedByteCount == row.byteCount * 3)
        bench.log.block(false)
        _ = try await answers.wait(for: 5)
        #expect(answers.all.map(\.name) == ["3", "4", "0", "1", "2"])
        #expect(bench.ledger.status.queuedByteCount == 0)
        _ = try await bench.ledger.append(row)
    }

    @Test("What waits when the ledger closes is written; what comes later is refused")
    func close() async throws {
        let bench = try Bench()
        let ledger = bench.ledger
        let answers = Answers()
        for id in 0..<50 {
            answers.submit(
                "\(id)", try bench.submission("departments", #"{"id":\#(id),"name":"a"}"#),
                to: ledger)
        }
        let late = try bench.submission("departments", #"{"id":99,"name":"a"}"#)
        bench.close()
        #expect(answers.all.count == 50)
        #expect(answers.all.allSatisfy { (try? $0.result.get().acceptedCount) == 1 })
        await #expect(throws: LedgerError.closed) { try await ledger.append(late) }
        #expect(bench.log.durable.position == 52)
    }

    @Test("A quiet moment attests the last group, once")
    func attestation() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        try await Task.sleep(for: .milliseconds(200))
        let count = bench.log.attestCount
        #expect(count >= 1)
        try await Task.sleep(for: .milliseconds(100))
        #expect(bench.log.attestCount == count)
    }

    @Test("Fault 25: times increase strictly, whatever the clock does")
    func monotonicTime() async throws {
        let bench = try Bench()
        var last: Microseconds = 0
        for (id, step) in [0, -5_000_000, 3, -1, 0, 1_000, -90_000_000_000].enumerated() {
            bench.clocks.withLock {
                $0.wall += Microseconds(step)
                $0.tick = 0
            }
            let receipt = try await bench.append("departments", #"{"id":\#(id),"name":"a"}"#)
            #expect(receipt.receivedAt > last)
            #expect(BatchID(receipt.batchID)?.receivedAt.contains(receipt.receivedAt) == true)
            last = receipt.receivedAt
        }
    }

    @Test("Fault 25: a jump of over an hour holds appends until the clock is right or confirmed")
    func clockHold() async throws {
        let bench = try Bench()
        try await bench.append("departments", #"{"id":1,"name":"a"}"#, key: "k")
        let row = #"{"id":2,"name":"a"}"#
        bench.clocks.withLock { $0.wall += 3_601_000_000 }
        await #expect(throws: LedgerError.clockHeld(jumpSeconds: 3601)) {
            try await bench.append("departments", row)
        }
        #expect(bench.ledger.status.hold == .clock(jumpSeconds: 3601))
        let retry = try await bench.append("departments", #"{"id":1,"name":"a"}"#, key: "k")
        #expect(retry.isReplay, "a retry is answered all the same")
        bench.clocks.withLock { $0.wall -= 3_000_000_000 }
        try await bench.append("departments", row)
        #expect(bench.ledger.status.hold == nil)
        bench.clocks.withLock { $0.wall += 7_200_000_000 }
        await #expect(throws: LedgerError.clockHeld(jumpSeconds: 7801)) {
            try await bench.append("departments", #"{"id":3,"name":"a"}"#)
        }
        bench.ledger.confirmClock()
        try await bench.append("departments", #"{"id":3,"name":"a"}"#)
    }

    @Test("The status says that the clock is right again though no batch comes")
    func clockStatus() async throws {
        let bench = try Bench()
        bench.clocks.withLock { $0.wall += 4_000_000_000 }
        await #expect(throws: LedgerError.clockHeld(jumpSeconds: 4000)) {
            try await bench.append("departments", #"{"id":1,"name":"a"}"#)
        }
        bench.clocks.withLock { $0.wall -= 4_000_000_000 }
        for _ in 0..<500 where bench.ledger.status.hold != nil {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(bench.ledger.status.hold == nil)
    }

    @Test("Fault 32: a log that Postgres contradicts takes nothing more; retries are answered")
    func contradiction() async throws {
        let bench = try Bench()
        let row = #"{"id":1,"name":"a"}"#
        try await bench.append("departments", row, key: "k")
        let end = bench.log.durable.position
        bench.ledger.stopAppends(reason: "it is shorter")
        for key in [nil, "other"] {
            await #expect(throws: LedgerError.contradicted("it is shorter")) {
                try await bench.append("departments", #"{"id":2,"name":"b"}"#, key: key)
            }
        }
        #expect(bench.ledger.status.hold == .contradicted("it is shorter"))
        let retry = try await bench.append("departments", row, key: "k")
        #expect(retry.isReplay)
        #expect(bench.log.durable.position == end)
    }

    @Test("Time that passes while the machine runs is no jump")
    func passingTime() async throws {
        let bench = try Bench()
        bench.clocks.withLock {
            $0.wall += 86_400_000_000
            $0.boot += 86_400_000_000
        }
        try await bench.append("departments", #"{"id":1,"name":"a"}"#)
    }

    @Test("A record that outgrows its limit becomes one malformed_batch, and takes no key")
    func outgrown() async throws {
        let bench = try Bench()
        let name = String(repeating: "x", count: 6 << 20)
        let rows = (0..<5).map { #"{"id":\#($0),"name":"\#(name)"}"# }.joined(separator: ",")
        let receipt = try await bench.append("departments", "[\(rows)]")
        #expect(receipt.brief == ["0 malformed_batch()"] && receipt.rowCount == 1)
        #expect(receipt.rejected[0].rejection.raw.count == 64 << 10)
        #expect(receipt.rejected[0].rejection.rawLength == Int64(rows.utf8.count + 2))
        #expect(try await bench.append("departments", #"{"id":1,"name":"a"}"#).brief == [])
    }
}
