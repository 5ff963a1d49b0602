import Foundation
import TestSupport

/// What happens in a round. Each ends with kill -9 and another start.
enum RoundKind: String, CaseIterable, Sendable {
    /// Under load.
    case killed
    /// SIGSTOP for a while, SIGCONT: clients lost their patience meanwhile, and tried again.
    case stopped
    /// SIGSTOP, and killed before it goes on.
    case killedWhileStopped
    /// The disk fills under load; there is space again, and appends go on by themselves.
    case full
    /// Killed while the disk is full; there is space at the next start.
    case killedWhileFull
    /// Killed and started while the disk is full; then there is space.
    case startedWhileFull
    /// Postgres is killed too.
    case postgresKilled

    /// Clients go on until the kill then: a full disk slows them down.
    var fillsDisk: Bool { [.full, .killedWhileFull, .startedWhileFull].contains(self) }

    /// Five and twenty rounds, of each kind at least one, in random order.
    static func deck(_ random: inout SeededGenerator) -> [RoundKind] {
        let counts: [(RoundKind, Int)] = [
            (.killed, 15), (.stopped, 3), (.killedWhileStopped, 2), (.full, 1),
            (.killedWhileFull, 1), (.startedWhileFull, 1), (.postgresKilled, 2),
        ]
        return counts.flatMap { Array(repeating: $0.0, count: $0.1) }.shuffled(using: &random)
    }
}

/// The rounds of one ledger, one after the other, and all that was sent and answered in them.
///
/// It blocks, and belongs to one thread.
final class KillLedger {
    static let connectionCount = 8

    let daybook: DaybookServer
    let disk: SmallDisk
    let seed: UInt64
    private(set) var records: [CallRecord] = []
    private(set) var complaints: [String] = []
    private(set) var figures = KillFigures()
    private let catalogFolder: TemporaryFolder
    private let numbers = KillNumbers()
    private var random: SeededGenerator
    private var leftovers: [CallRecord] = []

    init(seed: UInt64) throws {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        catalogFolder = try TemporaryFolder()
        daybook = try DaybookServer(catalog: KillTrade.catalog(in: catalogFolder))
        daybook.set("DAYBOOK_RATE_LIMIT", "0")
        try FileManager.default.createDirectory(
            atPath: daybook.data, withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o711])
        disk = try SmallDisk(at: "\(daybook.data)/log", megabytes: 12)
    }

    /// Runs so many rounds, and leaves a server that runs and has everything.
    func run(roundCount: Int) throws {
        try start()
        var deck: [RoundKind] = []
        for _ in 0..<roundCount {
            if deck.isEmpty { deck = RoundKind.deck(&random) }
            try round(deck.removeLast())
        }
        finish()
    }

    // MARK: - One round

    private func round(_ kind: RoundKind) throws {
        let began = ContinuousClock.now
        let state = RoundState()
        let work = ThreadedWork(clients(state, kind).map { client in { client.run() } })
        do {
            defer {
                daybook.kill()
                state.end()
                gather(work.wait(), kind)
            }
            loadForAWhile(state)
            try disturb(kind, state)
        }
        if kind == .killedWhileFull { disk.free() }
        if kind == .postgresKilled { try killPostgres() }
        figures.loadSeconds += (ContinuousClock.now - began) / .seconds(1)
        if kind == .startedWhileFull {
            try startWhileFull()
        } else {
            try start()
        }
    }

    private func disturb(_ kind: RoundKind, _ state: RoundState) throws {
        switch kind {
        case .killed, .postgresKilled: break
        case .stopped, .killedWhileStopped:
            daybook.process?.signal(SIGSTOP)
            pause(kind == .stopped ? 120...400 : 20...100)
            if kind == .killedWhileStopped { return }
            daybook.process?.signal(SIGCONT)
            pause(20...200)
        case .full, .killedWhileFull, .startedWhileFull:
            try disk.fill()
            try waitBriefly("the disk to be found full") { state.fullCount >= 8 }
            try expectRead()
            guard kind == .full else { return }
            disk.free()
            let count = state.acknowledgedCount
            try waitBriefly("appends to go on by themselves") {
                state.acknowledgedCount > count + KillLedger.connectionCount
            }
        }
    }

    private func clients(_ state: RoundState, _ kind: RoundKind) -> [KillClient] {
        var shares = Array(repeating: [CallRecord](), count: KillLedger.connectionCount)
        for (index, record) in leftovers.shuffled(using: &random).enumerated() {
            shares[index % shares.count].append(record)
        }
        leftovers = []
        let acknowledged = records.suffix(2_000).filter(\.isAcknowledged)
        return shares.map { share in
            KillClient(
                port: daybook.client.port, key: daybook.client.key, seed: random.next(),
                numbers: numbers, state: state,
                patienceMilliseconds: kind == .stopped ? 100 : 20_000,
                isPersistent: kind == .stopped, callLimit: kind.fillsDisk ? 5_000 : 60,
                leftovers: share,
                older: (0..<min(5, acknowledged.count)).compactMap { _ in
                    acknowledged.randomElement(using: &random)
                })
        }
    }

    /// Half of what nobody knows is tried again in the next round; of the rest the end tells.
    private func gather(_ results: [ClientResult], _ kind: RoundKind) {
        figures.kinds[kind, default: 0] += 1
        for result in results {
            figures.add(result)
            complaints += result.complaints.map { "round \(figures.roundCount), \(kind): \($0)" }
            for record in result.records {
                let isOpen = !record.isAcknowledged && !record.call.isConflict
                if isOpen { figures.unansweredCount += 1 }
                if isOpen, Bool.random(using: &random) {
                    leftovers.append(record)
                } else {
                    records.append(record)
                }
            }
        }
    }

    /// The last unanswered calls are tried again, with nobody killed.
    private func finish() {
        let state = RoundState()
        state.end()
        let work = ThreadedWork(clients(state, .killed).map { client in { client.run() } })
        for result in work.wait() {
            figures.add(result)
            complaints += result.complaints.map { "at the end: \($0)" }
            records += result.records
        }
    }

    /// So many answers, whatever time the machine takes for them, and a moment more.
    private func loadForAWhile(_ state: RoundState) {
        let count = Int.random(in: 0...120, using: &random)
        let deadline = ContinuousClock.now + .milliseconds(1_500)
        while state.acknowledgedCount < count, ContinuousClock.now < deadline { usleep(500) }
        usleep(UInt32.random(in: 0...5_000, using: &random))
    }

    private func killPostgres() throws {
        let lock = "\(daybook.data)/postgres/postmaster.pid"
        let text = try? String(contentsOfFile: lock, encoding: .utf8)
        guard let pid = text?.split(separator: "\n").first.flatMap({ pid_t($0) }) else { return }
        kill(pid, Bool.random(using: &random) ? SIGKILL : SIGQUIT)
    }

    private func pause(_ milliseconds: ClosedRange<UInt32>) {
        usleep(UInt32.random(in: milliseconds, using: &random) * 1_000)
    }
}

// MARK: - The server

extension KillLedger {
    private func start() throws {
        let began = ContinuousClock.now
        let process = try daybook.launch([])
        let connection = PlainConnection(port: daybook.client.port, key: daybook.client.key)
        while true {
            let reply = connection.ask("GET", "/health/live", patienceMilliseconds: 5_000)
            if case .answer(let answer) = reply, answer.status == 200 { break }
            if let status = process.waitForExit(timeoutSeconds: 0.002) {
                throw DaybookFailure(
                    description: "serve exited \(status)\n\(process.errorText.suffix(2_000))")
            }
            guard ContinuousClock.now < began + .seconds(60) else {
                throw DaybookFailure(description: "not up in 60 s\n\(process.errorText)")
            }
        }
        figures.starts.append((ContinuousClock.now - began) / .milliseconds(1))
    }

    /// Reads go on while the disk is full.
    private func expectRead() throws {
        let connection = PlainConnection(port: daybook.client.port, key: daybook.client.key)
        let batch = "/v1/batches?idempotency_key=key%200"
        for path in ["/v1/status", "/v1/events?from=0&limit=3", batch] {
            let reply = connection.ask("GET", path, patienceMilliseconds: 10_000)
            guard case .answer(let answer) = reply, [200, 404].contains(answer.status) else {
                complaints.append("\(path) while the disk is full: \(reply)")
                continue
            }
        }
    }

    /// A start that must keep a torn tail and has no room for it says so; there is none otherwise.
    private func startWhileFull() throws {
        do {
            try start()
        } catch let failure as DaybookFailure where failure.description.contains("no space") {
            figures.refusedStartCount += 1
            disk.free()
            return try start()
        }
        try expectReadsOnly()
    }

    /// A server that was started on a full disk reads, refuses, and appends when there is space.
    private func expectReadsOnly() throws {
        try expectRead()
        let connection = PlainConnection(port: daybook.client.port, key: daybook.client.key)
        var maker = CallMaker(numbers: numbers, random: SeededGenerator(seed: random.next()))
        func append() -> Int {
            var record = CallRecord(call: maker.call())
            let sent = ContinuousClock.now
            let call = record.call
            let reply = connection.ask(
                "POST", call.path, headers: call.headers, body: call.body,
                patienceMilliseconds: 20_000)
            var (outcome, status) = (Attempt.Outcome.unknown, 0)
            if case .answer(let answer) = reply {
                status = answer.status
                outcome =
                    [200, 400].contains(status)
                    ? .verdicts(answer.body, isReplay: answer.isReplay)
                    : status == 507 ? .refused(507) : .unknown
            }
            record.attempts.append(
                Attempt(sent: sent, ended: ContinuousClock.now, outcome: outcome))
            records.append(record)
            return status
        }
        // The last block of the file may have room for one more, or two.
        let statuses = (0..<100).map { _ in append() }
        if !statuses.contains(507) || !Set(statuses).isSubset(of: [200, 400, 507]) {
            complaints.append("started while full: \(Set(statuses)), and not 507")
        }
        disk.free()
        try waitBriefly("appends to go on after a start on a full disk") {
            [200, 400].contains(append())
        }
    }

    private func waitBriefly(_ what: String, until condition: () -> Bool) throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                throw DaybookFailure(description: "waited 20 s for \(what)")
            }
            usleep(2_000)
        }
    }
}
