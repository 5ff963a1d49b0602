import Avro
import DaybookLedger
import DaybookLog
import HTTPTypes
import Hummingbird

/// An error answer: a problem as of RFC 9457, `application/problem+json`.
public struct Problem: HTTPResponseError, Equatable {
    /// The HTTP status.
    public let status: HTTPResponse.Status
    /// The last part of `type`, for programs: `unknown-table`, `outcome-unknown`, …
    public let kind: String
    /// What kind of problem it is, for a person; the same for every problem of the kind.
    public let title: String
    /// What is wrong this time, and what to do about it. Holds no row data.
    public let detail: String
    /// Further header fields of the answer.
    public var headers: HTTPFields = [:]
    /// Whether the connection is closed after the answer, for the client may still send.
    var closesConnection = false

    /// A problem without further header fields.
    public init(_ status: HTTPResponse.Status, _ kind: String, title: String, detail: String) {
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
    }

    /// The same problem, after which a client may try again in so many seconds.
    func retrying(afterSeconds seconds: Int) -> Problem {
        var problem = self
        problem.headers[.retryAfter] = String(seconds)
        return problem
    }

    /// The same problem, after which the connection is closed.
    var closing: Problem {
        var problem = self
        problem.closesConnection = true
        return problem
    }

    /// Writes the members that every problem has.
    func writeMembers(to json: inout JSONWriter) {
        json.field("type", "urn:daybook:problem:" + kind)
        json.field("title", title)
        json.field("status", status.code)
        json.field("detail", detail)
    }

    /// The answer that says it.
    public func response(from request: Request, context: some RequestContext) -> Response {
        response()
    }

    /// The answer that says it.
    func response() -> Response {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: bytes))
    }

    /// The problem as JSON.
    var bytes: ByteBuffer {
        var json = JSONWriter(capacity: 512)
        json.openObject()
        writeMembers(to: &json)
        json.closeObject()
        return ByteBuffer(bytes: json.unsafeBytes)
    }
}

extension Response {
    /// An answer whose body is `json`.
    init(
        status: HTTPResponse.Status, json: borrowing JSONWriter, headers: HTTPFields = [:],
        isProblem: Bool = false
    ) {
        var headers = headers
        headers[.contentType] = isProblem ? "application/problem+json" : "application/json"
        self.init(
            status: status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.unsafeBytes)))
    }
}

extension Problem {
    static let unauthorized = Problem(
        .unauthorized, "unauthorized", title: "No key, or a key that is not known",
        detail: "send a key made by `daybook keys create` as x-api-key or Authorization: Bearer")

    static func forbidden(_ detail: String) -> Problem {
        Problem(.forbidden, "forbidden", title: "The key does not allow this", detail: detail)
    }

    static func unknownTable(_ name: String) -> Problem {
        Problem(
            .notFound, "unknown-table", title: "No such table",
            detail: "the dictionary has no table \(name)")
    }

    static func notFound(_ detail: String) -> Problem {
        Problem(.notFound, "not-found", title: "Not found", detail: detail)
    }

    static func badRequest(_ kind: String, _ detail: String) -> Problem {
        Problem(.badRequest, kind, title: "The request is not understood", detail: detail)
    }

    static func bodyTooLarge(_ limitByteCount: Int) -> Problem {
        Problem(
            .contentTooLarge, "body-too-large", title: "The body is too large",
            detail: "a body has at most \(limitByteCount) bytes: send several batches, "
                + "or `daybook import` the file")
    }

    static let unsupportedMediaType: Problem = {
        var problem = Problem(
            .unsupportedMediaType, "unsupported-media-type", title: "Not a form that rows come in",
            detail: "send application/json, application/x-ndjson, or text/csv in UTF-8")
        problem.headers[.acceptPost] = "application/json, application/x-ndjson, text/csv"
        return problem
    }()

    /// What the ledger's error means to a client.
    init(_ error: LedgerError) {
        switch error {
        case .queueFull(let seconds):
            self = Problem(
                .serviceUnavailable, "queue-full", title: "Too much is waiting to be written",
                detail: "nothing of the batch was kept: send it again later"
            ).retrying(afterSeconds: seconds)
        case .idempotencyConflict(let batchID):
            self = Problem(
                .unprocessableContent, "idempotency-conflict",
                title: "The idempotency key was used for something else",
                detail: "batch \(batchID) has this key and another table, option, type or body")
        case .diskFull, .log(.diskFull):
            self = Problem(
                .insufficientStorage, "disk-full", title: "No space is left for the log",
                detail: "nothing of the batch was kept: free space, then send it again")
        case .outcomeUnknown, .log(.syncFailed):
            self = Problem(
                .serviceUnavailable, "outcome-unknown", title: "It is not known what was kept",
                detail: "the disk refused a sync: send it again with the same idempotency key"
            ).retrying(afterSeconds: 5)
        case .rejectionClosed(let position, let state):
            self = Problem(
                .conflict, "rejection-closed", title: "The rejection is no longer open",
                detail: "the rejection at position \(position) is \(state.rawValue): nothing was "
                    + "done; see /v1/rejections/\(position)")
        case .retractionBehind, .rowRetracted, .rowsReferred:
            self = Problem(
                .conflict, "retraction-overtaken", title: "The log has changed meanwhile",
                detail: "nothing was retracted: send the request again")
        case .clockHeld(let seconds):
            self = Problem(
                .serviceUnavailable, "clock-held", title: "The wall clock jumped",
                detail: "appends wait: the clock jumped by \(seconds) s against the boot clock"
            ).retrying(afterSeconds: 60)
        case .contradicted(let reason):
            self = Problem(
                .serviceUnavailable, "log-contradicted", title: "The log is not what Postgres has",
                detail: "appends have stopped, nothing of the batch was kept: \(reason)"
            ).retrying(afterSeconds: 3600)
        case .log(.corrupt(let corruption)):
            self = Problem(
                .serviceUnavailable, "log-corrupt", title: "The log is corrupt",
                detail: "appends have stopped: \(corruption.file) at offset \(corruption.offset), "
                    + "first missing position \(corruption.position); see `daybook log verify`"
            ).retrying(afterSeconds: 3600)
        case .dictionaryChanged, .closed:
            self = Problem(
                .serviceUnavailable, "restarting", title: "The server is stopping",
                detail: "nothing of the batch was kept: send it again"
            ).retrying(afterSeconds: 1)
        case .log, .state:
            self = Problem(
                .serviceUnavailable, "log-failed", title: "The log cannot be written",
                detail: "nothing of the batch was kept; the server's own log says why"
            ).retrying(afterSeconds: 30)
        }
    }
}

extension HTTPResponse.Status {
    /// Source: RFC 4918, 11.5.
    static let insufficientStorage = HTTPResponse.Status(
        code: 507, reasonPhrase: "Insufficient Storage")
}

extension HTTPField.Name {
    static let acceptPost = HTTPField.Name("Accept-Post")!
    static let apiKey = HTTPField.Name("x-api-key")!
    static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let idempotencyReplayed = HTTPField.Name("Idempotency-Replayed")!
    static let daybookNext = HTTPField.Name("Daybook-Next")!
    static let daybookPosition = HTTPField.Name("Daybook-Position")!
    static let daybookUser = HTTPField.Name("Daybook-User")!
    /// Source: RFC 8288.
    static let link = HTTPField.Name("Link")!
    static let requestID = HTTPField.Name("X-Request-Id")!
}
