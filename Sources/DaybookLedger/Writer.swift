import DaybookCatalog
import DaybookIntake
import DaybookLog

/// The ledger's writer: takes what waits, has it decided, writes a group at a time, answers.
///
/// It runs on one plain thread, which alone touches the sequencer and appends to the engine; or it
/// is stepped, by `SteppedLedger`.
// @unchecked: it is made with its ledger, and then belongs to the thread that runs or steps it.
final class Writer: @unchecked Sendable {
    /// What others may see of the writer.
    struct Progress: Sendable {
        var groupCount: UInt64 = 0
        var batchCount: UInt64 = 0
        var replayCount: UInt64 = 0
        var hold: LedgerStatus.Hold?
        /// Whether an operator took the clock for right since the writer looked last.
        var isClockConfirmed = false
        /// Why the log is not what others made of it.
        var contradiction: String?
        /// Whether any row was ever retracted.
        var hasRetractions: Bool
        /// Rows and groups, by what became of them.
        var counts: LedgerCounts
    }

    private let engine: any LogEngine
    private let options: LedgerOptions
    private let queue: Monitor<SubmissionQueue<WriterRequest>>
    private let progress: Monitor<Progress>
    private let lookup: LogLookup
    private let snapshots: any KeySnapshots
    private var sequencer: Sequencer
    private var generations: KeyGenerations
    private var backlog: ArraySlice<WriterRequest> = []

    init(
        engine: any LogEngine, options: LedgerOptions,
        queue: Monitor<SubmissionQueue<WriterRequest>>, progress: Monitor<Progress>,
        lookup: LogLookup, snapshots: any KeySnapshots, sequencer: Sequencer
    ) {
        precondition(
            options.groupByteLimit + LogLimits.recordByteCount < LogLimits.blockByteCount,
            "a group with one more record fits a block")
        self.engine = engine
        self.options = options
        self.queue = queue
        self.progress = progress
        self.lookup = lookup
        self.snapshots = snapshots
        self.sequencer = sequencer
        generations = KeyGenerations(
            position: sequencer.position, interval: options.snapshotEventInterval)
    }

    /// Writes until the queue is closed and empty, or the log has failed.
    func run() {
        while true {
            guard let taken = nextItems() else { return }
            guard case .items(let items) = taken, write(items) else { return }
        }
    }

    /// Writes what waits now, and what comes meanwhile; false if nothing can be written any more.
    func step() -> Bool { write(queue.update { $0.takeWaiting() }) }

    private func write(_ items: [WriterRequest]) -> Bool {
        backlog = items[...]
        while !backlog.isEmpty {
            guard writeGroup() else { return false }
            backlog += queue.update { $0.takeWaiting() }
            ageKeys()
        }
        return true
    }

    /// Lets go of the snapshot; called when `run` has returned.
    func close() { snapshots.close() }

    /// What waits, as soon as something does. In a quiet moment the last group is attested; nil if
    /// that failed.
    private func nextItems() -> SubmissionQueue<WriterRequest>.Taken? {
        if let taken = queue.wait(timeoutSeconds: LogLimits.quietSeconds, { $0.take() }) {
            return taken
        }
        guard attest() else { return nil }
        while isClockHeld() {
            if let taken = queue.wait(timeoutSeconds: 1, { $0.take() }) { return taken }
        }
        return queue.wait { $0.take() }
    }

    /// Has the last group attested; false if nothing can be written any more.
    func attest() -> Bool {
        do {
            try engine.attest()
            return true
        } catch {
            // Without space the block stands as it is, attested by the one after it.
            return error.isDiskFull || fail([], error)
        }
    }

    /// Whether appends are still held; so that the status is right though no batch comes.
    func isClockHeld() -> Bool {
        guard case .clock = progress.update({ $0.hold }) else { return false }
        confirmClock()
        if sequencer.clock.jumpSeconds(reading()) != nil { return true }
        progress.update { $0.hold = nil }
        return false
    }

    private func confirmClock() {
        if progress.update({ take(&$0.isClockConfirmed) }) { sequencer.clock.confirm(reading()) }
    }

    /// A request whose answer depends on the group.
    private struct Waiting {
        let request: AppendRequest
        let decision: Sequencer.Decision
    }

    /// Decides and writes one group, and answers it; false if nothing can be written any more.
    private func writeGroup() -> Bool {
        confirmClock()
        sequencer.contradiction = progress.update { $0.contradiction }
        var builder = BlockBuilder(schema: engine.schema, capacity: options.groupByteLimit / 4)
        var group: [Waiting] = []
        var hold: LedgerStatus.Hold?
        while builder.byteCount < options.groupByteLimit, let next = backlog.first {
            if next.standsAlone, !group.isEmpty { break }
            backlog.removeFirst()
            guard case .append(let request) = next else {
                look(next)
                continue
            }
            let decision = sequencer.decide(
                request.content, at: reading(), random: options.random(), into: &builder)
            switch decision {
            case .written, .follows: group.append(Waiting(request: request, decision: decision))
            case .replays(let position): replay(request, position)
            case .refused(let error):
                if case .clockHeld(let seconds) = error {
                    hold = .clock(jumpSeconds: seconds)
                    // Whoever is told so finds the same in the status.
                    progress.update { $0.hold = .clock(jumpSeconds: seconds) }
                }
                answer(request, .failure(error))
            }
            if next.standsAlone, !group.isEmpty { break }
        }
        if group.isEmpty {
            if let hold { progress.update { $0.hold = hold } }
            return true
        }
        do {
            let block = try engine.append(builder)
            commit(group, block, hold)
            return true
        } catch {
            return fail(group, error)
        }
    }

    private func reading() -> ClockGuard.Reading {
        ClockGuard.Reading(wall: options.wallClock(), boot: options.bootClock())
    }

    private func commit(_ group: [Waiting], _ block: DurableBlock, _ hold: LedgerStatus.Hold?) {
        precondition(block.endPosition == sequencer.position, "the log holds the whole group")
        let batches = sequencer.pending
        sequencer.commit()
        let isRetraction = group.contains { $0.request.content.standsAlone }
        progress.update {
            $0.groupCount += 1
            $0.batchCount += UInt64(batches.count)
            $0.counts.add(batches)
            $0.hold = hold
            if isRetraction { $0.hasRetractions = true }
        }
        for waiting in group {
            switch waiting.decision {
            case .written(let index):
                answer(waiting.request, .success(batches[index].receipt(isReplay: false)))
            case .follows(let index):
                answer(waiting.request, replay(of: batches[index], for: waiting.request))
            case .replays, .refused:
                preconditionFailure("who does not depend on the group was answered before it")
            }
        }
    }

    /// The answer to a retry that came while its batch was being written.
    private func replay(
        of batch: Sequencer.Pending, for request: AppendRequest
    ) -> Result<Receipt, LedgerError> {
        guard request.content.requestDigest == batch.facts.requestDigest else {
            return .failure(.idempotencyConflict(batchID: batch.facts.id))
        }
        progress.update { $0.replayCount += 1 }
        return .success(batch.receipt(isReplay: true))
    }

    private func replay(_ request: AppendRequest, _ position: Position) {
        do throws(LedgerError) {
            let receipt = try lookup.withBatch(at: position) {
                try Receipt(reading: &$0, isReplay: true)
            }
            guard let receipt else { preconditionFailure("a batch that was found is there") }
            progress.update { $0.replayCount += 1 }
            answer(request, .success(receipt))
        } catch {
            answer(request, .failure(error))
        }
    }

    /// Answers a group that is not, or perhaps not, in the log; false if nothing more can be.
    private func fail(_ group: [Waiting], _ error: LogError) -> Bool {
        switch error {
        case .diskFull:
            sequencer.undo()
            progress.update { $0.hold = .diskFull }
            for waiting in group { answer(waiting.request, .failure(.diskFull)) }
            return true
        case .corrupt, .locked, .notALedger, .unsupportedVersion, .outOfRange, .closed:
            // The engine refused before it wrote: the group is absent.
            sequencer.undo()
            progress.update { $0.hold = .log(error) }
            for waiting in group { answer(waiting.request, .failure(.log(error))) }
            return true
        case .syncFailed, .system:
            progress.update { $0.hold = .log(error) }
            let rest = queue.update { $0.fail() }
            for waiting in group { answer(waiting.request, .failure(.outcomeUnknown)) }
            for request in backlog + rest {
                release(request)
                request.refuse(.outcomeUnknown)
            }
            backlog = []
            options.onFatal(error)
            return false
        }
    }

    private func answer(_ request: AppendRequest, _ result: Result<Receipt, LedgerError>) {
        release(.append(request))
        request.completion(result)
    }

    private func release(_ request: WriterRequest) {
        queue.update { $0.answered(1, byteCount: request.byteCount) }
    }

    /// Answers a question, which nothing is written for.
    private func look(_ request: WriterRequest) {
        release(request)
        switch request {
        case .append: preconditionFailure("what is appended is decided")
        case .search(let search):
            search.completion(
                Result { () throws(LedgerError) in
                    try sequencer.durablePosition(scope: search.scope, key: search.key)
                })
        case .check(let check):
            check.completion(
                Result { () throws(LedgerError) in
                    try sequencer.check(check.batch, dictionary: check.dictionary)
                })
        case .weigh(let request):
            request.completion(
                Result { () throws(LedgerError) in
                    try sequencer.weigh(request.submission, in: request.trial)
                })
        }
    }

    /// Keeps the fingerprints in memory to those that no snapshot has.
    private func ageKeys() {
        switch generations.step(
            position: sequencer.position, snapshotPosition: snapshots.position)
        {
        case .none: break
        case .rotate(let target):
            sequencer.changeKeys { $0.rotate() }
            snapshots.request(target)
        case .request(let target): snapshots.request(target)
        case .drop:
            do {
                try snapshots.renew()
                sequencer.changeKeys { $0.dropOld() }
            } catch {
                // The older generation stays; it only costs memory.
                snapshots.note(fault: error.description)
            }
        }
    }
}

extension AppendRequest.Content {
    var requestDigest: [UInt8] {
        switch self {
        case .submission(let submission): submission.requestDigest
        case .controls(_, _, let digest): digest
        case .waiver, .retraction: []
        }
    }
}

/// Reads a flag and takes it down.
private func take(_ flag: inout Bool) -> Bool {
    defer { flag = false }
    return flag
}
