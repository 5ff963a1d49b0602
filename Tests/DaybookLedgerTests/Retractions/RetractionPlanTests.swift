import DaybookLog
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import DaybookLedger

@Suite("What a retraction takes, and what stands in its way")
struct RetractionPlanTests {
    static func request(
        _ targets: RetractionRequest.Target..., takesReferring: Bool = false
    ) -> RetractionRequest {
        RetractionRequest(
            targets: targets, takesReferring: takesReferring,
            retraction: Retraction(note: "wrong \"file\"", principal: "ann"))
    }

    private func employees(_ bosses: [(id: Int, boss: Int?)]) -> String {
        let rows = bosses.map { id, boss in
            let end = boss.map { #","boss_id":\#($0)"# } ?? ""
            return #"{"id":\#(id),"email":"e\#(id)","department_id":1\#(end)}"#
        }
        return "[\(rows.joined(separator: ","))]"
    }

    private func bench() async throws -> Bench {
        let bench = try Bench()
        try await bench.append("departments", #"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#)
        return bench
    }

    @Test("Refused while others refer: all are counted, ten are named; then all go together")
    func referred() async throws {
        let bench = try await bench()
        let receipt = try await bench.append("employees", employees((1...25).map { ($0, nil) }))
        let target = RetractionRequest.Target.row(table: "departments", key: ["1"])
        let result = await bench.retract(Self.request(target))
        let named = (0..<10).map { index in
            ReferringRow(
                table: "employees", key: ["\(index + 1)"],
                position: receipt.position + Position(index), referredTable: "departments")
        }
        #expect(throws: RetractionError.referred(count: 25, first: named)) { try result.get() }
        #expect(throws: RetractionError.referred(count: 25, first: named)) {
            try bench.ledger.plan(Self.request(target))
        }
        let before = bench.log.durable
        let all = Self.request(target, takesReferring: true)
        let dry = try await bench.retract(all, isDryRun: true).get()
        #expect(dry.receipt == nil && dry.plan.rowCount == 26 && bench.log.durable == before)
        let done = try await bench.retract(
            Self.request(target, .batch(receipt.batchID))
        ).get()
        #expect(done.plan.rowCount == 26 && done.receipt?.position == before.position)
        #expect(done.plan.spans == dry.plan.spans)
        let stored = try RetractedRows(of: bench.log, below: bench.log.durable.position)
        #expect(stored.spans == done.plan.spans)
        #expect(throws: RetractionError.nothingLeft) { try bench.ledger.plan(all) }
    }

    @Test("A row that refers to itself, or that only warns, is no obstacle")
    func noObstacle() async throws {
        let bench = try await bench()
        try await bench.append("employees", employees([(1, 1)]))
        try await bench.append("readings", #"[{"sensor":2,"value":1}]"#)
        for (table, key) in [("employees", "1"), ("departments", "2"), ("departments", "1")] {
            let outcome = try await bench.retract(Self.request(.row(table: table, key: [key])))
                .get()
            #expect(outcome.plan.rowCount == 1)
        }
        let receipt = try await bench.append("employees", employees([(1, nil)]))
        #expect(receipt.brief == ["0 unknown_reference(department_id)"])
    }

    @Test("A chain of references of any length goes as one")
    func chain() async throws {
        let bench = try await bench()
        try await bench.append(
            "employees", employees((1...300).map { ($0, $0 == 1 ? nil : $0 - 1) }))
        let target = RetractionRequest.Target.row(table: "employees", key: ["100"])
        let outcome = try await bench.retract(Self.request(target, takesReferring: true)).get()
        #expect(outcome.plan.rowCount == 201)
        #expect(
            try await bench.append("employees", employees([(99, nil), (100, 99), (300, 299)])).brief
                == ["0 duplicate_key(id) duplicate_key(email)", "2 unknown_reference(boss_id)"])
    }

    @Test("Rows that an older dictionary judged refer too")
    func older() async throws {
        let text = { (columns: String, reference: String) in
            """
            table: jobs
            key: [id]
            columns:
              - {name: id, type: \(columns)}
            ---
            table: staff
            key: []
            columns:
              - {name: job, type: \(columns)\(reference)}
            """
        }
        let old = try Bench(text("integer", ""))
        try await old.append("jobs", #"[{"id":1},{"id":2}]"#)
        let receipt = try await old.append("staff", #"[{"job":2},{"job":7}]"#)
        old.close()
        let new = try Bench(text("number", ", references: jobs"), log: old.log, folder: old.folder)
        let first = ReferringRow(
            table: "staff", key: [], position: receipt.position, referredTable: "jobs")
        #expect(throws: RetractionError.referred(count: 1, first: [first])) {
            try new.ledger.plan(Self.request(.row(table: "jobs", key: ["2"])))
        }
        let plan = try new.ledger.plan(Self.request(.row(table: "jobs", key: ["1"])))
        #expect(plan.rowCount == 1)
    }

    @Test("A target that is none is told from one that is gone")
    func targets() async throws {
        let bench = try await bench()
        let receipt = try await bench.append("currencies", #"[{"code":"a"},{"code":5}]"#)
        let bad = try await bench.append("currencies", #"[{"code":5}]"#)
        func error(_ target: RetractionRequest.Target) -> RetractionError? {
            do throws(RetractionError) {
                _ = try bench.ledger.plan(Self.request(target))
                return nil
            } catch { return error }
        }
        let unknown = receipt.batchID.replacing("-", with: "")
        #expect(error(.batch(unknown)) == .unknownBatch(unknown))
        #expect(error(.batch(bad.batchID)) == .nothingLeft)
        let own = try #require(try bench.ledger.batch(at: 0)).batchID
        #expect(error(.batch(own)) == .noRows(batch: own))
        #expect(
            error(.row(table: "currencies", key: ["b"]))
                == .unknownRow(table: "currencies", key: ["b"]))
        #expect(error(.row(table: "readings", key: ["1"])) == .badKey(.noKey("readings")))
        #expect(error(.importName("x.csv")) == .unknownImport("x.csv"))
        let digest = RetractionWorld.digest(1)
        #expect(error(.importDigest(digest)) == .unknownImport("\(digest)"))
        let done = try await bench.retract(Self.request(.batch(receipt.batchID))).get()
        #expect(done.plan.tables == [.init(table: "currencies", rowCount: 1)])
        #expect(error(.row(table: "currencies", key: ["a"])) == .nothingLeft)
        #expect(error(.batch(receipt.batchID)) == .nothingLeft)
        let retraction = try #require(done.receipt).batchID
        #expect(error(.batch(retraction)) == .noRows(batch: retraction))
    }

    @Test("An import is found by digest or name, over tables, without what went before")
    func imports() async throws {
        let bench = try await bench()
        func part(_ file: Int, _ name: String, _ table: String, _ rows: String) async throws {
            let key = "import/\(RetractionWorld.digest(file))/\(table)/csv,absent/\(rows.count)"
            _ = try await bench.ledger.append(
                bench.submission(table, rows, key: key, source: "csv:\(name)"))
        }
        try await part(1, "a.csv", "departments", #"[{"id":5,"name":"a"},{"id":6}]"#)
        try await part(2, "b.csv", "departments", #"[{"id":7,"name":"a"}]"#)
        try await part(1, "a.csv", "currencies", #"[{"code":"a"},{"code":"b"}]"#)
        try await part(2, "b.csv", "departments", #"[{"id":8,"name":"ab"}]"#)
        try await part(3, "b.csv", "departments", #"[{"id":9,"name":"ac"}]"#)
        // A request may carry a key that looks like an import's.
        try await bench.append(
            "currencies", #"[{"code":"z"}]"#,
            key: "import/\(RetractionWorld.digest(1))/currencies/csv,absent/0")
        _ = try await bench.retract(Self.request(.row(table: "currencies", key: ["a"]))).get()
        let byName = try bench.ledger.plan(Self.request(.importName("a.csv")))
        #expect(
            byName.tables == [
                .init(table: "currencies", rowCount: 1), .init(table: "departments", rowCount: 1),
            ])
        let digest = RetractionWorld.digest(1)
        let byDigest = try bench.ledger.plan(Self.request(.importDigest(digest)))
        #expect(byDigest.spans == byName.spans && byDigest.rowCount == 2)
        let digests = [2, 3].map { "\(RetractionWorld.digest($0))" }
        #expect(throws: RetractionError.ambiguousImport("b.csv", digests: digests)) {
            try bench.ledger.plan(Self.request(.importName("b.csv")))
        }
        let second = Self.request(.importDigest(RetractionWorld.digest(2)))
        #expect(try await bench.retract(second).get().plan.rowCount == 2)
        #expect(throws: RetractionError.nothingLeft) { try bench.ledger.plan(second) }
    }

    @Test("A text that was freed is free to a trial, and to a row that is bad all the same")
    func freedText() async throws {
        let bench = try await bench()
        try await bench.append("currencies", #"[{"code":"a"}]"#)
        try await bench.append("payments", #"[{"account":"x","day":"2024-01-01","currency":"a"}]"#)
        let bad = #"[{"account":"x","day":"2024-01-01","currency":"a","note":5}]"#
        let taken = try await bench.append("payments", bad)
        #expect(taken.brief == ["0 wrong_type(note) duplicate_key(account,day)"])
        let request = Self.request(.row(table: "payments", key: ["x", "2024-01-01"]))
        _ = try await bench.retract(request).get()
        #expect(try await bench.append("payments", bad).brief == ["0 wrong_type(note)"])
        let trial = Trial()
        let good = try bench.submission(
            "payments", #"[{"account":"x","day":"2024-01-01","currency":"a"}]"#)
        for codes in [[], [["duplicate_key"]]] {
            let weighed: Weighing = try await withCheckedContinuation { continuation in
                bench.ledger.weigh(good, in: trial) { continuation.resume(returning: $0) }
            }.get()
            guard case .judged(1, let rejected) = weighed else {
                Issue.record("it is not in the log")
                return
            }
            #expect(rejected.map(\.codes) == codes)
        }
    }

    @Test("Whenever rows come while it is planned, the plan is of rows that it looked at")
    func whilePlanned() async throws {
        for call in 0..<14 {
            let bench = try await bench()
            let log = MovingLog(bench.log)
            try await bench.append("currencies", #"[{"code":"a"}]"#)
            log.countdown.withLock { $0 = call }
            log.onZero = { [bench] in
                let done = DispatchSemaphore(value: 0)
                let rows = #"[{"code":"b"}]"#
                guard let submission = try? bench.submission("currencies", rows) else { return }
                bench.ledger.submit(submission) { _ in done.signal() }
                done.wait()
            }
            let planner = RetractionPlanner(bench.catalog, bench.ledger.fingerprintKey, log)
            let request = Self.request(
                .row(table: "currencies", key: ["a"]), .row(table: "currencies", key: ["b"]))
            do {
                let plan = try planner.plan(request)
                let last = try #require(plan.spans.last, "call \(call)")
                #expect(last.upperBound <= plan.position, "call \(call)")
            } catch let error as RetractionError {
                #expect(error == .unknownRow(table: "currencies", key: ["b"]), "call \(call)")
            }
        }
    }
}

/// A log that grows when it was asked a number of times.
private final class MovingLog: LogSource, @unchecked Sendable {
    private let log: MemoryLog
    let countdown = Mutex(Int.max)
    /// Set before the log is used.
    var onZero: () -> Void = {}

    init(_ log: MemoryLog) { self.log = log }

    private func count() {
        let isNow = countdown.withLock {
            $0 -= 1
            return $0 == -1
        }
        if isNow { onZero() }
    }

    var durable: TreeHead {
        defer { count() }
        return log.durable
    }

    func ranges(holding table: String) -> [Range<Position>] {
        defer { count() }
        return log.ranges(holding: table)
    }

    func blocks(from position: Position, byteLimit: Int) throws(LogError) -> [DurableBlock] {
        defer { count() }
        return try log.blocks(from: position, byteLimit: byteLimit)
    }

    func position(asOf time: Microseconds) throws(LogError) -> Position {
        try log.position(asOf: time)
    }

    func frontier(before block: DurableBlock) throws(LogError) -> MerkleFrontier {
        try log.frontier(before: block)
    }
}
