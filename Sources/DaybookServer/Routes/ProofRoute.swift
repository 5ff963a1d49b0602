import DaybookLedger
import DaybookLog
import HTTPTypes
import Hummingbird

/// `GET /v1/batches/{id}/proof`: what proves that the batch is in the ledger, signed.
///
/// A proof reads the log from the batch on, so only so many are made at once.
struct ProofRoute: Sendable {
    let batches: BatchRoutes
    let log: any LogSource
    let key: SigningKey
    let places: Places

    func respond(_ request: Request, context: ServerContext) async throws -> Response {
        try ReadOptions(request).refuseOthers(besides: ["from_size"])
        let receipt = try await batches.receipt(context)
        let head = log.durable
        let earlierSize = try earlierSize(request, in: head)
        guard let place = places.take() else {
            throw Problem(
                .serviceUnavailable, "proofs-busy", title: "Other proofs are being made",
                detail: "\(places.limit) are made at once: ask again"
            ).retrying(afterSeconds: 1)
        }
        let result = await offPool { [log, key] in
            defer { withExtendedLifetime(place) {} }
            return Result { () throws(LedgerError) in
                try BatchProof(of: receipt, in: log, head: head, from: earlierSize, key: key)
            }
        }
        let proof: BatchProof
        do throws(LedgerError) { proof = try result.get() } catch { throw Problem(error) }
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/json", .daybookPosition: String(head.position),
            ],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: proof.json)))
    }

    private func earlierSize(
        _ request: Request, in head: TreeHead
    ) throws(Problem) -> UInt64? {
        guard let text = request.uri.queryParameters["from_size"] else { return nil }
        guard let size = UInt64(text), (1...head.size).contains(size) else {
            throw .badRequest(
                "bad-option",
                "from_size is the number of batches of an earlier tree, from 1 to \(head.size)")
        }
        return size
    }
}
