import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Kill rounds") struct KillRounds {
        /// `DAYBOOK_CRASH_ROUNDS` raises it; `script/torture kill` sets it.
        static let roundCount = number("DAYBOOK_CRASH_ROUNDS") ?? 100
        /// How many rounds a ledger lives through before it is checked and another begins.
        static let ledgerRoundCount = number("DAYBOOK_LEDGER_ROUNDS") ?? 25

        private static func number(_ name: String) -> Int? {
            ProcessInfo.processInfo.environment[name].flatMap(Int.init)
        }

        @Test("Faults 1 to 3, 20 and 26: kill -9, SIGSTOP, a full disk; every row once, or never")
        func rounds() async throws {
            let run = try await onThread {
                var random = SeededGenerator()
                report("kill rounds: seed \(random.seed)")
                var run = KillRun()
                while run.figures.roundCount < Self.roundCount, run.isSound {
                    let count = min(
                        Self.ledgerRoundCount, Self.roundCount - run.figures.roundCount)
                    try run.ledger(seed: random.next(), roundCount: count)
                }
                report(run.text)
                return run
            }
            #expect(run.isSound, "\(run.fault)")
            let figures = run.figures
            for kind in RoundKind.allCases where Self.roundCount >= 25 {
                #expect(figures.kinds[kind] != nil, "\(kind) happened")
            }
            #expect(figures.foundCount + figures.absentCount > 0 && figures.statuses[200] != nil)
            if Self.roundCount >= 100 {
                // Each of these is one of what may go wrong, and none may stay away.
                #expect(figures.foundCount > 0 && figures.absentCount > 0)
                #expect(figures.replayCount > 0 && figures.conflictCount > 0)
                #expect(figures.twiceCount > 0 && figures.statuses[507] != nil)
            }
        }

        @Test("A row that is lost, doubled, made up or moved is found in every place")
        func judge() throws {
            let maker = JudgeSample()
            #expect(maker.tally { _ in }.isAllOk)
            #expect(maker.tally { $0.remove(at: 4) }[.lost] == 1)
            #expect(maker.tally { $0.insert($0[4], at: 4) }[.duplicated] == 1)
            #expect(maker.tally { $0.append(JudgeSample.row(99, "#7777.0#")) }[.phantom] == 1)
            #expect(maker.tally { $0.swapAt(4, 5) }[.reordered] > 0)
            #expect(maker.tally { $0.removeLast(1) }[.phantom] == 2, "unanswered, in part")
            #expect(maker.tally { $0.removeLast(3) }.isAllOk, "unanswered, and absent")
            #expect(maker.tally(isLog: false) { $0.removeLast(3) }[.lost] == 3)
        }
    }
}

/// Ledger after ledger, and what all of them came to.
struct KillRun {
    private(set) var figures = KillFigures()
    private(set) var isSound = true
    /// What is wrong, if something is.
    private(set) var fault = ""
    private var tallies: [String: RowTally] = [:]
    private static let places = ["log", "events", "pages", "postgres"]
    private let start = ContinuousClock.now

    /// So many rounds of a new ledger, and the check of every row of them.
    mutating func ledger(seed: UInt64, roundCount: Int) throws {
        let ledger = try KillLedger(seed: seed)
        do {
            try ledger.run(roundCount: roundCount)
            let began = ContinuousClock.now
            let check = try KillCheck(ledger)
            figures.add(ledger.figures)
            figures.checkSeconds += (ContinuousClock.now - began) / .seconds(1)
            for (place, tally) in check.tallies { tallies[place, default: .init()].add(tally) }
            isSound = check.isSound
            if !isSound {
                fault = "\(check.text)\nledger seed \(seed); kept in \(try ledger.keep())"
            }
        } catch {
            let kept = try ledger.keep()
            throw DaybookFailure(
                description: "round \(ledger.figures.roundCount), ledger seed \(seed), kept in "
                    + "\(kept): \(error)")
        }
        if figures.roundCount % 250 == 0 { report(text) }
    }

    var text: String {
        let seconds = ((ContinuousClock.now - start) / .seconds(1)).rounded()
        return RowTally.table(Self.places.map { ($0, tallies[$0] ?? RowTally()) })
            + "\n\(figures.text)\nall in \(seconds) s"
    }
}

/// Everything that a ledger has after its rounds, judged.
struct KillCheck {
    let tallies: [(place: String, tally: RowTally)]
    let complaints: [String]

    init(_ ledger: KillLedger) throws {
        let daybook = ledger.daybook
        try ledger.waitUntilProjected()
        var judge = KillJudge(ledger.records)
        var random = SystemRandomNumberGenerator()
        var found = FoundRows()
        try found.readLog(of: daybook)
        try found.readServer(of: daybook, keys: judge.keysToAsk(&random))
        try found.readPostgres(of: daybook)
        judge.readLog(found)
        judge.judge(keys: found.keys)
        tallies = ["log", "events", "pages", "postgres"].map {
            ($0, judge.tally(found.rows(in: $0), isLog: $0 == "log"))
        }
        var complaints = ledger.complaints + judge.complaints
        let groups = "SELECT quantity, count(*) FROM items GROUP BY 1"
        let kept = "SELECT quantity, rows FROM items_by_quantity"
        let different = try daybook.sql(
            "(\(groups) EXCEPT \(kept)) UNION ALL (\(kept) EXCEPT \(groups))")
        if !different.isEmpty { complaints.append("the aggregate differs: \(different)") }
        let verified = try daybook.run(["log", "verify"])
        if verified.status != 0 { complaints.append("log verify: \(verified.errorText)") }
        self.complaints = complaints
    }

    var isSound: Bool { complaints.isEmpty && tallies.allSatisfy(\.tally.isAllOk) }

    var text: String {
        let examples = tallies.flatMap { place, tally in
            tally.examples.map { "\(place): \($0)" }
        }
        return RowTally.table(tallies) + "\n" + (examples + complaints).joined(separator: "\n")
    }
}

extension KillLedger {
    /// Waits until Postgres has everything; as long as it comes nearer.
    func waitUntilProjected() throws {
        let connection = PlainConnection(port: daybook.client.port, key: daybook.client.key)
        var last = ""
        var deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            let reply = connection.ask("GET", "/v1/status", patienceMilliseconds: 10_000)
            guard case .answer(let answer) = reply else { continue }
            let status = try JSONDecoder().decode(LedgerStatus.self, from: answer.body)
            let names = KillTrade.tables + ["items_by_quantity", "audit"]
            if names.allSatisfy({ status.projections[$0]?.lag == 0 }) { return }
            let places = "\(names.map { status.projections[$0]?.position ?? -1 })"
            if places != last { deadline = ContinuousClock.now + .seconds(60) }
            last = places
            usleep(5_000)
        }
        throw DaybookFailure(description: "not projected: \(last)\n\(said)")
    }

    /// The end of what the server said.
    private var said: String { "\(daybook.process?.errorText.suffix(4_000) ?? "")" }

    /// Copies the log, what the server said and what the clients saw to where they stay.
    /// - Returns: the folder.
    func keep() throws -> String {
        let folder = FileManager.default.temporaryDirectory.path + "/daybook-kill-\(seed)"
        let files = FileManager.default
        try? files.removeItem(atPath: folder)
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for name in ["log", "state"] {
            try? files.copyItem(atPath: "\(daybook.data)/\(name)", toPath: "\(folder)/\(name)")
        }
        try (daybook.process?.errorOutput ?? Data()).write(
            to: URL(fileURLWithPath: "\(folder)/server.log"))
        let calls = records.map { record in
            let attempts = record.attempts.map { "\($0.outcome)" }.joined(separator: " ")
            let call = record.call
            return "\(call.key) \(call.path) \(call.rows.count) rows: \(attempts)"
        }
        try Data(calls.joined(separator: "\n").utf8).write(
            to: URL(fileURLWithPath: "\(folder)/calls.txt"))
        return folder
    }
}

/// Two batches that were answered and one that was not, as a log would have them.
private struct JudgeSample {
    private let records: [CallRecord]
    private let rows: [FoundRow]

    static func row(_ position: Int, _ tag: String) -> FoundRow {
        FoundRow(position: position, tag: tag)
    }

    init() {
        let now = ContinuousClock.now
        records = (0..<3).map { number in
            let rows = (0..<3).map { SentRow(text: "#\(number).\($0)#") }
            let call = Call(number: number, key: "k\(number)", table: "notes", rows: rows)
            let answer = """
                {"batch_id":"b","table":"notes","position":\(number * 3),"rows":3,"accepted":3,
                 "rejected":[]}
                """
            let outcome: Attempt.Outcome =
                number == 2 ? .unknown : .verdicts(Data(answer.utf8), isReplay: false)
            return CallRecord(
                call: call, attempts: [Attempt(sent: now, ended: now, outcome: outcome)])
        }
        rows = (0..<9).map { Self.row($0, "#\($0 / 3).\($0 % 3)#") }
    }

    func tally(isLog: Bool = true, _ change: (inout [FoundRow]) -> Void) -> RowTally {
        var judge = KillJudge(records)
        judge.readLog(FoundRows(sample: rows))
        var changed = rows
        change(&changed)
        return judge.tally(changed, isLog: isLog)
    }
}

/// Runs what blocks on a thread of its own, so that no thread of the tasks waits.
func onThread<Value: Sendable>(
    _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
    }
}
