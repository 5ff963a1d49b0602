import DaybookIntake
import DaybookLog
import Foundation
import TestSupport
import Testing

@testable import DaybookLedger

/// A ledger from which rows are retracted, and beside it one in which these never came.
final class RetractionWorld {
    static let dictionary = """
        table: departments
        key: [id]
        columns:
          - {name: id, type: integer}
          - {name: name, type: string}
        ---
        table: employees
        key: [id]
        unique: [[email]]
        columns:
          - {name: id, type: integer}
          - {name: email, type: string}
          - {name: department_id, type: integer, references: departments}
          - {name: boss_id, type: integer, optional: true, references: employees}
        ---
        table: currencies
        key: [code]
        columns:
          - {name: code, type: string}
        ---
        table: payments
        key: [account, day]
        columns:
          - {name: account, type: string}
          - {name: day, type: date}
          - {name: currency, type: string, references: {table: currencies, columns: [code]}}
        ---
        table: receipts
        key: [no]
        references:
          - {from: [account, day], table: payments}
        columns:
          - {name: no, type: integer}
          - {name: account, type: string}
          - {name: day, type: date}
          - name: email
            type: string
            optional: true
            references: {table: employees, columns: [email]}
        ---
        table: readings
        key: []
        columns:
          - name: sensor
            type: integer
            references: {table: departments, columns: [id], onMissing: accept}
          - {name: value, type: number}
        """
    static let tables = [
        "departments", "employees", "currencies", "payments", "receipts", "readings",
    ]

    /// A row, the keys that it takes, and those that it needs.
    struct Row {
        var table: String
        var json: String
        var key: [String] = []
        var takes: [String] = []
        var needs: [String] = []
    }

    /// What is known of a rejection.
    enum State: Equatable {
        case open, waived
        case corrected(by: Position)
    }

    struct Sent {
        let body: String
        let receipt: Receipt
    }

    let bench: Bench
    private var other: Bench
    var random: SeededGenerator
    let name: String
    /// The rows that stand.
    private(set) var rows: [Position: Row] = [:]
    private(set) var states: [RejectionRoot: State] = [:]
    private(set) var sent: [String: Sent] = [:]
    private(set) var batches: [(id: String, range: Range<Position>)] = []
    /// By number of the file.
    private(set) var imports: [Int: [Range<Position>]] = [:]
    private(set) var importOrder: [Int] = []
    private(set) var retractionCount = 0
    private(set) var refusalCount = 0
    private var folders: [String] = []

    init(seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        name = "seed \(seed)"
        bench = try Bench(Self.dictionary) { $0.snapshotEventInterval = 9 }
        other = try Bench(Self.dictionary)
    }

    deinit {
        for folder in folders { try? FileManager.default.removeItem(atPath: folder) }
    }

    func number(_ range: Range<Int>) -> Int { Int.random(in: range, using: &random) }
    func chance(_ one: Int) -> Bool { number(0..<one) == 0 }

    // MARK: Rows

    func row(of table: String) -> Row {
        let (a, b, c) = (number(0..<7), number(0..<7), number(0..<7))
        let day = "2024-01-0\(b % 3 + 1)"
        switch table {
        case "departments":
            let isBad = chance(4)
            return Row(
                table: table, json: isBad ? #"{"id":\#(a)}"# : #"{"id":\#(a),"name":"n"}"#,
                key: ["\(a)"], takes: ["d\(a)"])
        case "employees":
            let boss = chance(2) ? nil : chance(2) ? a : c
            let end = boss.map { #","boss_id":\#($0)}"# } ?? "}"
            return Row(
                table: table, json: #"{"id":\#(a),"email":"e\#(b)","department_id":\#(c)\#(end)"#,
                key: ["\(a)"], takes: ["e\(a)", "m\(b)"],
                needs: ["d\(c)"] + (boss.map { ["e\($0)"] } ?? []))
        case "currencies":
            return Row(
                table: table, json: #"{"code":"C\#(a % 4)"}"#, key: ["C\(a % 4)"],
                takes: ["c\(a % 4)"])
        case "payments":
            return Row(
                table: table,
                json: #"{"account":"x\#(a)","day":"\#(day)","currency":"C\#(c % 4)"}"#,
                key: ["x\(a)", day], takes: ["p\(a),\(day)"], needs: ["c\(c % 4)"])
        case "receipts":
            let email = chance(2) ? c : nil
            let end = email.map { #","email":"e\#($0)"}"# } ?? "}"
            return Row(
                table: table, json: #"{"no":\#(c),"account":"x\#(a)","day":"\#(day)"\#(end)"#,
                key: ["\(c)"], takes: ["r\(c)"],
                needs: ["p\(a),\(day)"] + (email.map { ["m\($0)"] } ?? []))
        default: return Row(table: table, json: #"{"sensor":\#(a),"value":\#(b)}"#)
        }
    }

    private func array(_ rows: [Row]) -> String {
        "[\(rows.map(\.json).joined(separator: ","))]"
    }

    // MARK: Batches

    /// Sends a batch to both, which must say the same.
    func send(
        _ rows: [Row], key: String? = nil, source: String = "http", isAtomic: Bool = false,
        corrects root: RejectionRoot? = nil
    ) async throws {
        let json = array(rows)
        let submission = try bench.submission(
            rows[0].table, json, key: key, isAtomic: isAtomic, source: source,
            corrects: root.map { [RowCorrection(row: 0, rejection: $0)] } ?? [])
        if let key, source == "http", let known = sent[key] {
            await again(known, submission, body: rows[0].table + json)
            return
        }
        if let root, let state = states[root], state != .open {
            #expect(await appended(submission) == .failure(closed(root, state)), "\(name)")
            return
        }
        let receipt = try await appended(submission).get()
        let expected = try await other.append(rows[0].table, json, isAtomic: isAtomic)
        #expect(receipt.brief == expected.brief, "\(name), at \(receipt.position): \(json)")
        if let key, source == "http" {
            sent[key] = Sent(body: rows[0].table + json, receipt: receipt)
        }
        batches.append((receipt.batchID, receipt.position..<receipt.endPosition))
        let rejected = Set(receipt.rejected.map(\.index))
        for (index, row) in rows.enumerated() {
            let position = receipt.position + Position(index)
            if !rejected.contains(index) {
                self.rows[position] = row
                if let root { states[root] = .corrected(by: position) }
            } else if root == nil {
                states[RejectionRoot(position: position, table: row.table)] = .open
            }
        }
    }

    /// A request that was sent before: it has its old answer, whatever became of its rows.
    private func again(_ known: Sent, _ submission: Submission, body: String) async {
        var result = await appended(submission)
        guard known.body == body else {
            let conflict = LedgerError.idempotencyConflict(batchID: known.receipt.batchID)
            #expect(result == .failure(conflict), "\(name)")
            return
        }
        if case .success(var receipt) = result {
            #expect(receipt.isReplay, "\(name)")
            receipt.isReplay = false
            result = .success(receipt)
        }
        #expect(result == .success(known.receipt), "\(name)")
    }

    private func appended(_ submission: Submission) async -> Result<Receipt, LedgerError> {
        do throws(LedgerError) {
            return .success(try await bench.ledger.append(submission))
        } catch {
            return .failure(error)
        }
    }

    private func closed(_ root: RejectionRoot, _ state: State) -> LedgerError {
        .rejectionClosed(root.position, state == .waived ? .waived : .corrected)
    }

    static func digest(_ file: Int) -> Digest {
        Array("file \(file)".utf8).withUnsafeBytes { Digest(of: $0) }
    }

    /// A part of a file, as the importer sends it. Files share names two by two.
    func sendPart(of file: Int, _ rows: [Row]) async throws {
        let part = imports[file]?.count ?? 0
        let key = "import/\(Self.digest(file))/\(rows[0].table)/csv,absent/\(part)"
        try await send(rows, key: key, source: "csv:f\(file / 2).csv")
        if imports[file] == nil { importOrder.append(file) }
        imports[file, default: []].append(batches[batches.count - 1].range)
    }

    func waive() async throws {
        guard let (root, state) = states.randomElement(using: &random) else { return }
        let waiver = Waiver(note: "of no use", principal: "ann")
        do throws(LedgerError) {
            _ = try await bench.ledger.waive([root], waiver)
            #expect(state == .open, "\(name)")
            states[root] = .waived
        } catch {
            #expect(error == closed(root, state) && state != .open, "\(name)")
        }
    }

    // MARK: Retractions

    /// The rows that refer to rows of a set, and are not in it.
    func referring(to going: Set<Position>) -> [Position] {
        let keys = Set(going.flatMap { rows[$0]?.takes ?? [] })
        return rows.filter { position, row in
            !going.contains(position) && row.needs.contains(where: keys.contains)
        }.keys.sorted()
    }

    /// Retracts what a target stands for, or sees it refused.
    func retract(_ targets: [RetractionRequest.Target], takesReferring: Bool) async throws {
        let request = RetractionRequest(
            targets: targets, takesReferring: takesReferring,
            retraction: Retraction(note: "wrong", principal: "ann"))
        let result = await bench.retract(request)
        var going: Set<Position> = []
        for target in targets {
            switch standing(target) {
            case .failure(let error):
                #expect(throws: error, "\(name)") { try result.get() }
                refusalCount += 1
                return
            case .success(let found): going.formUnion(found)
            }
        }
        let needed = referring(to: going)
        if going.isEmpty {
            #expect(throws: RetractionError.nothingLeft, "\(name)") { try result.get() }
            return
        }
        if !needed.isEmpty, !takesReferring {
            refusalCount += 1
            guard case .failure(.referred(let count, let first)) = result else {
                Issue.record("\(name): \(needed) refer to \(going), and \(result)")
                return
            }
            #expect(count == needed.count, "\(name)")
            #expect(first.map(\.position) == Array(needed.prefix(10)), "\(name)")
            let named = needed.prefix(10).compactMap { rows[$0] }
            #expect(first.map(\.key) == named.map(\.key), "\(name)")
            #expect(first.map(\.table) == named.map(\.table), "\(name)")
            return
        }
        var more = needed
        while !more.isEmpty {
            going.formUnion(more)
            more = referring(to: going)
        }
        let outcome = try result.get()
        let counts = Dictionary(grouping: going) { rows[$0]?.table ?? "" }.mapValues(\.count)
        let told = outcome.plan.tables.map { ($0.table, Int($0.rowCount)) }
        #expect(Dictionary(told) { $0 + $1 } == counts, "\(name)")
        #expect(told.map(\.0) == counts.keys.sorted(), "\(name)")
        try await take(going)
    }

    /// What stands of a target.
    private func standing(
        _ target: RetractionRequest.Target
    ) -> Result<Set<Position>, RetractionError> {
        func rows(in ranges: [Range<Position>]) -> Set<Position> {
            Set(ranges.joined()).intersection(self.rows.keys)
        }
        switch target {
        case .batch(let id):
            guard let batch = batches.first(where: { $0.id == id }) else {
                return .failure(.unknownBatch(id))
            }
            return .success(rows(in: [batch.range]))
        case .importDigest(let digest):
            guard let file = importOrder.first(where: { Self.digest($0) == digest }) else {
                return .failure(.unknownImport("\(digest)"))
            }
            return .success(rows(in: imports[file] ?? []))
        case .importName(let name):
            let files = importOrder.filter { "f\($0 / 2).csv" == name }
            guard let file = files.first else { return .failure(.unknownImport(name)) }
            guard files.count == 1 else {
                return .failure(
                    .ambiguousImport(name, digests: files.map { "\(Self.digest($0))" }))
            }
            return .success(rows(in: imports[file] ?? []))
        case .row(let table, let key):
            let found = self.rows.filter { $0.value.table == table && $0.value.key == key }
            #expect(found.count == 1, "\(name)")
            return .success(Set(found.keys))
        }
    }

    /// The rows never came: the other ledger is made anew without them.
    private func take(_ going: Set<Position>) async throws {
        retractionCount += 1
        for position in going { rows[position] = nil }
        for (root, state) in states {
            if case .corrected(let by) = state, going.contains(by) { states[root] = .open }
        }
        other = try Bench(Self.dictionary)
        var run: [Row] = []
        for (_, row) in rows.sorted(by: { $0.key < $1.key }) + [(-1, Row(table: "", json: ""))] {
            if let first = run.first, first.table != row.table {
                let receipt = try await other.append(first.table, array(run))
                #expect(receipt.brief == [], "\(name): what stands, stands by itself")
                run = []
            }
            run.append(row)
        }
    }

    // MARK: Restarts

    /// Closes the ledger and opens it with another state of its folder.
    func restart() throws {
        bench.close()
        let files = FileManager.default
        if chance(3) {
            let copy = bench.folder + "-\(folders.count)"
            try files.copyItem(atPath: bench.folder, toPath: copy)
            folders.append(copy)
        }
        switch number(0..<5) {
        case 0: try files.removeItem(atPath: bench.folder)
        case 1, 2:
            guard let older = folders.randomElement(using: &random) else { break }
            try files.removeItem(atPath: bench.folder)
            try files.copyItem(atPath: older, toPath: bench.folder)
        default: break
        }
        if chance(2) {
            let store = try KeyStore(folder: bench.folder)
            defer { store.close() }
            let builder = try SnapshotBuilder(
                engine: bench.log, catalog: bench.catalog, store: store,
                fingerprintLimit: number(1..<9))
            try builder.advance(to: Position(number(0..<Int(bench.log.durable.position))))
        }
        let interval = Int64(number(2..<60))
        try bench.open { $0.snapshotEventInterval = interval }
    }
}

extension Bench {
    /// Plans and retracts, on threads that may block.
    func retract(
        _ request: RetractionRequest, isDryRun: Bool = false
    ) async -> Result<RetractionOutcome, RetractionError> {
        let queue = DispatchQueue(label: "retraction")
        do throws(RetractionError) {
            return .success(
                try await ledger.retract(request, isDryRun: isDryRun) { body in
                    await withCheckedContinuation { continuation in
                        queue.async { continuation.resume(returning: body()) }
                    }
                })
        } catch {
            return .failure(error)
        }
    }
}
