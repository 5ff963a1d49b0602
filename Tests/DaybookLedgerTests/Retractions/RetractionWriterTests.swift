import DaybookLog
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("Retractions in the writer")
struct RetractionWriterTests {
    private static let target = RetractionRequest.Target.row(table: "departments", key: ["1"])
    private static let employee = #"[{"id":1,"email":"e","department_id":1}]"#

    private func bench(_ change: (inout LedgerOptions) -> Void = { _ in }) async throws -> Bench {
        let bench = try Bench(Bench.trade, change)
        try await bench.append("departments", #"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#)
        return bench
    }

    private func plan(
        _ bench: Bench, takesReferring: Bool = false
    ) throws -> RetractionPlan {
        try bench.ledger.plan(
            RetractionPlanTests.request(Self.target, takesReferring: takesReferring))
    }

    private func retract(
        _ plan: RetractionPlan, _ bench: Bench
    ) async -> Result<Receipt, LedgerError> {
        await withCheckedContinuation { continuation in
            bench.ledger.retract(plan) { continuation.resume(returning: $0) }
        }
    }

    @Test("Of two plans for one row the second finds it retracted")
    func twice() async throws {
        let bench = try await bench()
        bench.close()
        let early = bench.folder + "-early"
        try FileManager.default.copyItem(atPath: bench.folder, toPath: early)
        try bench.open()
        let first = try plan(bench)
        let second = try plan(bench)
        let receipt = try await retract(first, bench).get()
        #expect(receipt.table.isEmpty && receipt.rowCount == 1 && receipt.acceptedCount == 1)
        let position = first.spans[0].lowerBound
        #expect(await retract(second, bench) == .failure(.rowRetracted(position)))
        try bench.open()
        #expect(await retract(second, bench) == .failure(.rowRetracted(position)))
        #expect(try await bench.append("departments", #"{"id":1,"name":"n"}"#).brief == [])
        #expect(await retract(second, bench) == .failure(.rowRetracted(position)))
        // From a snapshot of before it and the log behind that.
        bench.close()
        try FileManager.default.removeItem(atPath: bench.folder)
        try FileManager.default.moveItem(atPath: early, toPath: bench.folder)
        try bench.open()
        #expect(await retract(second, bench) == .failure(.rowRetracted(position)))
    }

    @Test("A row that came between plan and retraction and refers is found")
    func between() async throws {
        let bench = try await bench()
        let old = try plan(bench)
        let receipt = try await bench.append("employees", Self.employee)
        let row = ReferringRow(
            table: "employees", key: ["1"], position: receipt.position,
            referredTable: "departments")
        #expect(await retract(old, bench) == .failure(.rowsReferred(count: 1, first: [row])))
        #expect(throws: RetractionError.referred(count: 1, first: [row])) {
            try bench.ledger.extend(old)
        }
        // When that row is gone nothing refers any more.
        let request = RetractionPlanTests.request(.batch(receipt.batchID))
        _ = try await bench.retract(request).get()
        #expect(try await retract(old, bench).get().acceptedCount == 1)
        #expect(
            try await bench.append("employees", Self.employee).brief
                == ["0 unknown_reference(department_id)"])
    }

    @Test("A plan that is too old is extended")
    func behind() async throws {
        let bench = try await bench { $0.retractionLagMax = 2 }
        let old = try plan(bench)
        try await bench.append("currencies", #"[{"code":"a"},{"code":"b"}]"#)
        let kept = old.position
        try await bench.append("currencies", #"[{"code":"c"}]"#)
        #expect(await retract(old, bench) == .failure(.retractionBehind))
        let extended = try bench.ledger.extend(old)
        #expect(extended.position == kept + 3 && extended.spans == old.spans)
        #expect(try await retract(extended, bench).get().position == kept + 3)
    }

    @Test("What comes while it is planned is looked through, refused or taken", arguments: [0, 99])
    func driver(lag: Int64) async throws {
        for (takes, refers) in [(false, false), (false, true), (true, false), (true, true)] {
            let bench = try await bench { $0.retractionLagMax = lag }
            let request = RetractionPlanTests.request(Self.target, takesReferring: takes)
            // Behind the first plan, and behind the first look after it.
            let late = Mutex(0)
            let result = await outcome(bench, request) {
                let call = late.withLock {
                    $0 += 1
                    return $0
                }
                if call > 2 { return }
                let rows =
                    refers
                    ? #"[{"id":\#(call),"email":"\#(call)","department_id":1}]"#
                    : #"[{"id":\#(call + 7),"name":"a"}]"#
                _ = try? await bench.append(refers ? "employees" : "departments", rows)
            }
            switch result {
            case .success(let outcome):
                #expect(!refers || takes)
                #expect(outcome.plan.rowCount > (refers ? 1 : 0))
                #expect(outcome.receipt?.table == "")
            case .failure(.referred(let count, let first)):
                #expect(refers && !takes && count > 0 && first.count == count)
            case .failure(let error): Issue.record("\(error)")
            }
        }
    }

    /// The driver, with something done behind every plan.
    private func outcome(
        _ bench: Bench, _ request: RetractionRequest, _ meanwhile: @Sendable () async -> Void
    ) async -> Result<RetractionOutcome, RetractionError> {
        do throws(RetractionError) {
            return .success(
                try await bench.ledger.retract(request, isDryRun: false) { body in
                    let result = body()
                    await meanwhile()
                    return result
                })
        } catch {
            return .failure(error)
        }
    }

    @Test("A log that is never quiet ends the tries, and nothing is written")
    func overtaken() async throws {
        let bench = try await bench { $0.retractionLagMax = 0 }
        let number = Mutex(10)
        let result = await outcome(bench, RetractionPlanTests.request(Self.target)) {
            let id = number.withLock {
                $0 += 1
                return $0
            }
            _ = try? await bench.append("departments", #"[{"id":\#(id),"name":"a"}]"#)
        }
        #expect(throws: RetractionError.overtaken) { try result.get() }
        #expect(try RetractedRows(of: bench.log, below: bench.log.durable.position).isEmpty)
        #expect(try await bench.append("departments", #"{"id":1,"name":"n"}"#).acceptedCount == 0)
    }

    @Test("It stands alone in its block, whatever waits before and behind it")
    func alone() async throws {
        let bench = try await bench()
        let plan = try plan(bench)
        let answers = FailureTests.Answers()
        bench.log.block(true)
        func submit(_ id: Int) throws {
            answers.submit(
                "\(id)", try bench.submission("departments", #"[{"id":\#(id),"name":"a"}]"#),
                to: bench.ledger)
        }
        for id in 10..<20 { try submit(id) }
        let result = Mutex<Result<Receipt, LedgerError>?>(nil)
        bench.ledger.retract(plan) { answer in result.withLock { $0 = answer } }
        try submit(1)
        for id in 20..<30 { try submit(id) }
        bench.log.block(false)
        let results = try await answers.wait(for: 21)
        #expect(results.allSatisfy { (try? $0.get().acceptedCount) == 1 }, "its key is free")
        let receipt = try #require(try result.withLock(\.self)?.get())
        let blocks = bench.log.allBlocks
        let own = try #require(blocks.first { $0.firstPosition == receipt.position })
        #expect(own.batchCount == 1 && own.endPosition == receipt.endPosition)
        let stored = try #require(try own.retraction())
        #expect(stored.spans == plan.spans && stored.position == receipt.position)
        #expect(stored.retraction == plan.retraction && stored.receivedAt == receipt.receivedAt)
        #expect(blocks.contains { $0.batchCount > 1 }, "the others came in groups")
        #expect(try blocks.filter { try $0.retraction() != nil }.count == 1)
    }

    @Test("A refused one is no obstacle for what waits behind it")
    func refusedInGroup() async throws {
        let bench = try await bench()
        let plan = try plan(bench)
        try await bench.append("employees", Self.employee)
        let answers = FailureTests.Answers()
        bench.log.block(true)
        for id in 10..<13 {
            if id == 12 { bench.ledger.retract(plan) { _ in } }
            answers.submit(
                "\(id)", try bench.submission("departments", #"[{"id":\#(id),"name":"a"}]"#),
                to: bench.ledger)
        }
        bench.log.block(false)
        let results = try await answers.wait(for: 3)
        #expect(results.allSatisfy { (try? $0.get().acceptedCount) == 1 })
        #expect(try RetractedRows(of: bench.log, below: bench.log.durable.position).isEmpty)
    }

    @Test("One that finds no space leaves all as it was, and can be tried again")
    func diskFull() async throws {
        let bench = try await bench()
        let plan = try plan(bench)
        let before = bench.ledger.status.head
        bench.log.fail(append: 0, .diskFull)
        #expect(await retract(plan, bench) == .failure(.diskFull))
        #expect(bench.ledger.status.head == before)
        #expect(
            try await bench.append("departments", #"{"id":1,"name":"n"}"#).brief
                == ["0 duplicate_key(id)"])
        #expect(try await bench.append("employees", Self.employee).brief == [])
        guard case .failure(.rowsReferred) = await retract(plan, bench) else {
            Issue.record("an employee refers")
            return
        }
        let all = RetractionPlanTests.request(Self.target, takesReferring: true)
        #expect(try await bench.retract(all).get().plan.rowCount == 2)
        #expect(try await bench.append("departments", #"{"id":1,"name":"n"}"#).brief == [])
    }

    @Test("A retracted correction opens its rejection again; what was waived stays so")
    func corrections() async throws {
        let bench = try await bench()
        let bad = try await bench.append("departments", #"[{"id":5},{"id":6}]"#)
        let roots = try bad.rejected.map {
            try #require(try bench.ledger.rejection(at: $0.position)).root
        }
        _ = try await bench.ledger.waive([roots[1]], Waiver(note: "no", principal: "ann"))
        let waived = LedgerError.rejectionClosed(roots[1].position, .waived)
        for round in 0..<4 {
            let fixed = try await bench.append(
                "departments", #"[{"id":5,"name":"n"}]"#,
                corrects: [RowCorrection(row: 0, rejection: roots[0])])
            #expect(fixed.acceptedCount == 1, "round \(round)")
            await #expect(throws: LedgerError.rejectionClosed(roots[0].position, .corrected)) {
                try await bench.append(
                    "departments", #"[{"id":8,"name":"n"}]"#,
                    corrects: [RowCorrection(row: 0, rejection: roots[0])])
            }
            let request = RetractionPlanTests.request(
                round % 2 == 0 ? .batch(fixed.batchID) : .row(table: "departments", key: ["5"]))
            _ = try await bench.retract(request).get()
            if round == 1 { try bench.open() }
            if round == 2 {
                bench.close()
                try FileManager.default.removeItem(atPath: bench.folder)
                try bench.open()
            }
            await #expect(throws: waived) {
                try await bench.append(
                    "departments", #"[{"id":6,"name":"n"}]"#,
                    corrects: [RowCorrection(row: 0, rejection: roots[1])])
            }
        }
        _ = try await bench.ledger.waive([roots[0]], Waiver(note: "no", principal: "ann"))
    }

    @Test("What is extracted of rows are their keys and corrections, not what stands among them")
    func extracted() async throws {
        let bench = try await bench()
        let rows = #"[{"id":5},{"id":6,"name":"n"}]"#
        let bad = try await bench.append("departments", rows, key: "k")
        let root = try #require(try bench.ledger.rejection(at: bad.position)).root
        _ = try await bench.ledger.waive([root], Waiver(note: "no", principal: "ann"))
        var extraction = KeyExtraction(
            catalog: bench.catalog, fingerprintKey: bench.ledger.fingerprintKey)
        var found: [Position] = []
        try extraction.extract(rowsIn: [0..<bench.log.durable.position], of: bench.log) {
            found.append($0.position)
        }
        #expect(found == [bad.position - 2, bad.position - 1, bad.position + 1])
    }
}

@Suite("Blocks that hold ranges")
struct HeldRangeTests {
    @Test("Every block that holds positions of ranges is read once, with the ranges that it holds")
    func blocks() async throws {
        var random = SeededGenerator()
        let bench = try Bench()
        for _ in 0..<30 {
            let count = Int.random(in: 1...5, using: &random)
            let row = #"{"sensor":1,"value":2}"#
            try await bench.append(
                "readings", "[\(Array(repeating: row, count: count).joined(separator: ","))]")
        }
        let end = bench.log.durable.position
        for _ in 0..<200 {
            var rows = RetractedRows()
            rows.add(
                (0..<Int.random(in: 0..<9, using: &random)).map { _ in
                    let from = Position.random(in: 0..<end, using: &random)
                    return from..<min(end, from + Position.random(in: 0...9, using: &random))
                })
            var found: [Range<Position>] = []
            var held: [[Range<Position>]] = []
            let limit = Int.random(in: 1...2_000, using: &random)
            try bench.log.forEachBlock(in: rows.spans, byteLimit: limit) { block, ranges in
                found.append(block.firstPosition..<block.endPosition)
                held.append(Array(ranges))
            }
            let expected = bench.log.allBlocks.map { $0.firstPosition..<$0.endPosition }
                .filter { rows.intersects($0) }
            #expect(found == expected, "seed \(random.seed)")
            #expect(
                held == expected.map { block in rows.spans.filter { $0.overlaps(block) } },
                "seed \(random.seed)")
        }
        #expect(throws: LogError.outOfRange(end)) {
            try bench.log.forEachBlock(in: 0..<end + 1) { _ in }
        }
    }
}
