import Avro
import DaybookIntake
import DaybookLedger
import DaybookLog
import Foundation
import Hummingbird

/// `POST /v1/rejections/{position}/resubmit` and `…/waive`: what closes a rejection.
struct ResubmitRoutes: Sendable {
    let ledger: any LedgerService
    let resubmitter: Resubmitter
    let projections: any ProjectionStatusSource
    let bodies: BodyReceiver

    /// A row in the place of the rejected one, answered as an append; an empty body sends the row
    /// again as it was. With `dry_run=true` nothing is appended: it is answered what would be.
    func resubmit(_ request: Request, context: ServerContext) async throws -> Response {
        let (caller, rejection) = try await open(context)
        let options = try AppendOptions(request, besides: ["dry_run"])
        let isDry = try isDryRun(request)
        guard let judge = resubmitter.judge(of: rejection) else {
            throw Problem.unknownTable(rejection.root.table)
        }
        let received = try await bodies.receive(request, context)
        let body = received.bytes
        let row = body.count == 0 ? try asItWas(rejection) : try judge.judge(body, options)
        guard row.rows.count == 1 else {
            throw Problem.badRequest(
                "one-row", "one row is sent in the place of one; the body has \(row.rows.count)")
        }
        if isDry { return try await foretell(row, rejection) }
        let receipt: Receipt
        do throws(LedgerError) {
            receipt = try await resubmitter.submit(
                row, for: rejection, principal: caller.principal,
                idempotencyKey: options.idempotencyKey, body: body)
        } catch {
            throw Problem(error)
        }
        // Whoever waits for Postgres holds nothing of the body.
        withExtendedLifetime(received.share) {}
        var answer = BatchAnswer(receipt: receipt, hasRows: options.hasRows)
        if let seconds = options.waitSeconds {
            answer.isProjected = await projections.waitUntilApplied(
                receipt.endPosition, by: [receipt.table], seconds: seconds)
        }
        return answer.appendResponse()
    }

    private func isDryRun(_ request: Request) throws(Problem) -> Bool {
        switch request.uri.queryParameters["dry_run"] {
        case nil, "false": return false
        case "true": return true
        case let value?: throw .badRequest("bad-option", "dry_run cannot be \(value)")
        }
    }

    /// What would become of the row.
    private func foretell(
        _ row: JudgedBatch, _ rejection: StoredRejection
    ) async throws(Problem) -> Response {
        let rejected: [Receipt.RejectedRow]
        do throws(LedgerError) {
            rejected = try await resubmitter.check(row)
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter(capacity: 512)
        json.openObject()
        json.field("position", rejection.position)
        json.field("table", rejection.root.table)
        json.field("dry_run", true)
        json.field("accepted", rejected.isEmpty ? 1 : 0)
        json.write(reasons: rejected.first?.rejection.reasons ?? [])
        json.closeObject()
        return Response(status: .ok, json: json)
    }

    private func asItWas(_ rejection: StoredRejection) throws(Problem) -> JudgedBatch {
        guard let row = resubmitter.asItWas(rejection) else {
            throw .badRequest(
                "not-a-row", "what was sent there is no whole row by itself: send a corrected one")
        }
        return row
    }

    private struct WaiveBody: Decodable {
        let note: String
    }

    /// `{"note": "…"}`: lets the rejection go.
    func waive(_ request: Request, context: ServerContext) async throws -> Response {
        let (caller, rejection) = try await open(context)
        let limit = Waiver.noteByteCount
        let received = try await bodies.limited(to: limit * 6 + 1024).receive(request, context)
        let data = received.bytes.withUnsafeBytes { Data($0) }
        guard let note = try? JSONDecoder().decode(WaiveBody.self, from: data).note,
            !note.allSatisfy(\.isWhitespace), note.utf8.count <= limit
        else {
            throw Problem.badRequest(
                "bad-note",
                "say why: {\"note\": \"…\"}, in at most \(limit) bytes of UTF-8")
        }
        let receipt: Receipt
        do throws(LedgerError) {
            receipt = try await ledger.waive(
                [rejection.root], Waiver(note: note, principal: caller.principal))
        } catch {
            throw Problem(error)
        }
        var json = JSONWriter(capacity: 256)
        json.openObject()
        json.field("position", rejection.root.position)
        json.field("state", RejectionState.waived.rawValue)
        json.field("batch_id", receipt.batchID)
        json.field("waiver_position", receipt.position)
        json.key("received_at")
        json.time(receipt.receivedAt)
        json.closeObject()
        return Response(
            status: .ok, json: json, headers: [.daybookPosition: String(receipt.endPosition)])
    }

    /// The rejection that the path names, if the caller may append to its table.
    private func open(
        _ context: ServerContext
    ) async throws(Problem) -> (Caller, StoredRejection) {
        let caller = try context.requireCaller(.append)
        let text = context.parameters.get("position") ?? ""
        guard let position = Position(text), position >= 0 else {
            throw .badRequest("bad-position", "\(text) is no position")
        }
        let found = await offPool { [ledger] in
            Result { () throws(LedgerError) in try ledger.rejection(at: position) }
        }
        let rejection: StoredRejection?
        do throws(LedgerError) { rejection = try found.get() } catch { throw Problem(error) }
        guard let rejection else {
            throw .notFound("no row was rejected at position \(position)")
        }
        guard caller.mayTouch(rejection.root.table) else {
            throw .forbidden("the key \(caller.principal) is not for table \(rejection.root.table)")
        }
        return (caller, rejection)
    }
}
