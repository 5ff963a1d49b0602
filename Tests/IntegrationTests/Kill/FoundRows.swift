import Foundation
import TestSupport

/// A row as some place has it.
struct FoundRow: Sendable {
    let position: Int
    /// Call and row, as its tag says; nil if the tag is none.
    let tag: (call: Int, row: Int)?
    let table: Substring
    let key: Int?
    let item: Int?
    /// The first reason's code; nil if the row was accepted.
    let code: Substring?

    /// A note, accepted.
    init(position: Int, tag: String) {
        self.position = position
        self.tag = FoundRow.numbers(in: tag[...])
        table = "notes"
        (key, item, code) = (nil, nil, nil)
    }

    /// `PLACE POSITION TAG TABLE KEY REFERENCE CODE`, with tabs.
    fileprivate init?(_ fields: ArraySlice<Substring>) {
        let fields = Array(fields)
        guard fields.count == 7, let position = Int(fields[1]) else { return nil }
        self.position = position
        tag = FoundRow.numbers(in: fields[2])
        table = fields[3]
        key = Int(fields[4])
        item = Int(fields[5])
        code = fields[6] == "-" ? nil : fields[6]
    }

    /// `#call.row#`
    private static func numbers(in tag: Substring) -> (call: Int, row: Int)? {
        let numbers = tag.dropFirst().dropLast().split(separator: ".").compactMap { Int($0) }
        return numbers.count == 2 ? (numbers[0], numbers[1]) : nil
    }
}

/// A batch as the log has it.
struct FoundBatch: Sendable {
    let position: Int
    let receivedAt: Int
    let id: Substring
    let source: Substring
    let key: Substring
    let rowCount: Int

    /// `POSITION RECEIVED_AT ID SOURCE KEY TABLE ROWS`, with tabs.
    fileprivate init?(_ fields: ArraySlice<Substring>) {
        let fields = Array(fields)
        guard fields.count == 7, let position = Int(fields[0]), let time = Int(fields[1]),
            let rowCount = Int(fields[6])
        else { return nil }
        self.position = position
        receivedAt = time
        id = fields[2]
        source = fields[3]
        key = fields[4]
        self.rowCount = rowCount
    }
}

/// What `GET /v1/batches?idempotency_key=` says.
struct FoundKey: Sendable {
    let status: Int
    let position: Int?
    let rowCount: Int?
    let acceptedCount: Int?
}

/// Everything that the places have, as strangers to our code read it.
struct FoundRows {
    private(set) var batches: [FoundBatch] = []
    private(set) var keys: [String: FoundKey] = [:]
    private var rows: [Substring: [FoundRow]] = [:]

    init() {}

    /// A log of batches of three notes.
    init(sample: [FoundRow]) {
        rows["log"] = sample
        batches = stride(from: 0, to: sample.count, by: 3).compactMap { position in
            let number = "\(position / 3)"
            return FoundBatch([
                "\(position)", "\(position + 1)", "b\(number)", "http", "k\(number)", "notes",
                "3",
            ])
        }
    }

    /// The rows of a place, by position.
    func rows(in place: String) -> [FoundRow] {
        (rows[place[...]] ?? []).sorted { $0.position < $1.position }
    }

    /// The log by `lz4 -dc` and fastavro; while the server runs, which is quiet.
    mutating func readLog(of daybook: DaybookServer) throws {
        for segment in try daybook.segments {
            let container = try runTool("lz4", ["-dc", segment])
            guard container.status == 0 else {
                throw DaybookFailure(description: "lz4 -dc \(segment): \(container.errorText)")
            }
            try read(["log"], input: container.output)
        }
    }

    /// The server by HTTP: the events, the tables and lists of rejections, and batches by key.
    mutating func readServer(of daybook: DaybookServer, keys: [String]) throws {
        try read(
            ["http", "\(daybook.client.port)", daybook.client.key],
            input: Data(keys.map { $0 + "\n" }.joined().utf8))
    }

    /// Postgres by psql.
    mutating func readPostgres(of daybook: DaybookServer) throws {
        let row = { (fields: String, table: String) in
            "SELECT concat_ws(E'\\t', 'row', 'postgres', \(fields)) FROM \(table)"
        }
        let parts = [
            row("ledger_position, tag, 'items', id, '-', '-'", "items"),
            row(
                "ledger_position, tag, 'orders', substr(code, 7), item, '-'",
                "orders"),
            row("ledger_position, tag, 'notes', '-', '-', '-'", "notes"),
            row(
                "position, coalesce(substring(convert_from(raw, 'UTF8') from"
                    + " '#\\d+\\.\\d+#'), '?'), table_name, '-', '-', reasons->0->>'code'",
                "daybook.rejections"),
        ]
        take(try daybook.sql(parts.joined(separator: " UNION ALL ")))
    }

    private mutating func read(_ arguments: [String], input: Data) throws {
        let script = "\(packageRoot)/Tests/IntegrationTests/scripts/kill_rows.py"
        let result = try runTool(
            pythonPath, [script] + arguments, input: input, timeoutSeconds: 120)
        guard result.status == 0 else {
            throw DaybookFailure(description: "kill_rows.py \(arguments[0]): \(result.errorText)")
        }
        take(result.text)
    }

    private mutating func take(_ text: String) {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
            let rest = fields.dropFirst()
            switch fields[0] {
            case "row":
                if let row = FoundRow(rest) { rows[fields[1], default: []].append(row) }
            case "batch":
                if let batch = FoundBatch(rest) { batches.append(batch) }
            default:
                guard fields.count == 6 else { continue }
                keys[String(fields[1])] = FoundKey(
                    status: Int(fields[2]) ?? 0, position: Int(fields[3]),
                    rowCount: Int(fields[4]), acceptedCount: Int(fields[5]))
            }
        }
    }
}
