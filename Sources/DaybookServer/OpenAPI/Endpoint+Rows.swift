import DaybookLog

/// Appending and reading rows.
extension Endpoint {
    /// Statuses of what the ledger refuses.
    private static let refusals = [409, 413, 415, 422, 507]

    /// Lines of a form that is not JSON, by its media type.
    private static let lines: [(mediaType: String, schema: JSONValue)] = [
        ("application/x-ndjson", JSONValue.text.described("One object a line.")),
        (
            "text/csv",
            JSONValue.text.described(
                "Values in the order of the table's columns, as of RFC 4180; with the media type's "
                    + "parameter header=present the first line names the columns.")
        ),
    ]

    private static let appendOptions: [Parameter] = [
        .query("atomic", .flag, "All rows or none."),
        .query(
            "return", .oneOf(["full", "minimal"]),
            "`minimal` leaves out rejected rows as they were sent."),
        .wait, .timeout, .idempotencyKey,
    ]

    private static let batch = Answer.json(
        200, "At least one row was accepted; all are in the log.", .named("Batch"),
        headers: ["Daybook-Position", "Idempotency-Replayed"])

    private static let refusedBatch = Answer(
        status: 400,
        doc: "No row was accepted, and all are in the log; or the request was not understood, and "
            + "nothing is.",
        forms: [
            (
                "application/problem+json",
                ["anyOf": [.named("RefusedBatch"), .named("Problem")]]
            )
        ],
        headers: ["Daybook-Position", "Idempotency-Replayed"])

    static func append(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .post, path: "/v1/{table}", name: "append", summary: "Append rows to {table}",
            doc: "Each row is judged by itself, and kept with its verdict, accepted or rejected. "
                + "Answered when the batch is on disk.",
            access: .scope(.append), expansion: .tables, parameters: [.table] + appendOptions,
            body: Body(
                doc: "A row, or 1 to 1000 of them.",
                forms: [("application/json", .named("{table}.batch"))] + lines),
            answers: [batch, refusedBatch], problems: refusals + [404], handler: handler)
    }

    static func rows(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/{table}", name: "rows", summary: "Rows of {table} by key",
            access: .scope(.read), expansion: .tables,
            parameters: [
                .table, .limit(),
                .query("after", .text, "The key of the row to go on behind: an answer's `next`."),
            ] + Parameter.minimumPosition,
            answers: [
                .json(
                    200, "A page of rows.", .named("{table}.rows"),
                    headers: ["Daybook-Position", "Daybook-Next", "Link"]
                ).orCSV("The same rows; the first line names the columns.")
            ], problems: [404, 504], handler: handler)
    }

    static func row(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/{table}/{key}", name: "row", summary: "One row of {table}",
            access: .scope(.read), expansion: .tables,
            parameters: [.table, .key] + Parameter.minimumPosition,
            answers: [
                .json(200, "The row.", .named("{table}.row"), headers: ["Daybook-Position"])
                    .orCSV("The same row behind a line that names the columns.")
            ], problems: [404, 504], handler: handler)
    }

    static func history(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/{table}/{key}/history", name: "history",
            summary: "Where the rows of a key of {table} came from",
            doc: "Read from the log alone, with proof.",
            access: .scope(.read), expansion: .tables,
            parameters: [
                .table, .key,
                .query("after", .position, "The position to go on behind: an answer's `next`."),
            ] + Parameter.minimumPosition,
            answers: [
                .json(200, "The history.", .named("History"), headers: ["Daybook-Position"])
            ], problems: [404], handler: handler)
    }

    static func catalog(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1", name: "catalog",
            summary: "The tables with their rules, the reports with their parameters",
            answers: [.json(200, "What there is.", .named("Catalog"))], handler: handler)
    }

    static func report(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/reports/{name}", name: "report", summary: "{name}",
            access: .scope(.read), expansion: .reports,
            parameters: [.path("name", .text, "A report.")] + Parameter.minimumPosition,
            answers: [
                .json(200, "The answer.", .named("Report"), headers: ["Daybook-Position"])
                    .orCSV("The same rows; the first line names the columns.")
            ], problems: [404, 422, 504], handler: handler)
    }

    static func rejections(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/rejections", name: "rejections",
            summary: "Rejected rows, in the order of the log", access: .scope(.audit),
            parameters: rejectionFilter + [
                .query("eligible", .flag, "Only those that would be accepted now."), .limit(),
                .query("after", .position, "The position to go on behind: an answer's `next`."),
            ] + Parameter.minimumPosition,
            answers: [
                .json(
                    200, "A page of rejections.", .named("Rejections"),
                    headers: ["Daybook-Position"])
            ], problems: [404, 504], handler: handler)
    }

    static func rejectionSummary(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/rejections/summary", name: "rejectionSummary",
            summary: "Rejections counted by code, table, source and age", access: .scope(.audit),
            parameters: rejectionFilter + Parameter.minimumPosition,
            answers: [
                .json(
                    200, "The counts.", .named("RejectionSummary"), headers: ["Daybook-Position"])
            ], problems: [404, 504], handler: handler)
    }

    private static let rejectionFilter: [Parameter] = [
        .query("table", .text, "Of this table."), .query("code", .text, "With this code."),
        .query("column", .text, "With a reason for this column."),
        .query(
            "state", .oneOf(RejectionState.allCases.map(\.rawValue)), "In this state."),
        .query("source", .text, "That came by this way: `http`, or `csv:` and a file's name."),
        .query("principal", .text, "From whom."), .query("batch", .batchID, "Of this batch."),
        .query("since", .time, "Received at this time or later."),
        .query("until", .time, "Received before this time."),
    ]

    static func rejection(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .get, path: "/v1/rejections/{position}", name: "rejection",
            summary: "One rejected row, with what became of it", access: .scope(.audit),
            parameters: [.position] + Parameter.minimumPosition,
            answers: [
                .json(200, "The rejection.", .named("Rejection"), headers: ["Daybook-Position"])
            ], problems: [404, 504], handler: handler)
    }

    static func resubmit(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .post, path: "/v1/rejections/{position}/resubmit", name: "resubmit",
            summary: "Send a corrected row in the place of a rejected one",
            doc: "An empty body sends the row again as it was.", access: .scope(.append),
            parameters: [
                .position,
                .query("dry_run", .flag, "Say what would become of it, and append nothing."),
            ] + appendOptions,
            body: Body(
                doc: "One row.",
                forms: [("application/json", ["type": ["object", "array"]])] + lines,
                isRequired: false),
            answers: [
                .json(
                    200, "What became of the row, or would.",
                    ["anyOf": [.named("Batch"), .named("Trial")]],
                    headers: ["Daybook-Position", "Idempotency-Replayed"]), refusedBatch,
            ], problems: refusals + [404], handler: handler)
    }

    static func waive(_ handler: @escaping Handler) -> Endpoint {
        Endpoint(
            method: .post, path: "/v1/rejections/{position}/waive", name: "waive",
            summary: "Let a rejected row go", access: .scope(.append), parameters: [.position],
            body: Body(
                doc: "Why.",
                forms: [
                    (
                        "application/json",
                        .members(["note": ["type": "string", "minLength": 1]])
                    )
                ]),
            answers: [
                .json(200, "It is waived.", .named("Waiver"), headers: ["Daybook-Position"])
            ], problems: [404, 409, 507], handler: handler)
    }
}
