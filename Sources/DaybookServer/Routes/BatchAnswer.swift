import DaybookIntake
import DaybookLedger
import DaybookLog
import HTTPTypes
import Hummingbird

/// What a client is told about a batch. Made from the receipt alone: a replay has the same bytes.
struct BatchAnswer {
    let receipt: Receipt
    /// Whether rejected rows are repeated as they were sent.
    var hasRows = true
    /// Whether reasons quote what was sent: in their messages, and as the names of fields that are
    /// no columns.
    var hasQuotes = true
    /// Whether the rows are in Postgres; nil if nobody asked.
    var isProjected: Bool?

    /// The answer to an append: 200 if a row was accepted, else 400 with the problem's members.
    func appendResponse() -> Response {
        let isRefused = receipt.acceptedCount == 0
        var headers: HTTPFields = [.daybookPosition: String(receipt.endPosition)]
        if receipt.isReplay { headers[.idempotencyReplayed] = "true" }
        var json = JSONWriter(capacity: receipt.rejected.isEmpty ? 256 : 4096)
        json.openObject()
        if isRefused { refusal.writeMembers(to: &json) }
        writeMembers(to: &json)
        json.closeObject()
        return Response(
            status: isRefused ? .badRequest : .ok, json: json, headers: headers,
            isProblem: isRefused)
    }

    /// The answer to a question about a batch.
    func readResponse() -> Response {
        var json = JSONWriter(capacity: receipt.rejected.isEmpty ? 512 : 4096)
        json.openObject()
        writeMembers(to: &json)
        json.key("received_at")
        json.time(receipt.receivedAt)
        json.field("format", receipt.format)
        json.closeObject()
        return Response(
            status: .ok, json: json, headers: [.daybookPosition: String(receipt.endPosition)])
    }

    private var refusal: Problem {
        Problem(
            .badRequest, "rows-rejected", title: "No row was accepted",
            detail: "all \(receipt.rowCount) rows were rejected and are in the log; "
                + "`rejected` has the reasons")
    }

    private func writeMembers(to json: inout JSONWriter) {
        json.field("batch_id", receipt.batchID)
        json.field("table", receipt.table)
        json.field("position", receipt.position)
        json.field("rows", receipt.rowCount)
        json.field("accepted", receipt.acceptedCount)
        json.field("leaf", receipt.leaf.description)
        if let isProjected { json.field("projected", isProjected) }
        json.key("rejected")
        json.openArray()
        let isJSON = receipt.format == BatchFormat.json.rawValue
            || receipt.format == BatchFormat.ndjson.rawValue
        for row in receipt.rejected {
            json.openObject()
            json.field("index", row.index)
            json.field("position", row.position)
            if let line = row.line { json.field("line", line) }
            json.write(reasons: row.rejection.reasons, hasQuotes: hasQuotes)
            if hasRows { json.write(row: row.rejection, named: "row", isJSON: isJSON) }
            json.closeObject()
        }
        json.closeArray()
    }
}

extension JSONWriter {
    /// The member `reasons`.
    mutating func write(reasons: [Rejection.Reason], hasQuotes: Bool = true) {
        key("reasons")
        openArray()
        for reason in reasons {
            openObject()
            field("code", reason.code)
            let isSent = reason.code == RejectionCode.unknownField.name
            if let column = reason.column, hasQuotes || !isSent { field("column", column) }
            if hasQuotes { field("message", reason.message) }
            closeObject()
        }
        closeArray()
    }

    /// A rejected row as it was sent: JSON as it is, other text as a string, and bytes that are no
    /// UTF-8 under the name with `_base64` added. Of bytes that are not kept, their digest.
    mutating func write(row rejection: Rejection, named name: String, isJSON: Bool) {
        if let digest = rejection.digest {
            field(name + "_digest", "sha256:" + digest.hexadecimal)
            if let length = rejection.rawLength { field(name + "_length", length) }
            return
        }
        rejection.raw.withUnsafeBytes { bytes in
            if isJSON, JSONSyntax.isValue(bytes) {
                key(name)
                raw(bytes)
            } else if JSONSyntax.isUTF8(bytes) {
                key(name)
                string(utf8: bytes)
            } else {
                key(name + "_base64")
                base64(bytes)
            }
        }
        if let length = rejection.rawLength { field(name + "_length", length) }
    }
}

extension [UInt8] {
    /// Two lower-case digits a byte.
    var hexadecimal: String {
        let digits = [UInt8]("0123456789abcdef".utf8)
        return String(
            decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
