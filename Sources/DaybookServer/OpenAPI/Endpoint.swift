import HTTPTypes
import Hummingbird

/// One operation of the interface: what it is asked and answers, for OpenAPI, and what answers it,
/// for the router. Both are made from this, so that neither knows of an operation that the other
/// does not.
struct Endpoint: Sendable {
    typealias Handler = @Sendable (Request, ServerContext) async throws -> Response

    /// Who may ask.
    enum Access: Sendable, Equatable {
        case everyone
        /// Whoever has a key.
        case keyHolders
        /// Whoever has a key with this scope.
        case scope(Scope)
    }

    /// What a path stands for that has a name in it.
    enum Expansion: Sendable {
        case none
        /// `{table}` stands for every table of the dictionary, `{key}` for its key's values.
        case tables
        /// `{name}` stands for every report.
        case reports
    }

    struct Parameter: Sendable {
        enum Place: String, Sendable { case path, query, header }

        let name: String
        let place: Place
        let schema: JSONValue
        let doc: String
        var isRequired = false
    }

    /// A body's forms, by media type; a schema names `{table}` where it depends on one.
    struct Body: Sendable {
        let doc: String
        let forms: [(mediaType: String, schema: JSONValue)]
        var isRequired = true
    }

    struct Answer: Sendable {
        let status: Int
        let doc: String
        let forms: [(mediaType: String, schema: JSONValue)]
        var headers: [String] = []
    }

    let method: HTTPRequest.Method
    /// The path with its parameters in braces, as OpenAPI and the router both write it.
    let path: String
    /// The operation's name, for clients that are generated.
    let name: String
    let summary: String
    var doc = ""
    var access = Access.keyHolders
    var expansion = Expansion.none
    var parameters: [Parameter] = []
    var body: Body?
    var answers: [Answer]
    /// Statuses that a problem may have, besides those of every operation of its access.
    var problems: [Int] = []
    let handler: Handler
}

extension Endpoint.Answer {
    /// An answer in JSON.
    static func json(
        _ status: Int = 200, _ doc: String, _ schema: JSONValue, headers: [String] = []
    ) -> Self {
        Self(
            status: status, doc: doc, forms: [("application/json", schema)], headers: headers)
    }

    /// The same answer, as CSV too.
    func orCSV(_ doc: String) -> Self {
        Self(
            status: status, doc: self.doc,
            forms: forms + [("text/csv", JSONValue.text.described(doc))], headers: headers)
    }
}

extension Endpoint.Parameter {
    static func query(_ name: String, _ schema: JSONValue, _ doc: String) -> Self {
        Self(name: name, place: .query, schema: schema, doc: doc)
    }

    static func path(_ name: String, _ schema: JSONValue, _ doc: String) -> Self {
        Self(name: name, place: .path, schema: schema, doc: doc, isRequired: true)
    }

    static let table = path("table", .text, "A table of the dictionary.")
    static let key = path(
        "key", ["type": "string", "minLength": 1],
        "The row's key; the values of a key of several columns with commas between them. A comma "
            + "or slash within a value is percent-encoded.")
    static let position = path("position", .position, "The position of a rejected row.")
    static let idempotencyKey = Self(
        name: "Idempotency-Key", place: .header,
        schema: ["type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"],
        doc: "Names the request: sent again with the same key by the same principal, it is "
            + "answered as the first time and nothing is appended.")
    static let timeout = query(
        "timeout", ["type": "number", "minimum": 0, "maximum": 60],
        "How many seconds to wait at most; 10 unless given.")
    static let wait = query(
        "wait", ["type": "string", "enum": ["projected"]],
        "Answer once it is in Postgres, or `timeout` is over.")
    /// What every read understands.
    static let minimumPosition = [
        query(
            "min_position", .position,
            "Wait until everything below this position is in Postgres."), timeout,
    ]
    static func limit(_ unless: String = "100 unless given") -> Self {
        query(
            "limit", ["type": "integer", "minimum": 1, "maximum": 1000],
            "How many at most; \(unless).")
    }
}

extension Endpoint {
    /// The statuses that a problem may have, in order.
    var allProblems: [Int] {
        var statuses = Set(problems)
        // What any connection may be told, of HTTP itself and of its limits.
        statuses.formUnion([400, 408, 431, 503])
        switch access {
        case .everyone: break
        case .keyHolders: statuses.formUnion([401, 429])
        case .scope: statuses.formUnion([401, 403, 429])
        }
        if body != nil { statuses.insert(413) }
        return statuses.subtracting(answers.map(\.status)).sorted()
    }
}
