import DaybookLog

/// What a retraction came to.
public struct RetractionOutcome: Sendable {
    /// What went, or would go.
    public let plan: RetractionPlan
    /// The event's batch; nil for a dry run.
    public let receipt: Receipt?
}

extension LedgerService {
    /// Plans a retraction and carries it out, waiting until it is on disk. What is appended
    /// meanwhile is looked through too, as often as that takes.
    ///
    /// - Parameters:
    ///   - isDryRun: whether to plan only.
    ///   - blocking: runs what blocks on a thread that may.
    public func retract(
        _ request: RetractionRequest, isDryRun: Bool,
        blocking: (
            @escaping @Sendable () -> Result<RetractionPlan, RetractionError>
        ) async -> Result<RetractionPlan, RetractionError>
    ) async throws(RetractionError) -> RetractionOutcome {
        let tryCountMax = 20
        func planned(
            _ body: @escaping @Sendable () throws(RetractionError) -> RetractionPlan
        ) async throws(RetractionError) -> RetractionPlan {
            try await blocking { Result { () throws(RetractionError) in try body() } }.get()
        }
        var plan = try await planned { [self] () throws(RetractionError) in
            try self.plan(request)
        }
        if isDryRun { return RetractionOutcome(plan: plan, receipt: nil) }
        for _ in 0..<tryCountMax {
            let current = plan
            let result = await withCheckedContinuation { continuation in
                retract(current) { continuation.resume(returning: $0) }
            }
            switch result {
            case .success(let receipt): return RetractionOutcome(plan: plan, receipt: receipt)
            case .failure(.retractionBehind):
                plan = try await planned { [self] () throws(RetractionError) in
                    do throws(RetractionError) {
                        return try self.extend(current)
                    } catch {
                        guard case .referred = error, request.takesReferring else { throw error }
                        return try self.plan(request)
                    }
                }
            case .failure(.rowsReferred(let count, let first)):
                guard request.takesReferring else { throw .referred(count: count, first: first) }
                fallthrough
            case .failure(.rowRetracted):
                plan = try await planned { [self] () throws(RetractionError) in
                    try self.plan(request)
                }
            case .failure(let error): throw .ledger(error)
            }
        }
        throw .overtaken
    }
}
