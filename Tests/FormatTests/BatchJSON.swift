import Avro
import DaybookLog

/// One row of a batch, in memory.
enum GoldenRow {
    /// A table's row by its branch: the fields' values in order.
    case accepted(Int, [AvroValue])
    case rejected(Rejection)
    case control(Control)
}

/// A batch as `eventlog/read.py --rows` prints it: names as in the schema, values as in Avro.
enum BatchJSON {
    static func value(_ facts: BatchFacts, rows: [GoldenRow], schema: LogSchema) -> JSONValue {
        .object([
            "position": .integer(facts.position),
            "received_at": .integer(facts.receivedAt),
            "clock": .integer(facts.clock),
            "id": .string(facts.id),
            "source": .string(facts.source),
            "principal": .string(facts.principal),
            "idempotency_key": .optional(facts.idempotencyKey),
            "request_digest": .bytes(facts.requestDigest),
            "dictionary": .string(facts.dictionary),
            "table": .string(facts.table),
            "format": .string(facts.format),
            "first_line": .optional(facts.firstLine),
            "line_skips": .array(
                facts.lineSkips.map {
                    .object(["row": .integer(Int64($0.row)), "lines": .integer($0.lines)])
                }),
            "corrects": .array(
                facts.corrects.map {
                    .object(["row": .integer(Int64($0.row)), "position": .integer($0.position)])
                }),
            "rows": .array(rows.map { row($0, schema: schema) }),
        ])
    }

    private static func row(_ row: GoldenRow, schema: LogSchema) -> JSONValue {
        switch row {
        case .accepted(let branch, let values):
            let table = schema.tables[branch]
            precondition(values.count == table.fields.count, "a row has a value for each field")
            let fields = zip(table.fields.map(\.name), values.map(value))
            return .object([table.name: .object(Dictionary(uniqueKeysWithValues: fields))])
        case .rejected(let rejection):
            let reasons = rejection.reasons.map { reason -> JSONValue in
                .object([
                    "code": .string(reason.code), "column": .optional(reason.column),
                    "message": .string(reason.message),
                ])
            }
            return .object([
                "Rejection": .object([
                    "raw": .bytes(rejection.raw), "raw_length": .optional(rejection.rawLength),
                    "reasons": .array(reasons),
                ])
            ])
        case .control(let control):
            let spans = control.refersTo.map { span -> JSONValue in
                .object(["first": .integer(span.lowerBound), "end": .integer(span.upperBound)])
            }
            return .object([
                "Control": .object([
                    "kind": .string(control.kind), "refers_to": .array(spans),
                    "text": .bytes(control.text),
                ])
            ])
        }
    }

    private static func value(_ value: AvroValue) -> JSONValue {
        switch value {
        case .boolean(let value): .boolean(value)
        case .int(let value): .integer(Int64(value))
        case .long(let value): .integer(value)
        case .double(let value): .number(value)
        case .bytes(let value): .bytes(value)
        case .string(let value): .string(value)
        case .union(_, let value): self.value(value)
        case .null: .null
        default: preconditionFailure("no column has such a type")
        }
    }

    /// Every batch of a block, through `BatchReader`.
    static func values(of block: DurableBlock) throws -> [JSONValue] {
        let branches = try tableSchemas(of: block.schema)
        var values: [JSONValue] = []
        try block.forEachBatch { reader in
            var rows: [GoldenRow] = []
            while let branch = try reader.nextBranch() {
                switch branch {
                case reader.schema.rejectionBranch:
                    rows.append(.rejected(try reader.readRejection()))
                case reader.schema.controlBranch:
                    rows.append(.control(try reader.readControl()))
                default:
                    let bytes = Bytes(copying: try reader.readRow(branch))
                    let row = try ResolvingDecoder(branches[branch]).decode(bytes)
                    guard case .record(let fields) = row else { throw BatchJSONError.notARecord }
                    rows.append(.accepted(branch, fields))
                }
            }
            values.append(value(reader.facts, rows: rows, schema: reader.schema))
        }
        return values
    }

    /// The schemas of the tables' rows, by branch.
    static func tableSchemas(of schema: LogSchema) throws -> [AvroSchema] {
        guard case .record(let batch) = try AvroSchema(json: schema.json),
            case .array(.union(let branches))? = batch.fields.last?.schema
        else { throw BatchJSONError.notARecord }
        return Array(branches.dropLast(2))
    }
}

/// A schema or value that is no record where one must be.
enum BatchJSONError: Error {
    case notARecord
}
