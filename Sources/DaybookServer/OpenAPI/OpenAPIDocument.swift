import DaybookCatalog
import HTTPTypes

/// The interface as an OpenAPI document, made from the endpoints that the router has and from the
/// dictionary that judges rows.
///
/// Source: OpenAPI Specification 3.1.0.
struct OpenAPIDocument {
    let endpoints: [Endpoint]
    let catalog: Catalog
    let reports: [Report]
    /// The address that the document names as the server.
    var server = "/"

    var json: JSONValue {
        [
            "openapi": "3.1.0",
            "info": [
                "title": "Daybook", "version": .string(catalog.version),
                "summary": "A ledger of rows on their way into Postgres.",
                "description": """
                Rows are appended in batches and judged by the data dictionary; each is kept, \
                accepted or rejected. The version is the dictionary's.
                """,
            ],
            "servers": [["url": .string(server)]],
            "paths": .object(paths),
            "components": [
                "securitySchemes": [
                    "key": ["type": "apiKey", "in": "header", "name": "x-api-key"],
                    "bearer": ["type": "http", "scheme": "bearer"],
                ],
                "headers": .object(OpenAPIDocument.headers),
                "schemas": .object(
                    Schemas.all + catalog.tables.flatMap { TableSchemas(table: $0).components }),
            ],
        ]
    }

    /// Operations by path, in the order of the endpoints.
    private var paths: [(name: String, value: JSONValue)] {
        var order: [String] = []
        var operations: [String: [(name: String, value: JSONValue)]] = [:]
        for endpoint in endpoints {
            for (path, operation) in expanded(endpoint) {
                if operations[path] == nil { order.append(path) }
                operations[path, default: []].append(
                    (endpoint.method.rawValue.lowercased(), operation))
            }
        }
        return order.map { ($0, .object(operations[$0] ?? [])) }
    }

    private func expanded(_ endpoint: Endpoint) -> [(String, JSONValue)] {
        switch endpoint.expansion {
        case .none: return [(endpoint.path, operation(endpoint, endpoint.name))]
        case .tables:
            return catalog.tables.filter { endpoint.fits($0) }.map { table in
                let operation = operation(
                    endpoint.ofKey(in: table), "\(endpoint.name)_\(table.name)")
                return (
                    endpoint.path.replacing("{table}", with: table.name),
                    operation.replacing("{table}", with: table.name)
                )
            }
        case .reports:
            return reports.map { report in
                let operation = operation(
                    endpoint, "\(endpoint.name)_\(report.name)", report.parameters.map(\.described))
                return (
                    endpoint.path.replacing("{name}", with: report.name),
                    operation.replacing("{name}", with: report.title)
                )
            }
        }
    }

    private func operation(
        _ endpoint: Endpoint, _ name: String, _ further: [Endpoint.Parameter] = []
    ) -> JSONValue {
        var members: [(name: String, value: JSONValue)] = [
            ("operationId", .string(name)), ("summary", .string(endpoint.summary)),
        ]
        if !endpoint.doc.isEmpty { members.append(("description", .string(endpoint.doc))) }
        let parameters = (endpoint.parameters + further).filter { parameter in
            !(parameter.place == .path && endpoint.expands(parameter.name))
        }
        if !parameters.isEmpty {
            members.append(("parameters", .array(parameters.map(\.json))))
        }
        if let body = endpoint.body { members.append(("requestBody", body.json)) }
        members.append(("responses", .object(responses(of: endpoint))))
        switch endpoint.access {
        case .everyone: members.append(("security", []))
        case .keyHolders: members.append(("security", [["key": []], ["bearer": []]]))
        case .scope(let scope):
            members.append(("security", [["key": []], ["bearer": []]]))
            members.append(("x-daybook-scope", .string(scope.rawValue)))
        }
        return .object(members)
    }

    private func responses(of endpoint: Endpoint) -> [(name: String, value: JSONValue)] {
        let answers = endpoint.answers.map { ($0.status, $0.json) }
        let problems = endpoint.allProblems.map { status in
            (status, Endpoint.Answer.problem(status).json)
        }
        return (answers + problems).sorted { $0.0 < $1.0 }.map { (String($0.0), $0.1) }
    }

    /// Headers that answers name.
    private static let headers: [(name: String, value: JSONValue)] = [
        (
            "Daybook-Position",
            [
                "description": """
                The first position that the answer does not know of; of an append, the first \
                after the batch.
                """,
                "schema": .position,
            ]
        ),
        (
            "Daybook-Next",
            ["description": "What to give as `after`, as an answer's `next`.", "schema": .text]
        ),
        (
            "Idempotency-Replayed",
            [
                "description": "The answer is that of an earlier request with the same key.",
                "schema": .oneOf(["true"]),
            ]
        ),
        (
            "X-Request-Id",
            ["description": "The request's id in the server's log.", "schema": .text]
        ),
        (
            "Retry-After",
            ["description": "Seconds after which to ask again.", "schema": .count]
        ),
        (
            "RateLimit",
            ["description": "How many requests the key has left, and until when.", "schema": .text]
        ),
        (
            "RateLimit-Policy",
            ["description": "How many requests a second, and at once.", "schema": .text]
        ),
        ("Location", ["description": "Where to look.", "schema": .text]),
        ("Allow", ["description": "The methods that there are.", "schema": .text]),
        ("Link", ["description": "The next page, as rel=\"next\".", "schema": .text]),
    ]
}

extension Endpoint {
    /// Whether a path's name is one that the document has every value of.
    fileprivate func expands(_ name: String) -> Bool {
        switch expansion {
        case .none: false
        case .tables: name == "table"
        case .reports: name == "name"
        }
    }

    /// The same operation, its key of the table's own type where it is one value.
    fileprivate func ofKey(in table: Table) -> Endpoint {
        guard table.key.count == 1, let column = table.key.first else { return self }
        var endpoint = self
        endpoint.parameters = parameters.map { parameter in
            guard parameter.place == .path, parameter.name == "key" else { return parameter }
            return .path("key", table.columns[column].type.storedSchema, parameter.doc)
        }
        return endpoint
    }

    /// Whether the operation is there for a table: rows without a key cannot be asked for by it.
    fileprivate func fits(_ table: Table) -> Bool { !path.contains("{key}") || !table.key.isEmpty }
}

extension Endpoint.Parameter {
    fileprivate var json: JSONValue {
        [
            "name": .string(name), "in": .string(place.rawValue),
            "required": .boolean(isRequired), "schema": schema, "description": .string(doc),
        ]
    }
}

extension Endpoint.Body {
    fileprivate var json: JSONValue {
        [
            "description": .string(doc), "required": .boolean(isRequired),
            "content": .object(forms.map { ($0.mediaType, ["schema": $0.schema]) }),
        ]
    }
}

extension Endpoint.Answer {
    fileprivate var json: JSONValue {
        let common = ["X-Request-Id", "RateLimit", "RateLimit-Policy"]
        let headers = (headers + common).map { name -> (name: String, value: JSONValue) in
            (name, ["$ref": "#/components/headers/\(name)"])
        }
        return [
            "description": .string(doc), "headers": .object(headers),
            "content": .object(forms.map { ($0.mediaType, ["schema": $0.schema]) }),
        ]
    }

    /// A problem of a status.
    fileprivate static func problem(_ status: Int) -> Self {
        let kind = HTTPResponse.Status(code: status).reasonPhrase
        return Self(
            status: status, doc: kind.isEmpty ? "A problem" : kind,
            forms: [("application/problem+json", .named("Problem"))],
            headers: [408, 429, 503].contains(status) ? ["Retry-After"] : [])
    }
}

extension Report.Parameter {
    fileprivate var described: Endpoint.Parameter {
        var schema = type.storedSchema
        if let defaultValue {
            schema = schema.adding([("default", JSONValue(defaultValue, of: type))])
        }
        return Endpoint.Parameter(
            name: name, place: .query, schema: schema, doc: doc,
            isRequired: defaultValue == nil)
    }
}
