import DaybookLedger
import DaybookLog

/// Finds the open rejections whose reasons no longer hold: the row as it was is judged by the
/// dictionary of now, and its keys and references by the ledger.
struct EligibleRejections: Sendable {
    let source: any RejectionSource
    let ledger: any LedgerService
    let resubmitter: Resubmitter

    /// A request judges at most so many rows; then its page ends, full or not.
    static let judgedCountMax = 10_000

    /// The first of those that pass `filter` behind `after`, at most `limit`. A page may have fewer
    /// though there is a `next`.
    func page(
        _ filter: RejectionFilter, after: Position?, limit: Int
    ) async throws(RejectionSourceError) -> RejectionPage {
        var found: [ProjectedRejection] = []
        var after = after
        var judgedCount = 0
        while true {
            let page = try await source.page(
                filter, after: after, limit: RejectionQuery.limitMax)
            for rejection in page.rejections {
                judgedCount += 1
                after = rejection.position
                if try await isEligible(rejection.position) { found.append(rejection) }
                if found.count == limit || judgedCount >= EligibleRejections.judgedCountMax {
                    let isLast = rejection.position == page.rejections.last?.position
                    return RejectionPage(
                        rejections: found, next: isLast ? page.next : rejection.position)
                }
            }
            guard let next = page.next else {
                return RejectionPage(rejections: found, next: nil)
            }
            after = next
        }
    }

    private func isEligible(_ position: Position) async throws(RejectionSourceError) -> Bool {
        let ledger = ledger
        let stored = await offPool {
            Result { () throws(LedgerError) in try ledger.rejection(at: position) }
        }
        do throws(LedgerError) {
            guard let rejection = try stored.get() else { return false }
            return try await resubmitter.isEligible(rejection)
        } catch {
            throw .unavailable("the ledger cannot judge rows: \(error)")
        }
    }
}
