import CrashDisk
import DaybookLedger
import DaybookLog

// Rows that are taken back, held against the model.
extension Simulation {
    /// Takes back the rows of a batch, alone or with all that refer to them.
    ///
    /// What is read again once the retraction is durable must be readable, or the process ends: so
    /// only its writing is disturbed.
    func retract() throws {
        guard let ledger, waiting.isEmpty, canReadAll else { return }
        let entries = model.entries.filter { !$0.rows.isEmpty }
        guard !entries.isEmpty else { return }
        let entry = entries[dice.below(entries.count)]
        let takesReferring = dice.once(in: 2)
        tally.count(.retract)
        note("retract \(entry.id) at \(entry.position)\(takesReferring ? " and more" : "")")
        disk.clearFaults()
        let wanted = model.liveRows(of: entry)
        let all = model.withReferring(wanted)
        let request = RetractionRequest(
            targets: [.batch(entry.id)], takesReferring: takesReferring,
            retraction: Retraction(note: "wrong", principal: "ann"))
        let plan: RetractionPlan
        do throws(RetractionError) {
            plan = try ledger.plan(request)
        } catch {
            // Who takes all that refers along is never refused for it.
            let count = takesReferring ? 0 : model.referring(to: wanted).count
            return try take(error, wanted: wanted, referring: count)
        }
        let expected = takesReferring ? all : wanted
        try require(!wanted.isEmpty, "there is nothing left of it, and it was planned")
        try require(
            takesReferring || all == wanted, "rows refer to what is to go, and it was planned")
        let planned = plan.spans.joined().filter { model.isLive($0) }
        try require(
            planned == expected.sorted() && plan.rowCount == Int64(expected.count),
            "\(planned) are to go, not \(expected.sorted())")
        if takesReferring, all != wanted { tally.count(.retractedMore) }
        try send(plan, expected.sorted(), to: ledger)
    }

    private func take(
        _ error: RetractionError, wanted: Set<Position>, referring count: Int
    ) throws {
        switch error {
        case .nothingLeft:
            tally.count(.retractionRefused)
            try require(wanted.isEmpty, "there are \(wanted.count) rows left of it")
        case .referred(let found, _):
            tally.count(.retractionRefused)
            try require(
                count > 0 && found == count, "\(found) rows are in its way, not \(count)")
        default: throw Violation(description: "a retraction was not planned: \(error)")
        }
    }

    private func send(
        _ plan: RetractionPlan, _ rows: [Position], to ledger: SteppedLedger
    ) throws {
        let request = Request(
            number: requestCount, principal: 0, key: nil, batch: nil, isAtomic: false,
            retracts: rows)
        requestCount += 1
        waiting.append(request)
        let (inbox, disk) = (inbox, disk)
        ledger.retract(plan) { result in
            inbox.answers.append(
                Inbox.Answer(number: request.number, result: result, isDelivered: !disk.isDead))
        }
        layFaultOfBlock()
        let before = model.entries.count
        try step()
        if model.entries.count > before { tally.count(.retracted, rows.count) }
        if !disk.isDead { disk.clearFaults() }
    }

    /// Of the next block's write or sync, sometimes.
    private func layFaultOfBlock() {
        let noSpace = ErrorNumber.noSpace
        switch dice.below(10) {
        case 0: disk.lay(DiskFault(.error(noSpace), of: .write, file: ".lz4"))
        case 1: disk.lay(DiskFault(.error(ErrorNumber.input), of: .sync, file: ".lz4"))
        case 2: disk.lay(DiskFault(.short(1 + dice.below(300)), of: .write, file: ".lz4"))
        case 3:
            disk.lay(
                DiskFault(.death(afterByteCount: dice.below(600)), of: .write, file: ".lz4"))
        default: return
        }
        tally.count(.faultLaid)
    }

    private var canReadAll: Bool {
        switch wound {
        case nil, .lie(_, _, isShown: false): !disk.isDead
        default: false
        }
    }
}

// Which rows there are, and who refers to whom.
extension Model {
    func row(at position: Position) -> Workload.Row? {
        guard let place = place(of: position) else { return nil }
        let entry = entries[place]
        return entry.rows.isEmpty ? nil : entry.rows[Int(position - entry.position)]
    }

    /// Whether an accepted row stands there that was not taken back.
    func isLive(_ position: Position) -> Bool {
        guard let place = place(of: position), !entries[place].rows.isEmpty else { return false }
        let entry = entries[place]
        return entry.codes[Int(position - entry.position)].isEmpty
            && !retracted.contains(position)
    }

    func liveRows(of entry: Entry) -> Set<Position> {
        Set((entry.position..<entry.end).filter(isLive))
    }

    /// Rows besides these that refer to one of them.
    func referring(to rows: Set<Position>) -> Set<Position> {
        let keys = Set(rows.compactMap(row(at:)).flatMap(\.takes))
        var found: Set<Position> = []
        for entry in entries where !entry.rows.isEmpty {
            for (index, row) in entry.rows.enumerated() {
                let position = entry.position + Position(index)
                if !rows.contains(position), row.needs.contains(where: keys.contains),
                    isLive(position)
                {
                    found.insert(position)
                }
            }
        }
        return found
    }

    /// These rows, and those that refer to them, and so on.
    func withReferring(_ rows: Set<Position>) -> Set<Position> {
        var all = rows
        while case let more = referring(to: all), !more.isEmpty { all.formUnion(more) }
        return all
    }
}
