import Hummingbird

/// `GET /v1`: the tables with their rules, the reports with their parameters.
struct CatalogRoute: Sendable {
    let text: CatalogText

    func respond(to request: Request, context: ServerContext) throws -> Response {
        let caller = try context.requireCaller()
        try ReadOptions(request).refuseOthers()
        var json = JSONWriter(capacity: 8 << 10)
        text.write(to: &json, isShown: caller.mayTouch)
        return Response(status: .ok, json: json)
    }
}
