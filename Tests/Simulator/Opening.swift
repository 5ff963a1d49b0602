import CrashDisk
import DaybookLedger
import DaybookLog
import DaybookSegments

// The process ends and starts again.
extension Simulation {
    /// The process is gone, and with it whatever it had not answered.
    func down(afterPowerLoss isPowerLoss: Bool) throws {
        tally.count(.faultStruck, disk.firedCount - struckCount)
        struckCount = disk.firedCount
        if isPowerLoss {
            tally.count(.crash)
            headWitness = nil
            let loss = disk.crash(using: &dice)
            tally.count(.sectorDropped, loss.droppedCount)
            tally.count(.sectorTrashed, loss.trashedCount)
            tally.count(.lengthTorn, loss.tornLengthCount)
            tally.count(.nameLost, loss.lostNameCount)
            note("power loss: \(loss)")
        } else {
            tally.count(.kill)
            disk.kill()
            note("kill -9")
        }
        if case .lie(let before, let isMisdirected, let wasShown) = wound {
            wound =
                disk.firedCount == before
                ? nil
                : .lie(
                    firedBefore: before, isMisdirected: isMisdirected,
                    isShown: wasShown || isPowerLoss)
        }
        (log, ledger) = (nil, nil)
        waiting = []
        isConfirmPending = false
        wasKilledIdle = false
    }

    /// Starts the process, whatever it takes, and compares what it serves with the model.
    func reopen(afterPowerLoss isPowerLoss: Bool, isLast: Bool = false) throws {
        tally.count(.reopen)
        if log != nil || ledger != nil || isPowerLoss { try down(afterPowerLoss: isPowerLoss) }
        if case .rot = wound, isLast || dice.once(in: 2) { _ = heal() }
        if !isLast, dice.once(in: 4) { hurt() }
        mayLoseLast = isHurt
        for attempt in 0..<8 {
            // The power may have gone since, and shown what the drive had lied about.
            mayLoseLast = mayLoseLast || isHurt
            if attempt < 3, !isLast, dice.once(in: 5) { layFault() }
            if attempt >= 3 {
                disk.clearFaults()
                disk.spaceByteCount = .max
            }
            if try isOpened(attempt) { return }
            wasKilledIdle = false
        }
        throw Violation(description: "the log does not open, and nothing is wrong with the disk")
    }

    /// Whether something that was durable may be gone. A lie does not show in the cache.
    private var isHurt: Bool {
        switch wound {
        case .rot, .lie(_, _, isShown: true): true
        default: false
        }
    }

    /// One attempt.
    private func isOpened(_ attempt: Int) throws -> Bool {
        let fired = disk.firedCount
        let changes = changeCount
        let hadTemporary = disk.fileNames.contains { $0.hasSuffix(".tmp") }
        do throws(LogError) {
            try open()
        } catch {
            if let violation {
                throw violation
            }
            note("opening: \(error)")
            (log, ledger) = (nil, nil)
            if case .corrupt(let corruption) = error, !disk.isDead {
                try takeHalt(corruption, isUnchanged: changeCount == changes || isServing)
            } else {
                try takeRefusal(error, since: fired)
            }
            return false
        }
        if disk.isDead {
            try finishDeath()
            return false
        }
        if hadTemporary { tally.count(.tmpRemoved) }
        mayLoseLast = false
        firedAtOpening = disk.firedCount
        if case .lie(_, _, isShown: true) = wound { wound = nil }
        try requireHead()
        return true
    }

    /// Calls that changed something, so far.
    private var changeCount: Int {
        [DiskCall.write, .truncate, .rename, .remove, .sync, .syncFolder].reduce(0) {
            $0 + disk.count(of: $1)
        }
    }

    private func takeRefusal(_ error: LogError, since fired: Int) throws {
        tally.count(.openFailed)
        if case .diskFull = error {
            try requireFull(since: fired, "opening")
        } else {
            try require(disk.firedCount > fired || disk.isDead, "opening failed: \(error)")
        }
        if dice.once(in: 2) { disk.spaceByteCount = .max }
        keepCutWound()
        if disk.isDead { tally.count(.death) }
        try down(afterPowerLoss: dice.once(in: 2))
    }

    /// Durable bytes are missing or damaged, the log says. Is it so, and does it say where?
    private func takeHalt(_ corruption: Corruption, isUnchanged: Bool) throws {
        tally.count(.halted)
        if corruption.what.contains("the head file is") { tally.count(.haltedByHead) }
        if corruption.what.contains("a later block is") { tally.count(.haltedByLater) }
        if corruption.what.contains("an attestation is") { tally.count(.haltedByAttestation) }
        if corruption.what.contains("checkpoint") { tally.count(.haltedByCheckpoint) }
        if case .lie(_, _, isShown: false) = wound { wound = nil }
        guard let wound else {
            throw Violation(description: "halted, and nothing is wrong: \(corruption)")
        }
        try require(isUnchanged, "halted, and changed the disk before")
        try require(!corruption.file.isEmpty, "halted without naming a file")
        if case .rot(let file, _, let offset, _) = wound {
            try require(
                corruption.file == file && corruption.offset <= UInt64(offset),
                "halted at \(corruption.offset) of \(corruption.file), not \(offset) of \(file)")
        }
        if case .extra(let file) = wound {
            try require(corruption.file == file, "halted for \(corruption.file), not \(file)")
        } else {
            try require(
                corruption.position <= model.position, "halted behind the end: \(corruption)")
        }
        if heal() {
            mayLoseLast = false
            try down(afterPowerLoss: false)
        } else {
            beginAnew()
        }
    }

    /// What was lost cannot be brought back: another disk, another ledger, the same seed.
    private func beginAnew() {
        tally.count(.newWorld)
        note("a new world")
        disk.empty()
        wound = nil
        model = Model()
        uncertain = []
        history = []
        mayLoseLast = false
        headWitness = nil
        surroundings.checkpoint = nil
    }

    private func open() throws(LogError) {
        isServing = false
        let surroundings = surroundings
        var options = SegmentLogOptions(schema: workload.schema, clock: { surroundings.wall })
        options.segmentByteCount = segmentByteCount
        options.recentByteCount = dice.once(in: 2) ? 4096 : 0
        options.random = { surroundings.dice.next() }
        if dice.once(in: 2) { options.askCheckpoint = { surroundings.checkpoint } }
        let log = try recorded { () throws(LogError) in
            try SegmentLog(disk: disk, options: options)
        }
        self.log = log
        count(log.recovery)
        if wasKilledIdle, wound == nil, log.recovery.cut != nil {
            try fail("killed between two calls, and there was a torn tail")
        }
        forgetCutWound()
        isServing = true
        try compare(log)
        if case .extra = wound { try fail("a segment that does not belong there was passed over") }
        if case .missing = wound { try fail("a missing segment was passed over") }
        if case .lie = wound, let damage = log.recovery.damage.first { throw .corrupt(damage) }
        var ledgerOptions = LedgerOptions(
            wallClock: { surroundings.wall }, bootClock: { surroundings.boot },
            onFatal: { surroundings.fatal = $0 })
        ledgerOptions.groupByteLimit = groupByteLimit
        ledgerOptions.cacheByteLimit = 8192
        ledgerOptions.random = { surroundings.dice.next() }
        do throws(LedgerError) {
            ledger = try SteppedLedger.open(
                engine: log, catalog: workload.catalog, schema: workload.schema,
                fingerprintKey: workload.fingerprintKey, options: ledgerOptions)
        } catch {
            switch error {
            case .log(let error): throw error
            case .diskFull: throw .diskFull(file: "")
            default: try fail("the ledger does not open: \(error)")
            }
        }
        model.clockOffset = surroundings.wall - surroundings.boot
        if model.entries.isEmpty, !disk.isDead { try compare(log) }
    }

    /// Opens the log, and counts the footers that it makes up for: they go into segments that are
    /// not the newest.
    private func recorded(
        _ open: () throws(LogError) -> SegmentLog
    ) throws(LogError) -> SegmentLog {
        let newest = segmentNames.last
        disk.startRecord()
        defer {
            let footers = disk.endRecord().count {
                $0.call == .write && $0.file.hasSuffix(".lz4") && $0.file != newest
            }
            tally.count(.sealedLater, footers)
        }
        return try open()
    }

    private func count(_ report: RecoveryReport) {
        if report.cut != nil {
            tally.count(.cut)
            // What was cut may have been an attestation that had rotted.
            if mayLoseLast { model.attestedCount = 0 }
        }
        if report.rewrittenByteCount > 0 { tally.count(.rewritten) }
        if !report.damage.isEmpty { tally.count(.degraded) }
        tally.count(.headerless, report.damage.count { $0.what.contains("header cannot be read") })
        note("opened: \(report)")
    }

    /// A violation on its way through code that throws something else.
    func fail(_ what: String) throws(LogError) {
        violation = Violation(description: what)
        throw .closed
    }
}
