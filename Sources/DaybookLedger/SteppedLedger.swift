import DaybookCatalog
import DaybookIntake
import DaybookLog

/// The ledger without its threads: whoever has it says when the writer does its next step, on the
/// calling thread. With clocks and random bits from outside nothing in it is left to chance, so a
/// simulation runs the very code that decides, writes and undoes groups.
///
/// All keys are in memory, taken from the log when it is opened.
package final class SteppedLedger {
    package let catalog: Catalog
    package let fingerprintKey: FingerprintKey
    private let engine: any LogEngine
    private let queue: Monitor<SubmissionQueue<WriterRequest>>
    private let progress: Monitor<Writer.Progress>
    private let writer: Writer

    init(
        catalog: Catalog, engine: any LogEngine, options: LedgerOptions, lookup: LogLookup,
        sequencer: Sequencer
    ) {
        self.catalog = catalog
        self.engine = engine
        fingerprintKey = sequencer.fingerprintKey
        queue = Monitor(SubmissionQueue(byteLimit: options.queueByteLimit))
        progress = Monitor(
            Writer.Progress(
                hasRetractions: sequencer.hasRetractions, counts: LedgerCounts(catalog)))
        writer = Writer(
            engine: engine, options: options, queue: queue, progress: progress, lookup: lookup,
            snapshots: NoSnapshots(), sequencer: sequencer)
    }

    /// Opens the ledger; a log without events gets its first. `schema` is what the dictionary
    /// makes: it takes longer to make than all else here.
    package static func open(
        engine: any LogEngine, catalog: Catalog, schema: LogSchema,
        fingerprintKey: FingerprintKey, options: LedgerOptions
    ) throws(LedgerError) -> SteppedLedger {
        try LedgerOpening(engine: engine, catalog: catalog, options: options, schema: schema)
            .openStepped(fingerprintKey: fingerprintKey)
    }

    /// Offers a batch to the writer; refused at once if the queue is full or the log has failed.
    package func submit(
        _ submission: Submission,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        offer(AppendRequest(content: .submission(submission), completion: completion))
    }

    /// Finds the rows that a retraction takes back.
    package func plan(_ request: RetractionRequest) throws(RetractionError) -> RetractionPlan {
        try RetractionPlanner(catalog, fingerprintKey, engine).plan(request)
    }

    /// Offers a retraction to the writer.
    package func retract(
        _ plan: RetractionPlan,
        completion: @escaping @Sendable (Result<Receipt, LedgerError>) -> Void
    ) {
        offer(AppendRequest(content: .retraction(plan), completion: completion))
    }

    private func offer(_ request: AppendRequest) {
        let request = WriterRequest.append(request)
        if let refusal = queue.update({ $0.offer(request, byteCount: request.byteCount) }) {
            request.refuse(refusal)
        }
    }

    /// The writer decides, writes and answers what waits; false if it can write no more.
    package func step() -> Bool { writer.step() }

    /// What the writer does in a quiet moment; false if it can write no more.
    package func quiet() -> Bool {
        guard writer.attest() else { return false }
        _ = writer.isClockHeld()
        return true
    }

    /// Takes the wall clock for right.
    package func confirmClock() { progress.update { $0.isClockConfirmed = true } }

    /// What keeps the writer from taking batches.
    package var hold: LedgerStatus.Hold? { progress.update { $0.hold } }
}
