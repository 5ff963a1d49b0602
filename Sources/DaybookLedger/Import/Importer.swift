import Avro
import struct Crypto.SHA256
import DaybookIntake
import DaybookLog
import Synchronization

/// Imports files: cuts them into batches, has these judged and appended, a few at a time, in order.
///
/// Every batch has an idempotency key made of the file's digest and its own number, so an import
/// that was interrupted goes on where the log ends, and one that was done before is recognised, by
/// whomever. The last event of an import holds its totals.
public struct Importer: Sendable {
    private let ledger: any LedgerService
    private let judge: Judge
    private let dictionary: String
    /// Rows in one batch. Part of an import's identity: another number gives other batches.
    static let chunkRowCount = 5_000
    /// Batches that are judged or appended at the same time.
    private static let inFlightCount = 4

    /// An importer into the judge's table; `dictionary` is its catalog's version.
    public init(ledger: any LedgerService, judge: Judge, dictionary: String) {
        self.ledger = ledger
        self.judge = judge
        self.dictionary = dictionary
    }

    /// Imports the bytes that `next` gives, until it gives nil. Batches that were cut before an
    /// error are waited for.
    ///
    /// - Parameter progress: is told after each batch how many bytes of the file and how many rows
    ///   are done.
    public func run(
        _ request: ImportRequest,
        progress: @Sendable (_ byteCount: Int64, _ rowCount: Int64) -> Void = { _, _ in },
        next nextBytes: () async throws -> Bytes?
    ) async throws(ImportError) -> ImportSummary {
        precondition(request.table == judge.table.name, "a file goes into the judge's table")
        if let done = try await earlierImport(request) { return done }
        var running = try Running(request, judge: judge)
        var queue: [(answer: Answer, byteCount: Int64)] = []
        while true {
            let next: Running.Chunk?
            do throws(ImportError) { next = try await running.cut(nextBytes) } catch {
                // The batches before the fault stay; the caller is told when they are there.
                while !queue.isEmpty { try? await running.take(&queue, progress) }
                throw error
            }
            guard let chunk = next else { break }
            let submission = submission(chunk.step, batch: chunk.batch, chunk.number, request)
            // A full queue refuses at once; this batch must not be overtaken by the next.
            while !queue.isEmpty, queue.count >= Self.inFlightCount {
                try await running.take(&queue, progress)
            }
            var answer = Answer(submission, to: ledger)
            while let seconds = answer.retryAfterSeconds {
                while !queue.isEmpty { try await running.take(&queue, progress) }
                do { try await Task.sleep(for: .seconds(seconds)) } catch {
                    throw .source("the import was cancelled")
                }
                answer = Answer(submission, to: ledger)
            }
            queue.append((answer, chunk.byteCount))
        }
        while !queue.isEmpty { try await running.take(&queue, progress) }
        return try await finish(running, request)
    }

    private func earlierImport(
        _ request: ImportRequest
    ) async throws(ImportError) -> ImportSummary? {
        do throws(LedgerError) {
            let control = try await ledger.control(idempotencyKey: request.key("done"))
            return control.flatMap { ImportTotals($0) }?.summary(file: request.file)
        } catch {
            throw .ledger(error)
        }
    }

    private func submission(
        _ step: IntakeStep, batch: JudgedBatch, _ number: Int, _ request: ImportRequest
    ) -> Submission {
        let key = request.key("\(number)")
        return Submission(
            batch: batch, source: request.source, principal: request.principal,
            idempotencyKey: key, requestDigest: Self.digest(key), dictionary: dictionary,
            firstLine: step.firstLine)
    }

    private static func digest(_ key: String) -> [UInt8] {
        Array(key.utf8).withUnsafeBytes { Digest(of: $0).bytes }
    }

    private func finish(
        _ running: borrowing Running, _ request: ImportRequest
    ) async throws(ImportError) -> ImportSummary {
        guard running.digest == request.digest else { throw .fileChanged }
        let totals = ImportTotals(running.summary, digest: request.digest)
        let key = request.key("done")
        do throws(LedgerError) {
            _ = try await ledger.record(
                [totals.control(spans: running.spans)], idempotencyKey: key,
                requestDigest: Self.digest(key))
        } catch {
            throw .ledger(error)
        }
        return running.summary
    }
}

/// An import that is under way.
private struct Running: ~Copyable {
    struct Chunk {
        let number: Int
        let step: IntakeStep
        let batch: JudgedBatch
        /// Bytes of the file up to the chunk's end.
        let byteCount: Int64
    }

    private(set) var summary: ImportSummary
    /// The positions of its rows, adjoining batches in one.
    private(set) var spans: [Range<Position>] = []
    private var buffer: ImportBuffer
    private var hash = SHA256()
    private var chunkCount = 0
    private var byteCount: Int64 = 0

    init(_ request: ImportRequest, judge: Judge) throws(ImportError) {
        summary = ImportSummary(file: request.file, table: request.table)
        do {
            buffer = try ImportBuffer(
                request.format, judge: judge, rowLimit: Importer.chunkRowCount)
        } catch {
            throw .intake(error)
        }
    }

    /// The digest of all bytes that came.
    var digest: Digest { hash.finalize().withUnsafeBytes { Digest($0) } }

    /// The next batch of the file, or nil after the last.
    mutating func cut(
        _ next: () async throws -> Bytes?
    ) async throws(ImportError) -> Chunk? {
        while true {
            while buffer.isHungry {
                let bytes: Bytes?
                do { bytes = try await next() } catch { throw .source("\(error)") }
                bytes?.withUnsafeBytes { hash.update(bufferPointer: $0) }
                buffer.feed(bytes)
            }
            let step: IntakeStep
            do { step = try buffer.next() } catch { throw .intake(error) }
            byteCount += Int64(step.consumedByteCount)
            summary.blank += Int64(step.blankLineCount)
            if let batch = step.batch {
                defer { chunkCount += 1 }
                return Chunk(number: chunkCount, step: step, batch: batch, byteCount: byteCount)
            }
            if buffer.isDone { return nil }
            precondition(buffer.isHungry, "a complete file is cut to its end")
        }
    }

    /// Waits for the oldest batch in flight.
    mutating func take(
        _ queue: inout [(answer: Answer, byteCount: Int64)],
        _ progress: (_ byteCount: Int64, _ rowCount: Int64) -> Void
    ) async throws(ImportError) {
        let (answer, byteCount) = queue.removeFirst()
        switch await answer.result() {
        case .failure(let error): throw .ledger(error)
        case .success(let receipt):
            summary.add(receipt)
            if let last = spans.last, last.upperBound == receipt.position {
                spans[spans.count - 1] = last.lowerBound..<receipt.endPosition
            } else {
                spans.append(receipt.position..<receipt.endPosition)
            }
            progress(byteCount, summary.rows)
        }
    }
}

/// The answer to one batch, given once and waited for once.
private final class Answer: Sendable {
    private enum State {
        case empty
        case waiting(CheckedContinuation<Result<Receipt, LedgerError>, Never>)
        case given(Result<Receipt, LedgerError>)
    }

    private let state = Mutex(State.empty)

    /// Submits a batch, whose place in the queue is taken when this returns.
    init(_ submission: Submission, to ledger: any LedgerService) {
        ledger.submit(submission) { self.give($0) }
    }

    private func give(_ result: Result<Receipt, LedgerError>) {
        let waiting = state.withLock {
            state -> CheckedContinuation<Result<Receipt, LedgerError>, Never>? in
            guard case .waiting(let continuation) = state else {
                state = .given(result)
                return nil
            }
            return continuation
        }
        waiting?.resume(returning: result)
    }

    /// When to submit again, if the queue was full.
    var retryAfterSeconds: Int? {
        state.withLock { state in
            if case .given(.failure(.queueFull(let seconds))) = state { seconds } else { nil }
        }
    }

    func result() async -> Result<Receipt, LedgerError> {
        await withCheckedContinuation { continuation in
            let result = state.withLock { state -> Result<Receipt, LedgerError>? in
                if case .given(let result) = state { return result }
                state = .waiting(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}
