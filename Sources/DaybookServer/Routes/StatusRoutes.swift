import DaybookLedger
import Hummingbird

/// `/v1/status` and `/health/*`.
struct StatusRoutes: Sendable {
    /// The state now; the argument says whether the conninfo is shown.
    let status: @Sendable (_ showsPostgres: Bool) -> ServerStatus

    func status(_ request: Request, context: ServerContext) throws -> Response {
        _ = try context.requireCaller()
        try ReadOptions(request).refuseOthers()
        return respond(showsPostgres: false)
    }

    func localStatus(_ request: Request, context: ServerContext) throws -> Response {
        _ = try context.requireCaller()
        return respond(showsPostgres: true)
    }

    private func respond(showsPostgres: Bool) -> Response {
        var json = JSONWriter()
        status(showsPostgres).write(to: &json)
        return Response(status: .ok, json: json)
    }

    func live(_ request: Request, context: ServerContext) -> Response {
        health("live")
    }

    /// Ready means that it can append, with Postgres or without.
    func ready(_ request: Request, context: ServerContext) throws -> Response {
        if let hold = status(false).holdName {
            throw Problem(
                .serviceUnavailable, hold, title: "Appends have stopped",
                detail: "reads go on; `daybook status` and the server's log say more")
        }
        return health("ready")
    }

    private func health(_ state: String) -> Response {
        var json = JSONWriter(capacity: 64)
        json.openObject()
        json.field("status", state)
        json.closeObject()
        return Response(status: .ok, json: json)
    }
}
