import DaybookLog

/// The log, and how the ledger is run.
extension Endpoint {
    private static let batchID = Parameter.path("id", .batchID, "The id of a batch.")

    static func batchByKey(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/batches", name: "batchByKey",
            summary: "The batch that came with an idempotency key of one's own",
            parameters: [
                Parameter(
                    name: "idempotency_key", place: .query,
                    schema: ["type": "string", "minLength": 1, "maxLength": 255],
                    doc: "The key.", isRequired: true)
            ], answers: [foundBatch], problems: [404], handler: handler)
    }

    static func batch(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/batches/{id}", name: "batch",
            summary: "What became of a batch", parameters: [batchID], answers: [foundBatch],
            problems: [404], handler: handler)
    }

    private static let foundBatch = Answer.json(
        200, "The batch.", .named("Batch"), headers: ["Daybook-Position"])

    static func proof(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/batches/{id}/proof", name: "proof",
            summary: "What proves that a batch is in the ledger, signed",
            parameters: [
                batchID,
                .query(
                    "from_size", ["type": "integer", "minimum": 1],
                    "The number of batches of an earlier tree, to prove that it was continued."),
            ],
            answers: [.json(200, "The proof.", .named("Proof"), headers: ["Daybook-Position"])],
            problems: [404], handler: handler)
    }

    static func events(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/events", name: "events", summary: "The log as NDJSON",
            doc: "To its end, or with follow=true for as long as the client stays.",
            access: .scope(.audit),
            parameters: [
                .query("from", .position, "The position to begin at; 0 unless given."),
                .query(
                    "limit", ["type": "integer", "minimum": 1],
                    "How many events at most; all unless given."),
                .query("follow", .flag, "Go on with what is appended."),
                .query("table", .text, "Only events of this table."),
                .query(
                    "verdict", .oneOf(["accepted", "rejected", "control"]),
                    "Only events with this verdict."),
            ],
            answers: [
                Answer(
                    status: 200, doc: "One event a line.", forms: [("application/x-ndjson", .text)],
                    headers: ["Daybook-Position"])
            ], problems: [404], handler: handler)
    }

    static func retract(_ handler: @escaping Handler) -> Endpoint {
        let texts: JSONValue = ["type": "array", "items": .text, "maxItems": 1000]
        let key: JSONValue = ["type": ["string", "number", "boolean"]]
        let row: JSONValue = [
            "type": "object", "required": ["table", "key"], "additionalProperties": false,
            "properties": [
                "table": .text,
                "key": ["anyOf": [key, ["type": "array", "items": key, "minItems": 1]]],
            ],
        ]
        return Endpoint(
            method: .post, path: "/v1/retractions", name: "retract",
            summary: "Take accepted rows back, by batch, by import or by key",
            access: .scope(.admin),
            parameters: [
                .query("dry_run", .flag, "Say what would go, and write nothing."), .wait, .timeout,
            ],
            body: Body(
                doc: "What is to go, and why.",
                forms: [
                    (
                        "application/json",
                        [
                            "type": "object", "additionalProperties": false,
                            "properties": [
                                "batches": texts, "imports": texts,
                                "rows": ["type": "array", "items": row, "maxItems": 1000],
                                "note": ["type": "string", "minLength": 1],
                                "with_referring": .flag,
                            ],
                        ]
                    )
                ]),
            answers: [
                .json(
                    200, "What went, or would.", .named("Retraction"),
                    headers: ["Daybook-Position"])
            ], problems: [404, 409, 507], handler: handler)
    }

    static func backups(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/backups", name: "backups",
            summary: "The backups of the server's place, and what runs", access: .scope(.admin),
            answers: [.json(200, "The backups.", .named("Backups"))], problems: [409],
            handler: handler)
    }

    static func makeBackup(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .post, path: "/v1/backups", name: "makeBackup", summary: "Make a backup",
            access: .scope(.admin),
            parameters: [
                .query(
                    "wait", ["type": "number", "minimum": 0, "maximum": 60],
                    "How many seconds to wait for it.")
            ],
            body: Body(
                doc: "What is to be in it; all tables unless given.",
                forms: [
                    (
                        "application/json",
                        [
                            "type": "object", "additionalProperties": false,
                            "properties": [
                                "tables": ["type": "array", "items": .text, "minItems": 1],
                                "codec": .oneOf(["deflate", "zstandard", "null"]),
                                "with_log": .flag,
                            ],
                        ]
                    )
                ], isRequired: false),
            answers: [
                .json(201, "It was made.", .named("MadeBackup"), headers: ["Location"]),
                .json(202, "It is being made.", .named("BegunBackup"), headers: ["Location"]),
            ], problems: [409], handler: handler)
    }

    static func status(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/status", name: "status",
            summary: "How far the log and the projections are",
            answers: [.json(200, "The status.", .named("Status"))], handler: handler)
    }

    static func live(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/health/live", name: "live", summary: "Whether the process runs",
            access: .everyone, answers: [.json(200, "It does.", .named("Health"))],
            handler: handler)
    }

    static func ready(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/health/ready", name: "ready",
            summary: "Whether it can append, with Postgres or without", access: .everyone,
            answers: [.json(200, "It can.", .named("Health"))], handler: handler)
    }

    static func metrics(_ access: Access, _ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/metrics", name: "metrics",
            summary: "How the ledger does, in numbers, for Prometheus", access: access,
            answers: [
                Answer(
                    status: 200, doc: "Text format 0.0.4.", forms: [("text/plain", .text)])
            ], handler: handler)
    }

    static func openAPI(_ access: Access, _ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/openapi.json", name: "openAPI", summary: "This document",
            access: access,
            answers: [.json(200, "OpenAPI 3.1.", ["type": "object"])], handler: handler)
    }
}
