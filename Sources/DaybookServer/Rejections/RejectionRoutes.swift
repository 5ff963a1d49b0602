import DaybookCatalog
import DaybookLedger
import DaybookLog
import Hummingbird

/// `GET /v1/rejections`, `/v1/rejections/summary` and `/v1/rejections/{position}`: what was
/// refused, why, and what became of it.
struct RejectionRoutes: Sendable {
    let log: any LogEngine
    let eligible: EligibleRejections
    let source: any RejectionSource
    let projections: any ProjectionStatusSource
    let catalog: Catalog

    /// The projection that all of it is read from.
    private static let audit: Set<String> = ["audit"]

    /// A page of rejections in the order of their positions.
    func list(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.audit)
        let reading = try ReadOptions(request)
        let options = try RejectionOptions(
            reading.others, isPaged: true, catalog: catalog, caller: caller)
        let position = try await reading.wait(for: projections, RejectionRoutes.audit)
        let page: RejectionPage
        do throws(RejectionSourceError) {
            page =
                options.isEligible
                ? try await eligible.page(
                    options.filter, after: options.after, limit: options.limit)
                : try await source.page(
                    options.filter, after: options.after, limit: options.limit)
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter(capacity: 512 * (1 + page.rejections.count))
        json.openObject()
        json.key("rejections")
        json.openArray()
        for rejection in page.rejections { json.write(rejection) }
        json.closeArray()
        json.key("next")
        if let next = page.next { json.integer(next) } else { json.null() }
        json.closeObject()
        return answer(json, position)
    }

    /// Counts.
    func summary(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.audit)
        let reading = try ReadOptions(request)
        let options = try RejectionOptions(
            reading.others, isPaged: false, catalog: catalog, caller: caller)
        let position = try await reading.wait(for: projections, RejectionRoutes.audit)
        let summary: RejectionSummary
        do throws(RejectionSourceError) {
            summary = try await source.summary(options.filter)
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter(capacity: 4 << 10)
        json.write(summary)
        return answer(json, position)
    }

    /// One rejection, from the log; what became of it, from Postgres if it is there.
    func show(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try context.requireCaller(.audit)
        let reading = try ReadOptions(request)
        if let other = reading.others.first {
            throw Problem.badRequest(
                "bad-option",
                "there is no option \(other.name); there are min_position and timeout")
        }
        let text = try context.parameters.require("position")
        guard let place = Position(text), place >= 0 else {
            throw Problem.notFound(
                "\(text) is no position; there is /v1/rejections/{position}, a number, and "
                    + "/v1/rejections/summary")
        }
        let stored = try await rejection(at: place, for: caller)
        let position = try await reading.wait(for: projections, RejectionRoutes.audit)
        var life: RejectionLife?
        do throws(RejectionSourceError) {
            life = try await source.life(of: place, root: stored.root.position)
        } catch {
            // The row is in the log, with Postgres or without.
            guard case .unavailable = error else { throw Problem(error) }
        }
        var json = JSONWriter(capacity: 2 << 10)
        json.write(stored, life: life)
        return answer(json, position)
    }

    private func answer(_ json: consuming JSONWriter, _ position: Position) -> Response {
        Response(status: .ok, json: json, headers: [.daybookPosition: String(position)])
    }

    private func rejection(
        at position: Position, for caller: Caller
    ) async throws -> StoredRejection {
        let result = await offPool { [log] in
            Result { try StoredEvent.find(at: position, in: log) }
        }
        let event: StoredEvent?
        do {
            event = try result.get()
        } catch let error as LogError {
            throw Problem(LedgerError.log(error))
        }
        if case .rejected(let stored)? = event, caller.mayTouch(stored.batch.table) {
            return stored
        }
        // A key that is limited to tables is not told what others sent.
        let what = caller.tables == nil ? event?.description : "nothing that this key may see"
        throw Problem.notFound(
            "there is no rejection at position \(position): there is "
                + (what ?? "nothing yet, the log ends at position \(log.durable.position)"))
    }
}

extension StoredEvent {
    /// What it is, in a few words.
    public var description: String {
        switch self {
        case .accepted(let table, let batchID):
            "an accepted row of table \(table) in batch \(batchID)"
        case .rejected: "a rejected row"
        case .control(let kind, let batchID):
            "an event of the ledger's own (\(kind)) in batch \(batchID)"
        }
    }
}

extension Problem {
    /// What it means to a client that a question about rejections has no answer.
    init(_ error: RejectionSourceError) {
        switch error {
        case .unavailable:
            self = Problem(
                .serviceUnavailable, "postgres-unavailable", title: "Postgres is not there",
                detail: "appends go on, lists of rejections do not; `daybook status` says more"
            ).retrying(afterSeconds: 5)
        case .busy:
            self = Problem(
                .serviceUnavailable, "rejections-busy", title: "Too many questions wait",
                detail: "ask again later"
            ).retrying(afterSeconds: 2)
        case .timedOut(let seconds):
            self = Problem(
                .gatewayTimeout, "rejections-timeout", title: "The question takes too long",
                detail: "it ran longer than \(seconds) s and was ended: narrow it, by a time range "
                    + "or a code")
        case .failed(let why):
            self = Problem(
                .internalServerError, "rejections-failed", title: "Postgres refused the query",
                detail: why)
        }
    }
}
