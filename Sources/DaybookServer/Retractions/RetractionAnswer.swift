import DaybookLedger
import DaybookLog
import Hummingbird

/// What a client is told of a retraction.
struct RetractionAnswer {
    /// So many ranges are named.
    private static let spanCount = 10

    let outcome: RetractionOutcome
    /// Why; nil if a dry run did not say.
    let note: String?
    /// Whether the tables are without the rows; nil if nobody asked.
    var isProjected: Bool?

    /// 200, with the event's place if there is one.
    var response: Response {
        let plan = outcome.plan
        var json = JSONWriter(capacity: 1 << 10)
        json.openObject()
        if let receipt = outcome.receipt {
            json.field("position", receipt.position)
            json.field("batch_id", receipt.batchID)
            json.key("received_at")
            json.time(receipt.receivedAt)
        } else {
            json.field("dry_run", true)
        }
        json.field("rows", plan.rowCount)
        json.key("tables")
        json.openObject()
        for table in plan.tables { json.field(table.table, table.rowCount) }
        json.closeObject()
        json.field("span_count", plan.spans.count)
        json.key("spans")
        json.openArray()
        for span in plan.spans.prefix(RetractionAnswer.spanCount) {
            json.openObject()
            json.field("first", span.lowerBound)
            json.field("last", span.upperBound - 1)
            json.closeObject()
        }
        json.closeArray()
        json.field("note", note)
        json.field("by", plan.retraction.principal)
        if let receipt = outcome.receipt { json.field("leaf", receipt.leaf.description) }
        if let isProjected { json.field("projected", isProjected) }
        json.closeObject()
        return Response(
            status: .ok, json: json,
            headers: outcome.receipt.map { [.daybookPosition: String($0.endPosition)] } ?? [:])
    }
}

/// What it means to a client that nothing was retracted.
struct RetractionProblem {
    private let error: RetractionError

    init(_ error: RetractionError) { self.error = error }

    /// A problem; where others are in the way, they are named.
    var response: Response {
        let problem = problem
        var json = JSONWriter(capacity: 1 << 10)
        json.openObject()
        problem.writeMembers(to: &json)
        switch error {
        case .referred(let count, let first): write(count, first, to: &json)
        case .ambiguousImport(_, let digests):
            json.key("digests")
            json.openArray()
            for digest in digests { json.string(digest) }
            json.closeArray()
        default: break
        }
        json.closeObject()
        return Response(
            status: problem.status, json: json, headers: problem.headers, isProblem: true)
    }

    private func write(_ count: Int, _ first: [ReferringRow], to json: inout JSONWriter) {
        json.field("count", count)
        json.key("rows")
        json.openArray()
        for row in first {
            json.openObject()
            json.field("table", row.table)
            json.key("key")
            json.openArray()
            for value in row.key { json.string(value) }
            json.closeArray()
            json.field("position", row.position)
            json.field("refers_to", row.referredTable)
            json.closeObject()
        }
        json.closeArray()
    }

    /// What it is, without who is in the way.
    var problem: Problem {
        switch error {
        case .unknownBatch(let id): absent("unknown-batch", "the log has no batch \(id)")
        case .noRows(let id):
            absent("unknown-batch", "batch \(id) is one of the ledger's own events, without rows")
        case .unknownImport(let name):
            absent(
                "unknown-import", "no file \(name) was imported; an import's name and SHA-256 "
                    + "are in its event: /v1/events?verdict=control")
        case .ambiguousImport(let name, let digests):
            conflict(
                "ambiguous-import", "Several files had this name",
                "\(digests.count) files named \(name) were imported: name the one that is meant by "
                    + "its SHA-256, which `digests` has")
        case .badKey(.unknownTable(let name, _)): .unknownTable(name)
        case .badKey(let fault): .badRequest("bad-key", fault.description)
        case .unknownRow(let table, let key):
            absent(
                "unknown-row", "\(table) never had a row \(key.joined(separator: ",")); one that "
                    + "was rejected is among /v1/rejections?table=\(table)")
        case .nothingLeft:
            conflict(
                "nothing-left", "There is nothing to retract",
                "all that was named is retracted already, or was never accepted")
        case .referred(let count, _):
            conflict(
                "rows-referred", "Other rows refer to these",
                "\(count) rows that would stay refer to rows that would go; nothing was retracted: "
                    + "retract them first, or all together with \"with_referring\": true")
        case .tooManyPieces(let count):
            conflict(
                "too-many-pieces", "The rows stand in too many pieces of the log",
                "\(count) pieces; one retraction names at most \(Retraction.spanCountMax): "
                    + "retract a part at a time")
        case .overtaken:
            conflict(
                "retraction-overtaken", "The log has changed meanwhile",
                "rows came faster than they were looked through; nothing was retracted: send the "
                    + "request again"
            ).retrying(afterSeconds: 1)
        case .ledger(let error): Problem(error)
        }
    }

    private func absent(_ kind: String, _ detail: String) -> Problem {
        Problem(.notFound, kind, title: "Not found", detail: detail)
    }

    private func conflict(_ kind: String, _ title: String, _ detail: String) -> Problem {
        Problem(.conflict, kind, title: title, detail: detail)
    }
}
