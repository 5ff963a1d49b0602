import ArgumentParser
import DaybookServer
import Foundation

/// `daybook rejections resubmit`
struct RejectionsResubmit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resubmit",
        abstract: "Send rejected rows again: corrected, or as they were.",
        discussion: """
            Example: daybook rejections resubmit 4711 --row '{"id": 7, "job": "Cook"}'
            Example: daybook rejections resubmit --code unknown_reference
            Example: daybook rejections resubmit --file corrected.csv

            A position alone sends that row again, as it was or as --row says. --code and --table \
            send again, as they were, all open rows that would be accepted now. --file reads an \
            export (`daybook rejections export --format csv --table T`) that was corrected.

            What would be rejected again is not sent but named, unless --send-all is given: then \
            it is a new rejection, linked to the first. Exit 1 if a row was not corrected; with \
            --code rows that are not eligible are no failure.
            """)

    @Argument(help: "The position of a rejection.")
    var position: Int64?

    @Option(help: "The corrected row, a JSON object.")
    var row: String?

    @Option(help: "Send again the rows that have this code among their reasons.")
    var code: String?

    @Option(help: "Send again the rows of this table.")
    var table: String?

    @Option(help: "A corrected export.", completion: .file())
    var file: String?

    @Flag(help: "Send what would be rejected, too.")
    var sendAll = false

    @Flag(help: "Say what would become of the rows, and append nothing.")
    var dryRun = false

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    /// How many rows are on their way at once.
    private static let widthMax = 32
    private static let pageRowCount = 1000

    func validate() throws {
        let isBulk = code != nil || table != nil
        let ways = [position != nil, isBulk, file != nil].count { $0 }
        guard ways == 1 else {
            throw ValidationError(
                "Name a POSITION, or give --code or --table, or --file: one of the three.")
        }
        if row != nil, position == nil { throw ValidationError("--row is for one POSITION.") }
    }

    func run() async throws {
        let rows = try file.map { try CorrectionFile(path: $0).rows }
        let command = self
        let outcomes = try await LocalServer.use(settings) { client in
            if let rows { return try await command.send(rows, client) }
            if let position = command.position {
                return [try await command.send(position, client)]
            }
            return try await command.sendEligible(client)
        }
        Console.endProgress()
        let isDone = ResubmitText.report(outcomes, isDryRun: dryRun, asJSON: json)
        if !isDone {
            throw CommandFailure(
                .failed,
                "not every row was corrected; those above stand as they were, "
                    + "`daybook rejections show POSITION` has more of each")
        }
    }

    private func send(_ position: Int64, _ client: LocalClient) async throws -> ResubmitOutcome {
        try await send(
            position, contentType: row == nil ? nil : "application/json",
            body: row.map { Data($0.utf8) }, client)
    }

    /// Sends one row, if it would be accepted or all are to be sent.
    private func send(
        _ position: Int64, contentType: String?, body: Data?, _ client: LocalClient
    ) async throws -> ResubmitOutcome {
        func post(dry: Bool) async throws -> ResubmitOutcome {
            let answer = try await client.send(
                "POST", "/v1/rejections/\(position)/resubmit",
                query: ["dry_run": dry ? "true" : nil], contentType: contentType, body: body)
            return ResubmitText.outcome(of: answer, at: position, isDryRun: dry)
        }
        if dryRun { return try await post(dry: true) }
        if !sendAll {
            let told = try await post(dry: true)
            if told.kind != .corrected { return told }
        }
        return try await post(dry: false)
    }

    private func send(
        _ rows: [CorrectionFile.Row], _ client: LocalClient
    ) async throws -> [ResubmitOutcome] {
        try await inOrder(rows) { row in
            var outcome = try await send(
                row.position, contentType: "text/csv; header=present", body: row.csv, client)
            outcome.line = row.line
            return outcome
        }
    }

    /// Sends again what is eligible, in passes: a row that is accepted may be what others refer to.
    private func sendEligible(_ client: LocalClient) async throws -> [ResubmitOutcome] {
        var outcomes: [ResubmitOutcome] = []
        // By the row's first rejection: what was sent is not sent again.
        var sentRoots: Set<Int64> = []
        while true {
            var isProgress = false
            var after: Int64?
            repeat {
                let page = try await eligible(after: after, client)
                after = page.next
                // Of the rejections of one row the last is what somebody meant.
                var positions: [Int64: Int64] = [:]
                for listed in page.rejections where !sentRoots.contains(listed.root) {
                    positions[listed.root] = listed.position
                }
                sentRoots.formUnion(positions.keys)
                let sent = try await inOrder(positions.values.sorted()) { position in
                    let answer = try await client.send(
                        "POST", "/v1/rejections/\(position)/resubmit",
                        query: ["dry_run": dryRun ? "true" : nil])
                    return ResubmitText.outcome(of: answer, at: position, isDryRun: dryRun)
                }
                outcomes += sent
                isProgress = isProgress || sent.contains { $0.kind == .corrected }
                Console.progress("\(outcomes.count) rows sent again")
            } while after != nil
            // Whoever is told what would be is told of one pass.
            if dryRun || !isProgress { return outcomes }
            try await waitUntilProjected(client)
        }
    }

    private struct Page: Decodable {
        struct Listed: Decodable {
            let position: Int64
            let retry_of: Int64?
            var root: Int64 { retry_of ?? position }
        }
        let rejections: [Listed]
        let next: Int64?
    }

    private func eligible(after: Int64?, _ client: LocalClient) async throws -> Page {
        let answer = try await client.send(
            "GET", "/v1/rejections",
            query: [
                "state": "open", "eligible": "true", "code": code, "table": table,
                "limit": String(RejectionsResubmit.pageRowCount),
                "after": after.map(String.init),
            ])
        return try client.decode(Page.self, from: answer)
    }

    /// Until the list shows what was sent as closed.
    private func waitUntilProjected(_ client: LocalClient) async throws {
        struct Status: Decodable {
            let durable_position: Int64
        }
        let status = try JSONDecoder().decode(Status.self, from: await client.status())
        let answer = try await client.send(
            "GET", "/v1/rejections",
            query: [
                "limit": "1", "min_position": String(status.durable_position), "timeout": "60",
            ])
        _ = try client.decode(Page.self, from: answer)
    }

    /// Does something with all items, several at once; the results are in the items' order.
    private func inOrder<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) async throws -> ResubmitOutcome
    ) async throws -> [ResubmitOutcome] {
        try await withThrowingTaskGroup(of: (Int, ResubmitOutcome).self) { tasks in
            var outcomes: [ResubmitOutcome?] = Array(repeating: nil, count: items.count)
            for (index, item) in items.enumerated() {
                if index >= RejectionsResubmit.widthMax {
                    for try await (done, outcome) in tasks.prefix(1) { outcomes[done] = outcome }
                }
                tasks.addTask { (index, try await body(item)) }
            }
            for try await (done, outcome) in tasks { outcomes[done] = outcome }
            return outcomes.compactMap(\.self)
        }
    }
}
