import DaybookCatalog
import DaybookIntake
import DaybookLog

/// A batch, or events of the ledger's own, on the way into the log.
struct AppendRequest: Sendable {
    enum Content: Sendable {
        case submission(Submission)
        case controls([Control], idempotencyKey: String?, requestDigest: [UInt8])
        case waiver(Waiver, of: [RejectionRoot])
        case retraction(RetractionPlan)

        /// Whether it is written in a group of its own.
        var standsAlone: Bool {
            if case .retraction = self { true } else { false }
        }
    }
    let content: Content
    let completion: @Sendable (Result<Receipt, LedgerError>) -> Void
}

/// A question for the durable batch with an idempotency key. Only the writer knows all keys.
struct KeySearch: Sendable {
    let scope: String
    let key: String
    /// Is given the batch's position, or nil.
    let completion: @Sendable (Result<Position?, LedgerError>) -> Void
}

/// A question what the ledger would find against rows; nothing is written. Only the writer knows
/// all keys.
struct RowCheck: Sendable {
    let batch: JudgedBatch
    let dictionary: String
    /// Is given the rows that would be rejected, in order.
    let completion: @Sendable (Result<[Receipt.RejectedRow], LedgerError>) -> Void
}

/// What waits for the writer.
enum WriterRequest: Sendable {
    case append(AppendRequest)
    case search(KeySearch)
    case check(RowCheck)
    case weigh(TrialRequest)

    /// About how much memory it holds.
    var byteCount: Int {
        switch self {
        case .append(let request):
            switch request.content {
            case .submission(let submission): submission.byteCount
            case .controls(let controls, _, _): controls.reduce(1024) { $0 + $1.text.count }
            case .waiver(_, let rejections): 8192 + rejections.count * 64
            case .retraction(let plan): 8192 + plan.spans.count * 16
            }
        case .search: 1024
        case .check(let check): check.batch.original.count + check.batch.encoded.count + 1024
        case .weigh(let request): request.submission.byteCount
        }
    }

    /// Whether it is written in a group of its own.
    var standsAlone: Bool {
        if case .append(let request) = self { request.content.standsAlone } else { false }
    }

    /// Answers that it was not taken.
    func refuse(_ error: LedgerError) {
        switch self {
        case .append(let request): request.completion(.failure(error))
        case .search(let search): search.completion(.failure(error))
        case .check(let check): check.completion(.failure(error))
        case .weigh(let request): request.completion(.failure(error))
        }
    }
}

/// The queue between the callers and the writer: in order, and bounded in bytes.
///
/// Bytes count from `offer` until `answered`, so that what the writer holds is bounded too.
struct SubmissionQueue<Item> {
    enum State: Equatable {
        case open
        /// What waits is still written.
        case closing
        /// Nothing is written any more.
        case failed
    }

    /// What the writer finds.
    enum Taken {
        case items([Item])
        /// The queue is closed and empty.
        case end
    }

    private(set) var state = State.open
    private var waiting: [Item] = []
    /// Bytes that wait or are being written.
    private(set) var byteCount = 0
    /// Items that wait or are being written.
    private(set) var itemCount = 0
    let byteLimit: Int

    init(byteLimit: Int) {
        precondition(byteLimit > 0, "a queue takes something")
        self.byteLimit = byteLimit
    }

    /// Puts an item at the end; or says why not. An empty queue takes an item of any size.
    mutating func offer(_ item: Item, byteCount bytes: Int) -> LedgerError? {
        precondition(bytes >= 0, "an item holds no less than nothing")
        guard state == .open else { return .closed }
        if itemCount > 0, byteCount + bytes > byteLimit {
            return .queueFull(retryAfterSeconds: 1)
        }
        waiting.append(item)
        byteCount += bytes
        itemCount += 1
        return nil
    }

    /// All that waits; nil if the writer has to wait.
    mutating func take() -> Taken? {
        if !waiting.isEmpty { return .items(takeWaiting()) }
        return state == .open ? nil : .end
    }

    /// All that waits, which may be nothing.
    mutating func takeWaiting() -> [Item] {
        defer { waiting = [] }
        return waiting
    }

    /// Items that were taken have their answers.
    mutating func answered(_ items: Int, byteCount bytes: Int) {
        precondition(items <= itemCount && bytes <= byteCount, "an answer is given once")
        itemCount -= items
        byteCount -= bytes
    }

    /// Takes no more; what waits is still written.
    mutating func close() {
        if state == .open { state = .closing }
    }

    /// Takes no more, and gives back what waits.
    mutating func fail() -> [Item] {
        state = .failed
        return takeWaiting()
    }
}
