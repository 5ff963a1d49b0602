import Avro
import DaybookLedger
import DaybookLog
import HTTPTypes
import Hummingbird

/// `POST /v1/retractions`: takes accepted rows back, by batch, by import or by key.
///
/// Each looks through the log, so one is worked on at a time, and another is told to come again.
struct RetractionRoute: Sendable {
    let ledger: any LedgerService
    let projections: any ProjectionStatusSource
    let bodies: BodyReceiver
    let places: Places

    private static let retrySeconds = 2

    func respond(to request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.admin)
        // What is to go is known only after it was looked for, and may be of any table.
        guard caller.tables == nil else {
            throw Problem.forbidden(
                "rows of any table may be retracted, and the key \(caller.principal) is for some "
                    + "only")
        }
        let options = try RetractionOptions(
            request, body: try await bodies.receive(request, context).bytes)
        guard let place = places.take() else {
            throw Problem(
                .tooManyRequests, "retraction-busy", title: "One is worked on at a time",
                detail: "another retraction is being looked for or written: send it again"
            ).retrying(afterSeconds: RetractionRoute.retrySeconds)
        }
        defer { withExtendedLifetime(place) {} }
        let outcome: RetractionOutcome
        do throws(RetractionError) {
            outcome = try await ledger.retract(
                options.request(by: caller.principal), isDryRun: options.isDryRun,
                blocking: { body in await offPool(body) })
        } catch {
            return RetractionProblem(error).response
        }
        var answer = RetractionAnswer(outcome: outcome, note: options.note)
        if let seconds = options.waitSeconds, let receipt = outcome.receipt {
            answer.isProjected = await projections.waitUntilApplied(
                receipt.endPosition, by: Set(outcome.plan.tables.map(\.table)), seconds: seconds)
        }
        return answer.response
    }
}
