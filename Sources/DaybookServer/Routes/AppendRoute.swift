import Avro
import DaybookIntake
import DaybookLedger
import DaybookLog
import Hummingbird

/// `POST /v1/{table}`: judges a body's rows, appends them, and answers when they are on disk.
///
/// It runs on the cooperative pool; the ledger's thread does what blocks.
struct AppendRoute: Sendable {
    /// What the log says a batch came by.
    static let source = "http"

    let ledger: any LedgerService
    /// A judge for every table.
    let judges: [String: Judge]
    let dictionary: String
    let projections: any ProjectionStatusSource
    let bodies: BodyReceiver
    let durations: Durations

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.append)
        let name = try context.parameters.require("table")
        guard let judge = judges[name] else { throw Problem.unknownTable(name) }
        guard caller.mayTouch(name) else {
            throw Problem.forbidden("the key \(caller.principal) is not for table \(name)")
        }
        let options = try AppendOptions(request)
        let receipt = try await append(request, context, options, judge, caller)
        var answer = BatchAnswer(receipt: receipt, hasRows: options.hasRows)
        if let seconds = options.waitSeconds {
            answer.isProjected = await projections.waitUntilApplied(
                receipt.endPosition, by: [receipt.table], seconds: seconds)
        }
        return answer.appendResponse()
    }

    /// Receives, judges and appends the body, which is let go of then: whoever waits for Postgres
    /// holds none of it.
    private func append(
        _ request: Request, _ context: ServerContext, _ options: AppendOptions, _ judge: Judge,
        _ caller: Caller
    ) async throws(Problem) -> Receipt {
        let received = try await bodies.receive(request, context)
        defer { withExtendedLifetime(received.share) {} }
        let (body, name) = (received.bytes, judge.table.name)
        let start = ContinuousClock.now
        let submission = Submission(
            batch: try judge.judge(body, options), source: AppendRoute.source,
            principal: caller.principal, idempotencyKey: options.idempotencyKey,
            requestDigest: options.digest(table: name, body: body), isAtomic: options.isAtomic,
            dictionary: dictionary, firstLine: options.format == .json ? nil : 1)
        let receipt: Receipt
        do throws(LedgerError) {
            receipt = try await ledger.append(submission)
        } catch {
            throw Problem(error)
        }
        durations.add(since: start)
        return receipt
    }
}

extension Judge {
    /// Judges a body in the form that the options say.
    func judge(
        _ body: Bytes, _ options: AppendOptions
    ) throws(Problem) -> JudgedBatch {
        switch options.format {
        case .json: return judgeJSON(body)
        case .ndjson: return judgeNDJSON(body)
        case .csv:
            do throws(IntakeError) {
                return try judgeCSV(body, header: options.hasHeader ? .present : .absent)
            } catch {
                throw .badRequest("bad-header", error.description)
            }
        case .avro: throw .unsupportedMediaType
        }
    }
}
