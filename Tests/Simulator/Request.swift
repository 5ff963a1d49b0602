import DaybookLedger
import DaybookLog

/// A batch, or a retraction, on its way from a client.
struct Request {
    let number: Int
    let principal: Int
    /// The idempotency key's number; nil without one.
    let key: Int?
    /// Nil for a retraction.
    let batch: Workload.Batch?
    let isAtomic: Bool
    /// The rows that it takes back, by position.
    var retracts: [Position] = []

    var identity: Model.Identity? { key.map { Model.Identity(principal: principal, key: $0) } }
    var digest: [UInt8] { batch?.digests[isAtomic ? 1 : 0] ?? [] }

    static let principals = ["ann", "bob", "cyd"]

    func submission(_ batch: Workload.Batch, dictionary: String) -> Submission {
        Submission(
            batch: batch.judged, source: "http", principal: Request.principals[principal],
            idempotencyKey: key.map { "key-\($0)" }, requestDigest: digest, isAtomic: isAtomic,
            dictionary: dictionary)
    }
}

/// Answers as they come.
// @unchecked: a simulation has one thread.
final class Inbox: @unchecked Sendable {
    struct Answer {
        let number: Int
        let result: Result<Receipt, LedgerError>
        /// Whether the process was alive to send it.
        let isDelivered: Bool
    }

    var answers: [Answer] = []
}

/// The clocks, and the random bits that the program asks for.
// @unchecked: a simulation has one thread.
final class Surroundings: @unchecked Sendable {
    var wall: Microseconds = 1_700_000_000_000_000
    var boot: Microseconds = 50_000_000
    var dice: Dice
    /// Why the ledger wanted the process to end.
    var fatal: LogError?
    /// What Postgres says when it is asked; nil if it cannot be reached.
    var checkpoint: TreeHead?

    init(dice: Dice) { self.dice = dice }
}

/// What must hold does not.
struct Violation: Error, CustomStringConvertible {
    let description: String
}
