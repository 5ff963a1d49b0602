import DaybookIntake
import DaybookLog
import Foundation
import Testing

@testable import DaybookLedger

@Suite("What a ledger counts")
struct LedgerCountsTests {
    private func rows(_ bench: Bench, _ table: String) throws -> LedgerCounts.TableRows {
        try #require(bench.ledger.status.counts.tables.first { $0.table == table })
    }

    /// The codes of a table's rejected rows, with how many rows have each.
    private func codes(_ bench: Bench, _ table: String) throws -> [String: UInt64] {
        let counts = try rows(bench, table).rejectedByCode
        return Dictionary(
            uniqueKeysWithValues: zip(RejectionCode.allCases.map(\.name), counts)
                .filter { $0.1 > 0 })
    }

    @Test("Every table is there from the start; the ledger's own events are no rows")
    func start() throws {
        let bench = try Bench()
        let counts = bench.ledger.status.counts
        #expect(counts.tables.map(\.table) == bench.catalog.tables.map(\.name))
        #expect(counts.tables.allSatisfy { $0.accepted == 0 && $0.rejected == 0 })
        #expect(
            counts.tables.allSatisfy { $0.rejectedByCode.count == RejectionCode.allCases.count })
    }

    @Test("Rows are counted by table and verdict, and a rejected row once under each of its codes")
    func verdicts() async throws {
        let bench = try Bench()
        let row = #"{"id":1,"name":"a"}"#
        try await bench.append("departments", "[\(row),\(row),{},[]]")
        try await bench.append("employees", #"{"id":1,"email":"a","department_id":9}"#)
        try await bench.append("departments", #"[{"id":2,"name":"b"},{"id":3}]"#, isAtomic: true)
        try await bench.append("departments", "[]")
        let departments = try rows(bench, "departments")
        #expect(departments.accepted == 1 && departments.rejected == 6)
        #expect(
            try codes(bench, "departments") == [
                // An empty object lacks two columns, which is one code.
                "duplicate_key": 1, "missing_field": 2, "malformed_row": 1, "atomic_batch": 1,
                "malformed_batch": 1,
            ])
        #expect(try codes(bench, "employees") == ["unknown_reference": 1])
        #expect(try rows(bench, "employees").accepted == 0)
        #expect(try codes(bench, "currencies").isEmpty)
    }

    @Test("A retry counts as a replay, a refused batch as nothing, a restart begins again")
    func others() async throws {
        let bench = try Bench()
        let row = #"{"id":1,"name":"a"}"#
        for _ in 0..<3 { try await bench.append("departments", row, key: "k") }
        #expect(try rows(bench, "departments").accepted == 1)
        #expect(bench.ledger.status.replayCount == 2)
        let before = bench.ledger.status
        bench.log.fail(append: 0, .diskFull)
        await #expect(throws: LedgerError.diskFull) {
            try await bench.append("departments", #"{"id":2,"name":"a"}"#)
        }
        #expect(bench.ledger.status.counts == before.counts)
        _ = try await bench.ledger.record([Control(kind: "test", refersTo: [], text: [])])
        let after = bench.ledger.status.counts
        #expect(after.tables == before.counts.tables, "its own events are no rows")
        #expect(after.groupEvents.count == before.counts.groupEvents.count + 1)
        try bench.open()
        #expect(try rows(bench, "departments").accepted == 0)
    }

    @Test("Groups are counted by their batches and events, and these by the rows")
    func groups() async throws {
        let bench = try Bench()
        let start = bench.ledger.status
        bench.log.block(true)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for batch in 0..<20 {
                group.addTask {
                    let rows = (0..<5).map { #"{"code":"\#(batch)-\#($0)"}"# }
                    try await bench.append("currencies", "[\(rows.joined(separator: ","))]")
                }
            }
            while bench.ledger.status.queuedBatchCount < 20 {
                try await Task.sleep(for: .milliseconds(1))
            }
            bench.log.block(false)
            try await group.waitForAll()
        }
        let status = bench.ledger.status
        #expect(status.counts.groupBatches.sum - start.counts.groupBatches.sum == 20)
        #expect(status.counts.groupEvents.sum - start.counts.groupEvents.sum == 100)
        #expect(status.counts.groupBatches.count == status.groupCount)
        #expect(status.counts.groupEvents.count == status.groupCount)
        #expect(status.groupCount - start.groupCount < 20, "some stood together")
        #expect(try rows(bench, "currencies").accepted == 100)
        #expect(status.queueByteLimit > 0)
    }

    /// Appends currencies until the ledger's status is as wanted.
    private func append(
        to bench: Bench, from start: Int, until isDone: (LedgerStatus) -> Bool
    ) async throws -> Int {
        for batch in start..<(start + 2_000) {
            if isDone(bench.ledger.status) { return batch }
            let rows = (0..<10).map { #"{"code":"\#(batch * 10 + $0)"}"# }.joined(separator: ",")
            try await bench.append("currencies", "[\(rows)]")
            try await Task.sleep(for: .milliseconds(1))
        }
        throw Bench.Missing(what: "what the status should say")
    }

    @Test("A snapshot that cannot be made is counted, and one that was made has an age")
    func snapshots() async throws {
        let bench = try Bench { $0.snapshotEventInterval = 100 }
        #expect(bench.ledger.status.snapshotAgeSeconds == nil)
        #expect(bench.ledger.status.snapshotFailureCount == 0)
        bench.log.failReads(true)
        let batch = try await append(to: bench, from: 0) { $0.snapshotFailureCount > 0 }
        #expect(bench.ledger.status.snapshotFault != nil)
        #expect(bench.ledger.status.snapshotAgeSeconds == nil)
        bench.log.failReads(false)
        _ = try await append(to: bench, from: batch) { $0.snapshotPosition >= 100 }
        let status = bench.ledger.status
        let age = try #require(status.snapshotAgeSeconds)
        #expect(age >= 0 && age < 60)
        #expect(status.snapshotFault == nil && status.snapshotFailureCount > 0, "it stays counted")
    }
}
