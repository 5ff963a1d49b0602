import Foundation

/// How many rows of a place are what.
struct RowTally: Sendable {
    enum Class: String, CaseIterable, Sendable {
        /// As it was sent, answered and ordered.
        case ok
        /// Acknowledged, and not there, or there with a worse verdict.
        case lost
        /// There twice, or accepted with a key that was taken.
        case duplicated
        /// There though it was never sent, was refused, or is part of a batch that is not whole.
        case phantom
        /// Not at the position that was acknowledged, or not in the order of sending.
        case reordered
    }

    private(set) var counts: [Class: Int] = [:]
    /// Rows that are not ok, the first twenty.
    private(set) var examples: [String] = []

    subscript(_ kind: Class) -> Int { counts[kind] ?? 0 }

    mutating func add(_ kind: Class, _ count: Int = 1, _ what: @autoclosure () -> String = "") {
        if count == 0 { return }
        counts[kind, default: 0] += count
        if kind != .ok, examples.count < 20 { examples.append("\(kind): \(what())") }
    }

    mutating func add(_ other: RowTally) {
        counts.merge(other.counts) { $0 + $1 }
        examples = Array((examples + other.examples).prefix(20))
    }

    var isAllOk: Bool { Class.allCases.allSatisfy { $0 == .ok || self[$0] == 0 } }

    /// One line a place, with the counts below the names of the classes.
    static func table(_ tallies: [(place: String, tally: RowTally)]) -> String {
        func line(_ name: String, _ cells: [String]) -> String {
            name.padding(toLength: 14, withPad: " ", startingAt: 0)
                + cells.map { String(repeating: " ", count: max(0, 12 - $0.count)) + $0 }.joined()
        }
        let head = line("place", Class.allCases.map(\.rawValue))
        return ([head] + tallies.map { place, tally in
            line(place, Class.allCases.map { "\(tally[$0])" })
        }).joined(separator: "\n")
    }
}

/// Holds what a place has against what was sent and answered, row by row.
struct KillJudge {
    /// Every call by its number.
    private let records: [Int: CallRecord]
    private var verdicts: [Int: Verdicts] = [:]
    /// Faults that are not of one row.
    private(set) var complaints: [String] = []
    /// Rows of the log whose verdict contradicts all that stands before them.
    private var wrong: [Int: [Int: RowTally.Class]] = [:]
    /// Calls whose batches are in the log, and where.
    private var logged: [Int: Int] = [:]

    init(_ records: [CallRecord]) {
        self.records = Dictionary(records.map { ($0.call.number, $0) }) { first, _ in first }
        if self.records.count != records.count { complaints.append("a call was kept twice") }
        for (number, record) in self.records {
            guard let body = record.verdicts else { continue }
            if let answer = try? JSONDecoder().decode(Verdicts.self, from: body) {
                verdicts[number] = answer
                if answer.rows != record.call.rows.count {
                    complaints.append("\(record.call.key): \(answer.rows) rows answered")
                }
            } else {
                complaints.append("\(record.call.key): an answer is not readable")
            }
        }
    }

    /// Calls whose keys are to be asked for: all that nobody knows, and some of the others.
    func keysToAsk(_ random: inout SystemRandomNumberGenerator) -> [String] {
        let calls = records.values.filter { !$0.call.isConflict }
        let known = calls.filter(\.isAcknowledged).shuffled(using: &random).prefix(100)
        return calls.filter { !$0.isAcknowledged }.map(\.call.key) + known.map(\.call.key)
    }

    // MARK: - The log by itself

    /// Positions without a gap, times that rise, each batch once, verdicts that follow from what
    /// stands before, and no batch before one that was acknowledged before it was sent.
    mutating func readLog(_ found: FoundRows) {
        var rows = found.rows(in: "log")[...]
        var position = 0
        var time = 0
        var ids: Set<Substring> = []
        var model = KeyModel()
        var order: [CallRecord] = []
        for batch in found.batches.sorted(by: { $0.position < $1.position }) {
            if batch.position != position {
                complaints.append("a gap or overlap at \(position): \(batch.position)")
            }
            if batch.receivedAt <= time { complaints.append("time at \(position) does not rise") }
            if !ids.insert(batch.id).inserted { complaints.append("\(batch.id) is there twice") }
            position = batch.position + batch.rowCount
            time = batch.receivedAt
            let own = rows.prefix { $0.position < position }
            rows = rows.dropFirst(own.count)
            guard batch.source != "system", let number = own.first?.tag?.call,
                let record = records[number]
            else { continue }
            if batch.key != record.call.key { complaints.append("\(batch.key) has other rows") }
            if logged[number] == nil { logged[number] = batch.position }
            order.append(record)
            judge(own, of: record.call, &model)
        }
        judgeOrder(order)
    }

    /// Verdicts by the keys that stand in the log before the batch.
    private mutating func judge(
        _ own: ArraySlice<FoundRow>, of call: Call, _ model: inout KeyModel
    ) {
        guard own.count == call.rows.count else { return }
        let expected = model.judge(call)
        for (index, (row, code)) in zip(own, expected).enumerated() {
            if row.code.map(String.init) == code { continue }
            let kind: RowTally.Class =
                code == nil ? .lost : row.code == nil && code == "duplicate_key" ? .duplicated
                : .phantom
            wrong[call.number, default: [:]][index] = kind
        }
    }

    /// If one was acknowledged before another was sent, it stands before it.
    private mutating func judgeOrder(_ order: [CallRecord]) {
        var earliest: ContinuousClock.Instant?
        for record in order.reversed() {
            if let earliest, let sent = record.sent, earliest < sent {
                for index in record.call.rows.indices {
                    wrong[record.call.number, default: [:]][index] = .reordered
                }
            }
            guard let acknowledged = record.acknowledged else { continue }
            earliest = min(earliest ?? acknowledged, acknowledged)
        }
    }

    // MARK: - Any place

    /// Every row of a place; of the log first, for what is in the log must be everywhere.
    func tally(_ found: [FoundRow], isLog: Bool) -> RowTally {
        var tally = RowTally()
        var byCall: [Int: [FoundRow]] = [:]
        for row in found {
            if let tag = row.tag, let record = records[tag.call],
                record.call.rows.indices.contains(tag.row)
            {
                byCall[tag.call, default: []].append(row)
            } else {
                tally.add(.phantom, 1, "position \(row.position): a row that nobody sent")
            }
        }
        for (number, record) in records {
            let rows = byCall[number] ?? []
            let isExpected = record.isAcknowledged || !isLog && logged[number] != nil
            if rows.isEmpty {
                if isExpected {
                    tally.add(
                        .lost, record.call.rows.count,
                        "\(record.call.key): all \(record.call.rows.count) rows")
                }
                continue
            }
            if record.call.isConflict || record.isRefused {
                tally.add(.phantom, rows.count, "\(record.call.key): it was refused")
            } else if !isExpected, isPart(rows, of: record.call) {
                tally.add(.phantom, rows.count, "\(record.call.key): it is there in part")
            } else {
                judge(rows, of: record, isLog: isLog, &tally)
            }
        }
        return tally
    }

    private func isPart(_ rows: [FoundRow], of call: Call) -> Bool {
        Set(rows.compactMap { $0.tag?.row }).count < call.rows.count
    }

    private func judge(
        _ rows: [FoundRow], of record: CallRecord, isLog: Bool, _ tally: inout RowTally
    ) {
        let call = record.call
        let codes = verdicts[call.number].map { answer in
            Dictionary(answer.rejected.map { ($0.index, $0.reasons.first?.code ?? "?") }) { $1 }
        }
        let first = rows.first.map { $0.position - ($0.tag?.row ?? 0) } ?? 0
        let base = verdicts[call.number]?.position ?? logged[call.number] ?? first
        var seen: Set<Int> = []
        var last = -1
        for row in rows {
            guard let index = row.tag?.row else { continue }
            let what = "\(call.key), row \(index) at position \(row.position), \(row.code ?? "ok")"
            if !seen.insert(index).inserted {
                tally.add(.duplicated, 1, what)
                continue
            }
            defer { last = index }
            if index < last || row.position != base + index {
                tally.add(.reordered, 1, what + ", not at \(base + index)")
            } else if isLog, let kind = wrong[call.number]?[index] {
                tally.add(kind, 1, what + ", by what stands before it")
            } else if let codes, codes[index] != row.code.map(String.init) {
                tally.add(
                    codes[index] == nil ? .lost : .phantom, 1,
                    what + ", answered \(codes[index] ?? "ok")")
            } else if row.code == nil, isOther(row, than: call.rows[index], of: call) {
                tally.add(.phantom, 1, what + ", with other values")
            } else {
                tally.add(.ok)
            }
        }
        tally.add(.lost, call.rows.count - seen.count, "\(call.key): some of its rows")
    }

    private func isOther(_ row: FoundRow, than sent: SentRow, of call: Call) -> Bool {
        row.table != call.table[...] || row.key != sent.key || row.item != sent.item
    }

    /// What the server says of keys.
    mutating func judge(keys: [String: FoundKey]) {
        for record in records.values {
            guard let found = keys[record.call.key], !record.call.isConflict else { continue }
            let number = record.call.number
            let isThere = logged[number] != nil
            if found.status != (isThere ? 200 : 404) {
                complaints.append("\(record.call.key): \(found.status) by its key")
            } else if isThere, found.position != logged[number]
                || found.rowCount != record.call.rows.count
            {
                complaints.append("\(record.call.key): by its key another batch")
            } else if let answer = verdicts[number], found.acceptedCount != answer.accepted {
                complaints.append("\(record.call.key): by its key other verdicts")
            }
        }
    }
}

/// Which keys are taken, in the order of the log: the ledger's rules in thirty lines.
struct KeyModel {
    private var taken: [String: Set<Int>] = [:]

    /// The code of each row, nil for an accepted one; what is accepted is taken from then on.
    mutating func judge(_ call: Call) -> [String?] {
        let before = taken
        var codes: [String?] = []
        for row in call.rows {
            let code = row.flaw ?? fault(of: row, in: call.table)
            codes.append(code)
            if code == nil, let key = row.key { taken[call.table, default: []].insert(key) }
        }
        guard call.isAtomic, codes.contains(where: { $0 != nil }) else { return codes }
        taken = before
        return codes.map { $0 ?? "atomic_batch" }
    }

    private func fault(of row: SentRow, in table: String) -> String? {
        if let key = row.key, taken[table]?.contains(key) == true { return "duplicate_key" }
        if let item = row.item, taken["items"]?.contains(item) != true {
            return "unknown_reference"
        }
        return nil
    }
}
