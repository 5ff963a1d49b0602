import Foundation
import TestSupport
import Testing

/// A batch as a stock Avro reader finds it in the log.
struct LoggedBatch: Decodable {
    let position: Int
    let table: String
    let source: String
    let principal: String
    let idempotency_key: String?
    let rows: [Row]

    struct Row: Decodable {
        /// The record's name without its namespace: a table's, `Rejection` or `Control`.
        let kind: String
        /// The fields as text, `null` for null.
        let fields: [String: String]
    }

    /// The rows of its table, verdict by verdict left out.
    var accepted: [[String: String]] {
        rows.filter { !["Rejection", "Control"].contains($0.kind) }.map(\.fields)
    }
}

/// Reads segments with none of our code: `lz4 -dc`, then fastavro or avrocat.
enum StockReaders {
    /// Every batch of the segments, by fastavro; the ledger's own left out.
    static func batches(of segments: [String]) throws -> [LoggedBatch] {
        try segments.flatMap { segment in
            let container = try decompress(segment)
            let result = try runTool(pythonPath, ["-c", script], input: container)
            guard result.status == 0 else { throw DaybookFailure(description: result.errorText) }
            return try JSONDecoder().decode([LoggedBatch].self, from: result.output)
                .filter { $0.source != "system" }
        }
    }

    /// The number of records that Avro's C tool finds in a segment.
    static func avrocatRecordCount(of segment: String) throws -> Int {
        let folder = try TemporaryFolder()
        let file = folder.path("segment.avro")
        try decompress(segment).write(to: URL(fileURLWithPath: file))
        let result = try runTool("avrocat", [file])
        guard result.status == 0 else { throw DaybookFailure(description: result.errorText) }
        return result.text.split(separator: "\n").count
    }

    /// Every record, the ledger's own too.
    static func recordCount(of segment: String) throws -> Int {
        let count = "import sys, fastavro; print(sum(1 for _ in fastavro.reader(sys.stdin.buffer)))"
        let result = try runTool(pythonPath, ["-c", count], input: decompress(segment))
        return try #require(
            Int(result.text.trimmingCharacters(in: .newlines)), "\(result.errorText)")
    }

    private static func decompress(_ segment: String) throws -> Data {
        let result = try runTool("lz4", ["-dc", segment])
        guard result.status == 0 else {
            throw DaybookFailure(description: "lz4 -dc \(segment): \(result.errorText)")
        }
        return result.output
    }

    private static let script = """
        import json, sys, fastavro

        def text(value):
            return value.hex() if isinstance(value, bytes) else str(value)

        batches = []
        for batch in fastavro.reader(sys.stdin.buffer, return_record_name=True):
            rows = []
            for name, fields in batch["rows"]:
                values = {k: "null" if v is None else text(v) for k, v in fields.items()}
                rows.append({"kind": name.split(".")[-1], "fields": values})
            batches.append({
                "position": batch["position"], "table": batch["table"], "source": batch["source"],
                "principal": batch["principal"], "idempotency_key": batch["idempotency_key"],
                "rows": rows})
        json.dump(batches, sys.stdout)
        """
}
