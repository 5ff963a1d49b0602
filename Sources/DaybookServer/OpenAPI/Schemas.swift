/// Schemas of what is answered, as JSON Schema 2020-12 writes them.
///
/// Members may be added to any object: none of them is closed.
extension JSONValue {
    static let text: JSONValue = ["type": "string"]
    static let flag: JSONValue = ["type": "boolean"]
    static let count: JSONValue = ["type": "integer", "minimum": 0]
    static let position: JSONValue = [
        "type": "integer", "minimum": 0, "maximum": .integer(.max), "format": "int64",
    ]
    static let time: JSONValue = ["type": "string", "format": "date-time"]
    static let digest: JSONValue = ["type": "string", "pattern": "^[0-9a-f]{64}$"]
    static let batchID: JSONValue = ["type": "string", "format": "uuid"]

    /// A schema of the document's components.
    static func named(_ name: String) -> JSONValue { ["$ref": "#/components/schemas/\(name)"] }

    static func list(_ items: JSONValue) -> JSONValue { ["type": "array", "items": items] }

    static func orNull(_ schema: JSONValue) -> JSONValue {
        ["anyOf": [schema, ["type": "null"]]]
    }

    static func oneOf(_ texts: [String]) -> JSONValue {
        ["type": "string", "enum": .array(texts.map { .string($0) })]
    }

    /// An object that has all of these members, and of the others those that there are.
    static func members(
        _ members: KeyValuePairs<String, JSONValue>,
        optional: KeyValuePairs<String, JSONValue> = [:]
    ) -> JSONValue {
        [
            "type": "object", "required": .array(members.map { .string($0.key) }),
            "properties": .object((Array(members) + Array(optional)).map { ($0.key, $0.value) }),
        ]
    }
}

/// The components that do not depend on the dictionary.
enum Schemas {
    static let all: [(name: String, value: JSONValue)] =
        [appends, rejections, log, operations].flatMap { $0.map { ($0.key, $0.value) } }

    private static let appends: KeyValuePairs<String, JSONValue> = [
        "Problem": .members(
                [
                    "type": .text, "title": .text,
                    "status": ["type": "integer", "minimum": 400, "maximum": 599],
                    "detail": .text,
                ]
            ).described("What is wrong and what to do about it, as of RFC 9457."),
        "Reason": .members(
                ["code": .text], optional: ["column": .text, "message": .text]
            ).described("Why a row was rejected."),
        "RejectedRow": .members(
                [
                    "index": .count, "position": .position, "reasons": .list(.named("Reason")),
                ],
                optional: [
                    "line": .count, "row": [:], "row_base64": .text, "row_digest": .text,
                    "row_length": .count,
                ]
            ).described("A rejected row; `row` is as it was sent."),
        "Batch": .members(
                [
                    "batch_id": .batchID, "table": .text, "position": .position,
                    "rows": .count, "accepted": .count, "leaf": .digest,
                    "rejected": .list(.named("RejectedRow")),
                ],
                optional: [
                    "projected": .flag, "received_at": .time, "format": .text,
                ]
            ).described("What became of a batch. rows = accepted + rejected, always."),
        "RefusedBatch": ["allOf": [.named("Problem"), .named("Batch")]],
        "Trial": .members(
                [
                    "position": .position, "table": .text, "dry_run": .flag,
                    "accepted": .count, "reasons": .list(.named("Reason")),
                ]
            ).described("What would become of a row that is sent again."),
    ]

    private static let rejections: KeyValuePairs<String, JSONValue> = [
        "Closing": .members(
                [
                    "state": .oneOf(["open", "corrected", "waived"]), "position": .position,
                    "batch_id": .batchID, "received_at": .time, "principal": .text,
                    "note": .orNull(.text),
                ]),
        "Rejection": .members(
                [
                    "position": .position, "batch_id": .batchID, "table": .text,
                    "source": .text, "line": .orNull(.count), "received_at": .time,
                    "principal": .text,
                    "state": ["enum": ["open", "corrected", "waived", nil]],
                    "reasons": .list(.named("Reason")),
                ],
                optional: [
                    "raw": .text, "raw_base64": .text, "raw_digest": .digest,
                    "raw_length": .count, "retry_of": .position, "closed": .named("Closing"),
                    "index": .count, "format": .text, "dictionary": .text,
                    "idempotency_key": .orNull(.text), "request_digest": .orNull(.text),
                    "retries": .orNull(.list(.position)),
                ]),
        "Rejections": .members(
                ["rejections": .list(.named("Rejection")), "next": .orNull(.position)]),
        "RejectionSummary": .members(
                [
                    "total": .count, "open": .count, "corrected": .count, "waived": .count,
                    "by_code": counts("code"), "by_table": counts("table"),
                    "by_source": counts("source"), "by_age": counts("age"),
                ], optional: ["other_sources": ["type": "object"]]),
        "Waiver": .members(
                [
                    "position": .position, "state": .oneOf(["waived"]), "batch_id": .batchID,
                    "waiver_position": .position, "received_at": .time,
                ]),
    ]

    private static func counts(_ each: String) -> JSONValue {
        .list(.members([each: .text, "count": .count, "open": .count]))
    }

    private static let log: KeyValuePairs<String, JSONValue> = [
        "Proof": .members(
                [
                    "format": .oneOf(["daybook-proof"]), "version": .count, "ledger": .text,
                    "batch_id": .batchID, "position": .position, "rows": .count,
                    "leaf_index": .count, "leaf": .digest, "inclusion": .list(.digest),
                    "checkpoint": .text, "public_key": .text,
                ], optional: ["consistency": ["type": "object"]]
            ).described("docs/proofs.md says how it is checked, and by what."),
        "History": .members(
                [
                    "table": .text, "key": [:],
                    "state": .oneOf(["present", "retracted"]), "events": .list(["type": "object"]),
                    "next": .orNull(.position),
                ], optional: ["backups_unknown": .text]
            ).described("Where the rows of a key came from; docs/why.md has every member."),
        "Retraction": .members(
                [
                    "rows": .count, "tables": ["type": "object"], "span_count": .count,
                    "spans": .list(.members(["first": .position, "last": .position])),
                    "note": .orNull(.text), "by": .text,
                ],
                optional: [
                    "position": .position, "batch_id": .batchID, "received_at": .time,
                    "dry_run": .flag, "leaf": .digest, "projected": .flag,
                ]),
    ]

    private static let operations: KeyValuePairs<String, JSONValue> = [
        "Status": .members(
                [
                    "durable_position": .position, "segments": .count, "bytes": .count,
                    "state": .text, "ledger": .text, "batches": .count, "root": .digest,
                    "dictionary": .text,
                    "projections": [
                            "type": "object",
                            "additionalProperties": .members(
                                ["position": .position, "lag": .count, "state": .text],
                                optional: ["reason": .text]),
                        ], "postgres_state": .text,
                ],
                optional: [
                    "damage": .list(
                        .members(
                            [
                                "file": .text, "offset": .count, "position": .position,
                                "what": .text,
                            ]))
                ]),
        "Health": .members(["status": .text]),
        "Catalog": .members(
                [
                    "dictionary": .text, "tables": .list(["type": "object"]),
                    "aggregates": .list(["type": "object"]),
                    "reports": .list(["type": "object"]),
                ]),
        "Report": .members(
                [
                    "report": .text, "title": .text, "parameters": ["type": "object"],
                    "columns": .list(.members(["name": .text, "type": .text])),
                    "rows": .list(["type": "object"]),
                ], optional: ["chart": ["type": "object"]]),
        "Backups": .members(
                [
                    "target": .text, "running": [:], "last_failure": [:],
                    "backups": .list(
                            .members(
                                ["backup": .text, "readable": .flag],
                                optional: [
                                    "ledger": .text, "position": .position, "time": .time,
                                    "rows": .count, "with_log": .flag, "proven": .flag,
                                ])),
                ]),
        "MadeBackup": .members(
                [
                    "backup": .text, "target": .text, "position": .position,
                    "root": .digest, "held_against_log": .flag, "time": .time,
                    "rows": .count, "bytes": .count, "tables": .list(["type": "object"]),
                    "log_position": .orNull(.position), "seconds": ["type": "number"],
                ]),
        "BegunBackup": .members(["state": .text]),
    ]
}
