import DaybookLedger
import Hummingbird
import Logging

/// `/local/v1/clock/confirm`: an operator says that the wall clock is right, though it jumped.
struct ClockRoute: Sendable {
    let ledger: any LedgerService
    let logger: Logger

    /// Nothing is taken for right unless something is held: a jump to come is not excused before.
    func confirm(_ request: Request, context: ServerContext) throws -> Response {
        let caller = try context.requireCaller()
        var json = JSONWriter(capacity: 64)
        json.openObject()
        if case .clock(let seconds) = ledger.status.hold {
            ledger.confirmClock()
            logger.notice(
                "the clock was taken for right",
                metadata: ["jump_seconds": "\(seconds)", "by": "\(caller.principal)"])
            json.field("was_held", true)
            json.field("jump_seconds", seconds)
        } else {
            json.field("was_held", false)
        }
        json.closeObject()
        return Response(status: .ok, json: json)
    }
}
