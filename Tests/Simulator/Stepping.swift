import DaybookLedger
import DaybookLog

// The writer's step, and its answers held against the model.
extension Simulation {
    func step() throws {
        guard let ledger, !waiting.isEmpty else { return }
        tally.count(.step)
        takeConfirmation()
        let requests = waiting
        waiting = []
        inbox.answers.removeAll(keepingCapacity: true)
        let fired = disk.firedCount
        let isHeld = model.isHeld(wall: surroundings.wall, boot: surroundings.boot)
        let goesOn = ledger.step()
        try require(
            inbox.answers.count == requests.count,
            "\(inbox.answers.count) answers to \(requests.count) requests")
        var answers = inbox.answers
        answers.sort { $0.number < $1.number }
        groupCount += 1
        let before = model.entries.count
        for (request, answer) in zip(requests, answers) {
            try require(answer.number == request.number, "a request was answered twice")
            try take(answer, to: request, isHeld: isHeld, since: fired)
        }
        tally.count(.batchWritten, model.entries.count - before)
        if !goesOn || disk.isDead {
            isUncertainWhole = groupByteLimit > 4096 && before == model.entries.count
            try require(disk.firedCount > fired, "the ledger gave up: \(fatalText)")
            tally.count(.syncFailed)
            if !disk.isDead { try down(afterPowerLoss: dice.once(in: 2)) }
            return
        }
        try require(uncertain.isEmpty, "an outcome is unknown, and the ledger goes on")
        if model.entries.count > before {
            let isSure = disk.firedCount == firedAtOpening && disk.spaceByteCount == .max
            headWitness = isSure ? model.position : nil
        }
        try requireHead()
    }

    private func take(
        _ answer: Inbox.Answer, to request: Request, isHeld: Bool, since fired: Int
    ) throws {
        note("answer #\(request.number) \(answer.isDelivered ? "" : "lost ")\(answer.text)")
        guard answer.isDelivered else {
            uncertain.append((request, surroundings.wall))
            return
        }
        let known = model.entry(request.identity)
        switch answer.result {
        case .success(let receipt):
            if let known { return try takeReplay(receipt, of: known, request) }
            try require(!isHeld, "\(request.text) was written though the clock is held")
            try takeNew(receipt, request)
        case .failure(.idempotencyConflict(let id)):
            tally.count(.conflict)
            try require(
                known.map { $0.id == id && $0.digest != request.digest } ?? false,
                "\(request.text) conflicts with \(id), which is not so")
        case .failure(.clockHeld):
            tally.count(.held)
            try require(isHeld && known == nil, "\(request.text) was held, and the clock is right")
        case .failure(.diskFull):
            tally.count(.answeredFull)
            try requireFull(since: fired, request.text)
        case .failure(.outcomeUnknown):
            tally.count(.answeredUnknown)
            uncertain.append((request, surroundings.wall))
        case .failure(.log(let error)):
            tally.count(.answeredReadFailed)
            try require(
                disk.firedCount > fired || wound != nil, "\(request.text) was refused: \(error)")
        case .failure(let error):
            throw Violation(description: "\(request.text) was refused: \(error)")
        }
    }

    private func takeReplay(
        _ receipt: Receipt, of known: Model.Entry, _ request: Request
    ) throws {
        tally.count(.replayed)
        if known.group == groupCount { tally.count(.followed) }
        try require(receipt.isReplay, "\(request.text) was written twice")
        try require(known.digest == request.digest, "\(request.text) is another body: no conflict")
        try require(
            receipt.batchID == known.id && receipt.leaf == known.leaf
                && receipt.position == known.position && receipt.receivedAt == known.receivedAt
                && receipt.rowCount == known.codes.count,
            "\(request.text) was answered otherwise the first time")
        try requireVerdicts(of: receipt, are: known.codes, request)
    }

    private func takeNew(_ receipt: Receipt, _ request: Request) throws {
        try require(!receipt.isReplay, "\(request.text) is said to be a retry of what is not there")
        var entry = model.decide(request, wall: surroundings.wall, group: groupCount)
        try require(
            receipt.position == entry.position,
            "\(request.text) has position \(receipt.position), not \(entry.position)")
        try require(
            receipt.receivedAt == entry.receivedAt,
            "\(request.text) has time \(receipt.receivedAt), not \(entry.receivedAt)")
        try require(receipt.rowCount == entry.codes.count, "\(request.text) has lost rows")
        try requireVerdicts(of: receipt, are: entry.codes, request)
        entry.id = receipt.batchID
        entry.leaf = receipt.leaf
        model.commit(entry)
        tally.count(.rowRejected, receipt.rejected.count)
    }

    private func requireVerdicts(
        of receipt: Receipt, are codes: [Model.Codes], _ request: Request
    ) throws {
        var found = [Model.Codes](repeating: [], count: codes.count)
        for row in receipt.rejected {
            found[row.index] = Model.Codes(row.rejection.reasons.map(\.code))
        }
        try require(
            zip(found, codes).allSatisfy { $0.agrees(with: $1) },
            "\(request.text): verdicts \(found.map(\.rawValue)), not \(codes.map(\.rawValue))")
    }

    /// The log's end is the model's.
    func requireHead() throws {
        guard let log else { return }
        let head = log.durable
        try require(
            head.position == model.position && head.size == UInt64(model.entries.count)
                && head.root == model.frontier.root,
            "the log is durable to \(head.position), the model to \(model.position)")
        try require(log.lastReceivedAt == model.lastReceivedAt, "the log's time is not its last")
    }
}

extension Model.Codes {
    init(_ names: [String]) {
        self = []
        for name in names {
            switch name {
            case "duplicate_key": insert(.duplicate)
            case "unknown_reference": insert(.reference)
            case "atomic_batch": insert(.atomic)
            default: insert(.intake)
            }
        }
    }

    /// Of a row that intake rejected the ledger may find more, which the model does not follow.
    func agrees(with other: Model.Codes) -> Bool {
        other.contains(.intake) ? contains(.intake) : self == other
    }
}

extension Inbox.Answer {
    var text: String {
        switch result {
        case .success(let receipt):
            "\(receipt.isReplay ? "replay" : "written") at \(receipt.position), "
                + "\(receipt.rejected.count) of \(receipt.rowCount) rejected"
        case .failure(let error): "\(error)"
        }
    }
}
