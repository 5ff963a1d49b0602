import DaybookLedger
import Hummingbird

/// `GET /v1/batches/{id}` and `GET /v1/batches?idempotency_key=`: what became of a batch.
struct BatchRoutes: Sendable {
    let ledger: any LedgerService

    func byID(_ request: Request, context: ServerContext) async throws -> Response {
        try ReadOptions(request).refuseOthers()
        let receipt = try await receipt(context)
        return answer(receipt, for: try reader(context)).readResponse()
    }

    /// The batch that the path names, if the caller may see it.
    func receipt(_ context: ServerContext) async throws -> Receipt {
        let caller = try reader(context)
        let id = try context.parameters.require("id")
        let receipt = try await batch(id: id)
        guard let receipt, caller.mayTouch(receipt.table) else {
            throw Problem.notFound("there is no batch \(id)")
        }
        return receipt
    }

    /// Who sent a batch sees it as they were told. To others, rejected bytes take the scope
    /// `audit`; reasons quote such bytes.
    private func answer(_ receipt: Receipt, for caller: Caller) -> BatchAnswer {
        let maySee = caller.scopes.contains(.audit) || receipt.principal == caller.principal
        return BatchAnswer(receipt: receipt, hasRows: maySee, hasQuotes: maySee)
    }

    /// Finds a batch by a key of the caller's own.
    func byKey(_ request: Request, context: ServerContext) async throws -> Response {
        let caller = try reader(context)
        try ReadOptions(request).refuseOthers(besides: ["idempotency_key"])
        guard let key = request.uri.queryParameters["idempotency_key"].map(String.init) else {
            throw Problem.badRequest("bad-option", "say which batch: ?idempotency_key=")
        }
        let receipt: Receipt?
        do throws(LedgerError) {
            receipt = try await ledger.batch(
                source: AppendRoute.source, principal: caller.principal, idempotencyKey: key)
        } catch {
            throw Problem(error)
        }
        guard let receipt else {
            throw Problem.notFound("\(caller.principal) sent no batch with this key")
        }
        return BatchAnswer(receipt: receipt).readResponse()
    }

    /// Who appends may ask what became of it; so may who reads.
    private func reader(_ context: ServerContext) throws(Problem) -> Caller {
        let caller = try context.requireCaller()
        guard !caller.scopes.isEmpty else { return try context.requireCaller(.read) }
        return caller
    }

    /// Looks for a batch on a thread that may block, for it may be read from disk.
    private func batch(id: String) async throws(Problem) -> Receipt? {
        let result = await offPool { [ledger] in
            Result { () throws(LedgerError) in try ledger.batch(id: id) }
        }
        do throws(LedgerError) { return try result.get() } catch { throw Problem(error) }
    }
}
