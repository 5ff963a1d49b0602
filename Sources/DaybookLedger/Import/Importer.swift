import Avro
import DaybookIntake
import DaybookLog

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
    /// Batches that are appended at the same time.
    private static let inFlightCount = 4
    /// Batches of a check that are with the writer at the same time: others wait behind them.
    private static let weighedCount = 2

    /// An importer into the judge's table; `dictionary` is its catalog's version.
    public init(ledger: any LedgerService, judge: Judge, dictionary: String) {
        self.ledger = ledger
        self.judge = judge
        self.dictionary = dictionary
    }

    /// Imports the bytes that `next` gives, until it gives nil. Batches that were cut before an
    /// error are waited for.
    ///
    /// - Parameters:
    ///   - limit: ends the import with the chunk in which there are more rejections; the import is
    ///     then not recorded as done, and goes on from there when it is run with a higher limit.
    ///   - stopsEarly: whether not one chunk more is appended, and a share is held to from 1,000
    ///     rows on. If not, up to three chunks may follow, and a share counts at the end.
    ///   - progress: is told after each batch how many bytes of the file and how many rows
    ///     are done.
    public func run(
        _ request: ImportRequest, limit: RejectLimit? = nil, stopsEarly: Bool = false,
        progress: @Sendable (_ byteCount: Int64, _ rowCount: Int64) -> Void = { _, _ in },
        next nextBytes: () async throws -> Bytes?
    ) async throws(ImportError) -> ImportSummary {
        precondition(request.table == judge.table.name, "a file goes into the judge's table")
        if let done = try await earlierImport(request) { return done }
        var tally = ImportTally(request, limit: limit, stopsEarly: stopsEarly)
        let digest = try await flow(
            request, &tally, inFlightCount: stopsEarly ? 1 : Self.inFlightCount, nextBytes,
            ask: { submission, completion in
                ledger.submit(submission, completion: completion)
            },
            take: { (tally, receipt: Receipt, byteCount) in
                tally.add(receipt)
                progress(byteCount, tally.summary.rows)
            })
        tally.end()
        guard let digest, !tally.isOver else { return tally.summary }
        try await finish(tally, digest, request)
        return tally.summary
    }

    /// Judges the bytes that `next` gives as an import would, keys and references too, and appends
    /// nothing. Rows that are in the log from an import that was cut short count as it has them.
    ///
    /// The verdicts are those of the moment at which each batch was judged: what others append
    /// meanwhile is not in them.
    ///
    /// - Parameter limit: sets `stop` in the summary if there are more rejections; the whole file
    ///   is judged all the same.
    public func check(
        _ request: ImportRequest, limit: RejectLimit, next nextBytes: () async throws -> Bytes?
    ) async throws(ImportError) -> ImportSummary {
        precondition(request.table == judge.table.name, "a file goes into the judge's table")
        if let done = try await earlierImport(request) { return done }
        var tally = ImportTally(request, limit: limit, stopsEarly: false)
        let trial = Trial()
        let digest = try await flow(
            request, &tally, inFlightCount: Self.weighedCount, isWhole: true, nextBytes,
            ask: { submission, completion in
                ledger.weigh(submission, in: trial, completion: completion)
            },
            take: { (tally, weighing: Weighing, _) throws(LedgerError) in
                switch weighing {
                case .judged(let rowCount, let rejected):
                    tally.add(judged: rowCount, rejected: rejected)
                case .inLog(let position):
                    guard let receipt = try ledger.batch(at: position) else {
                        preconditionFailure("a batch that was found is there")
                    }
                    tally.add(receipt)
                }
            })
        guard digest == request.digest else { throw .fileChanged }
        tally.end()
        return tally.checked()
    }

    private func earlierImport(
        _ request: ImportRequest
    ) async throws(ImportError) -> ImportSummary? {
        do throws(LedgerError) {
            guard let control = try await ledger.control(idempotencyKey: request.key("done")),
                var summary = ImportTotals(control)?.summary(file: request.file)
            else { return nil }
            summary.retraction = try await ledger.retraction(of: control.refersTo)
            return summary
        } catch {
            throw .ledger(error)
        }
    }

    /// Cuts the file, asks the ledger about each batch and counts its answers, in order.
    ///
    /// - Returns: the file's digest; nil if the limit ended it before the file did.
    private func flow<Value: Sendable>(
        _ request: ImportRequest, _ tally: inout ImportTally, inFlightCount: Int,
        isWhole: Bool = false, _ nextBytes: () async throws -> Bytes?,
        ask: (Submission, @escaping Answer<Value>.Completion) -> Void,
        take: (inout ImportTally, Value, Int64) throws(LedgerError) -> Void
    ) async throws(ImportError) -> Digest? {
        var file = try FileCutter(request.format, judge: judge, rowLimit: Self.chunkRowCount)
        var queue: [(answer: Answer<Value>, chunk: FileCutter.Chunk)] = []
        func takeFirst(
            _ queue: inout [(answer: Answer<Value>, chunk: FileCutter.Chunk)],
            _ tally: inout ImportTally
        ) async throws(ImportError) {
            let (answer, chunk) = queue.removeFirst()
            let result = await answer.result()
            do throws(LedgerError) { try take(&tally, try result.get(), chunk.byteCount) } catch {
                throw .ledger(error)
            }
            tally.add(blank: chunk.blankCount)
        }
        while isWhole || !tally.isOver {
            let next: FileCutter.Chunk?
            do throws(ImportError) { next = try await file.cut(nextBytes) } catch {
                // The batches before the fault stay; the caller is told when they are there.
                while !queue.isEmpty { try? await takeFirst(&queue, &tally) }
                throw error
            }
            guard let chunk = next else { break }
            let submission = submission(chunk, request)
            // A full queue refuses at once; this batch must not be overtaken by the next.
            while queue.count >= inFlightCount { try await takeFirst(&queue, &tally) }
            if tally.isOver, !isWhole { break }
            var answer = Answer<Value> { ask(submission, $0) }
            while let seconds = answer.retryAfterSeconds {
                while !queue.isEmpty { try await takeFirst(&queue, &tally) }
                do { try await Task.sleep(for: .seconds(seconds)) } catch {
                    throw .source("the import was cancelled")
                }
                answer = Answer { ask(submission, $0) }
            }
            queue.append((answer, chunk))
        }
        while !queue.isEmpty { try await takeFirst(&queue, &tally) }
        if tally.isOver, !isWhole { return nil }
        tally.add(blank: file.blankCount)
        return file.digest
    }

    private func submission(_ chunk: FileCutter.Chunk, _ request: ImportRequest) -> Submission {
        let key = request.key("\(chunk.number)")
        return Submission(
            batch: chunk.batch, source: request.source, principal: request.principal,
            idempotencyKey: key, requestDigest: Self.digest(key), dictionary: dictionary,
            firstLine: chunk.step.firstLine)
    }

    private static func digest(_ key: String) -> [UInt8] {
        Array(key.utf8).withUnsafeBytes { Digest(of: $0).bytes }
    }

    private func finish(
        _ tally: ImportTally, _ digest: Digest, _ request: ImportRequest
    ) async throws(ImportError) {
        guard digest == request.digest else { throw .fileChanged }
        let summary = tally.summary
        precondition(summary.rows == summary.accepted + summary.rejected, "no row is lost")
        let totals = ImportTotals(summary, digest: request.digest)
        let key = request.key("done")
        do throws(LedgerError) {
            _ = try await ledger.record(
                [totals.control(spans: tally.spans)], idempotencyKey: key,
                requestDigest: Self.digest(key))
        } catch {
            throw .ledger(error)
        }
    }
}
