import Avro
import CrashDisk
import DaybookLedger
import DaybookLog
import DaybookSegments

/// One run: a disk, the real log and ledger on it, clients, faults, and the model that all of it is
/// held against. Everything that happens follows from the seed.
final class Simulation {
    let seed: UInt64
    let workload: Workload
    var dice: Dice
    var tally = Tally()
    /// Takes lines for people; nil unless they are asked for.
    var trace: ((String) -> Void)?

    let disk: CrashDisk
    let surroundings: Surroundings
    let inbox = Inbox()
    var log: SegmentLog?
    var ledger: SteppedLedger?
    var model = Model()

    /// Requests that the writer has not been asked to decide.
    var waiting: [Request] = []
    /// Requests whose fate nobody knows, in order, as the model decided them.
    var uncertain: [(request: Request, wall: Microseconds)] = []
    /// Whether all of them that were written make one group.
    var isUncertainWhole = true
    /// What clients may send again.
    var history: [Request] = []
    var requestCount = 0
    var keyCount = 0
    var groupCount = 0
    var isConfirmPending = false
    let segmentByteCount: UInt64
    let groupByteLimit: Int

    /// What is wrong with the medium just now; at most one thing at a time.
    var wound: Wound?
    /// Whether the last group may be found to be gone.
    var mayLoseLast = false
    /// Whether the log was open when an attempt to start failed.
    var isServing = false
    /// Whether the process was killed between two calls: then there is no torn tail.
    var wasKilledIdle = false
    /// What the head file in the cache is known to say: the position after the last group that was
    /// written while nothing failed. Nil after a power loss.
    var headWitness: Position?
    /// So many faults had struck when the log was opened.
    var firedAtOpening = 0
    /// So many faults had struck when the process ended last.
    var struckCount = 0
    /// What was found wrong where it could not be thrown.
    var violation: Violation?

    init(seed: UInt64, workload: Workload) {
        self.seed = seed
        self.workload = workload
        var dice = Dice(seed: seed)
        disk = CrashDisk(seed: dice.next())
        surroundings = Surroundings(dice: Dice(seed: dice.next()))
        segmentByteCount = [4_000, 8_000, 16_000, 1 << 20][dice.below(4)]
        groupByteLimit = dice.once(in: 6) ? 400 : 1 << 16
        self.dice = dice
    }

    func note(_ line: @autoclosure () -> String) { trace?(line()) }

    func require(_ holds: Bool, _ what: @autoclosure () -> String) throws {
        if !holds { throw Violation(description: what()) }
    }

    /// Two hundred operations and some, an orderly end, and a last look.
    func run() throws {
        try reopen(afterPowerLoss: false)
        for _ in 0..<(200 + dice.below(40)) { try operate() }
        try end()
        tally.seedCount += 1
    }

    private func operate() throws {
        tally.operationCount += 1
        guard log != nil, ledger != nil else {
            try reopen(afterPowerLoss: dice.below(5) < 3)
            return
        }
        switch dice.below(1000) {
        case ..<330: submit()
        case ..<450: retry()
        case ..<640: try step()
        case ..<680: try quiet()
        case ..<686: try retract()
        case ..<760: tick()
        case ..<780: try turnClock()
        case ..<850: try read()
        case ..<880: try readAsOf()
        case ..<888: try roll()
        case ..<918: writeBack()
        case ..<933: noteCheckpoint()
        case ..<949:
            let isPowerLoss = dice.once(in: 2)
            try down(afterPowerLoss: isPowerLoss)
            wasKilledIdle = !isPowerLoss && wound == nil
        case ..<968: layFault()
        case ..<984: turnSpace()
        case ..<992: lie()
        default: rotLive()
        }
        try finishDeath()
    }

    /// A process that died within a call is one that has to be started again.
    func finishDeath() throws {
        if disk.isDead {
            tally.count(.death)
            try down(afterPowerLoss: dice.once(in: 2))
        }
    }

    // MARK: Clients

    private func submit() {
        let batch = workload.batches[dice.below(workload.batches.count)]
        let isAtomic = dice.once(in: 10)
        var key: Int?
        if dice.once(in: 8) {
            tally.count(.keyless)
        } else {
            key = keyCount
            keyCount += 1
        }
        if isAtomic { tally.count(.atomic) }
        tally.count(.submit)
        send(principal: dice.below(3), key: key, batch, isAtomic)
    }

    private func retry() {
        guard !history.isEmpty else { return submit() }
        let recent = min(history.count, dice.once(in: 4) ? history.count : 12)
        let old = history[history.count - 1 - dice.below(recent)]
        guard let sent = old.batch else { return }
        switch dice.below(8) {
        case 0:
            tally.count(.retryOfOtherBody)
            let batch = workload.batches[dice.below(workload.batches.count)]
            send(principal: old.principal, key: old.key, batch, old.isAtomic)
        case 1:
            tally.count(.retryByOther)
            send(principal: (old.principal + 1) % 3, key: old.key, sent, old.isAtomic)
        default:
            tally.count(.retry)
            send(principal: old.principal, key: old.key, sent, old.isAtomic)
        }
    }

    private func send(
        principal: Int, key: Int?, _ batch: Workload.Batch, _ isAtomic: Bool
    ) {
        let request = Request(
            number: requestCount, principal: principal, key: key, batch: batch, isAtomic: isAtomic)
        requestCount += 1
        waiting.append(request)
        if key != nil { history.append(request) }
        note("submit \(request.text)")
        let (inbox, disk) = (inbox, disk)
        ledger?.submit(request.submission(batch, dictionary: workload.catalog.version)) { result in
            inbox.answers.append(
                Inbox.Answer(number: request.number, result: result, isDelivered: !disk.isDead))
        }
    }

    // MARK: Time

    private func tick() {
        tally.count(.tick)
        let time = Microseconds(dice.below(4_000_000))
        surroundings.boot += time
        surroundings.wall += time
    }

    private func turnClock() throws {
        let second: Microseconds = 1_000_000
        switch dice.below(3) {
        case 0:
            tally.count(.clockBack)
            surroundings.wall -= Microseconds(1 + dice.below(7200)) * second
        case 1:
            tally.count(.clockForward)
            surroundings.wall += Microseconds(3601 + dice.below(1 << 20)) * second
        default:
            tally.count(.confirm)
            isConfirmPending = true
            ledger?.confirmClock()
        }
        note("wall \(surroundings.wall), boot \(surroundings.boot), confirm \(isConfirmPending)")
    }

    func takeConfirmation() {
        if !isConfirmPending { return }
        isConfirmPending = false
        model.clockOffset = surroundings.wall - surroundings.boot
    }

    // MARK: The writer's quiet moments

    private func quiet() throws {
        tally.count(.quiet)
        note("quiet")
        let fired = disk.firedCount
        if case .clock = ledger?.hold { takeConfirmation() }
        guard let ledger else { return }
        if !ledger.quiet() {
            tally.count(.syncFailed)
            try require(disk.firedCount > fired, "attesting failed: \(fatalText)")
            return try down(afterPowerLoss: dice.once(in: 2))
        }
        let isHonest = disk.firedCount == fired && disk.spaceByteCount == .max
        if isHonest { model.attestedCount = model.entries.count }
    }

    private func roll() throws {
        guard let log else { return }
        tally.count(.roll)
        note("roll")
        let fired = disk.firedCount
        do throws(LogError) {
            try log.roll(to: log.schema)
        } catch {
            note("roll failed: \(error)")
            if case .diskFull = error { return try requireFull(since: fired, "a roll") }
            try require(disk.firedCount > fired, "a roll failed: \(error)")
            try down(afterPowerLoss: dice.once(in: 2))
        }
    }

    private func noteCheckpoint() {
        guard let log else { return }
        tally.count(.checkpoint)
        surroundings.checkpoint = log.durable
        log.note(checkpoint: log.durable)
    }

    func requireFull(since fired: Int, _ what: String) throws {
        try require(
            disk.spaceByteCount < .max || disk.firedCount > fired,
            "\(what) found no space, and there is some")
    }

    var fatalText: String { surroundings.fatal.map { "\($0)" } ?? "nobody said why" }

    // MARK: The end

    private func end() throws {
        if log == nil || ledger == nil { try reopen(afterPowerLoss: false) }
        disk.clearFaults()
        disk.spaceByteCount = .max
        isConfirmPending = true
        ledger?.confirmClock()
        try step()
        if disk.isDead { try finishDeath() }
        if let log {
            do throws(LogError) { try log.close() } catch {
                throw Violation(description: "the log did not close: \(error)")
            }
        }
        try down(afterPowerLoss: true)
        try reopen(afterPowerLoss: false, isLast: true)
    }
}

extension Request {
    var text: String {
        let what =
            batch.map { "\($0.judged.table.name) \($0.rows.count) rows" }
            ?? "retraction of \(retracts.count) rows"
        return "#\(number) by \(Request.principals[principal])"
            + " key \(key.map { "\($0)" } ?? "none") \(what)\(isAtomic ? " atomic" : "")"
    }
}
