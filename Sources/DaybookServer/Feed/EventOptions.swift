import DaybookLog
import Hummingbird

/// What a client asks of `GET /v1/events`.
struct EventOptions {
    var from: Position = 0
    var limit = Int.max
    var follows = false
    var table: String?
    var verdict: EventVerdict?

    /// Reads the options from the request's query.
    ///
    /// - Throws: a problem that names what is not understood.
    init(_ request: Request) throws(Problem) {
        for (name, value) in request.uri.queryParameters {
            switch (name, value) {
            case ("from", _):
                guard let position = Position(value), position >= 0 else {
                    throw .badRequest("bad-option", "from is a position, 0 or more")
                }
                from = position
            case ("limit", _):
                guard let count = Int(value), count > 0 else {
                    throw .badRequest("bad-option", "limit is a number of events, 1 or more")
                }
                limit = count
            // The log is ahead of every projection: there is nothing to wait for.
            case ("min_position", _), ("timeout", _): break
            case ("follow", "true"): follows = true
            case ("follow", "false"): follows = false
            case ("table", _): table = String(value)
            case ("verdict", _):
                guard let known = EventVerdict(rawValue: String(value)) else {
                    throw .badRequest(
                        "bad-option", "verdict is accepted, rejected or control")
                }
                verdict = known
            case ("follow", _):
                throw .badRequest("bad-option", "follow is true or false")
            default:
                throw .badRequest(
                    "bad-option",
                    "there is no option \(name); there are from, limit, follow, table and verdict")
            }
        }
    }

    /// The filter for `caller`: a key that is limited to tables sees those alone.
    func filter(for caller: Caller) throws(Problem) -> EventFilter {
        if let table, !caller.mayTouch(table) {
            throw .forbidden("the key \(caller.principal) is not for table \(table)")
        }
        return EventFilter(
            positions: from..<Position.max, tables: table.map { [$0] } ?? caller.tables,
            verdict: verdict)
    }
}
