import DaybookServer
import Foundation

/// What became of rows that were sent again.
struct ResubmitOutcome: Sendable {
    enum Kind: String, Sendable {
        /// The row is in the table now.
        case corrected
        /// It was rejected again, and is in the log with its new reasons.
        case rejected
        /// It would be rejected, so nothing was appended.
        case refused
        /// Nothing could be done with it: it is closed, or no row.
        case failed
    }
    /// The rejection.
    let position: Int64
    let kind: Kind
    /// The accepted row, or the new rejection.
    var newPosition: Int64?
    /// Why, unless it was corrected.
    var why = ""
    /// Line of the file that the row came from.
    var line: Int?
}

/// Reads the answers to rows that were sent again, and says what came of them.
enum ResubmitText {
    private struct Reason: Decodable {
        let code: String
        let column: String?
        let message: String
        var text: String { "\(code): \(message)" }
    }

    private struct Appended: Decodable {
        struct Rejected: Decodable {
            let position: Int64
            let reasons: [Reason]
        }
        let position: Int64
        let accepted: Int
        let rejected: [Rejected]
    }

    private struct Foretold: Decodable {
        let accepted: Int
        let reasons: [Reason]
    }

    private struct ProblemBody: Decodable {
        let title: String
        let detail: String
    }

    /// A problem's words.
    static func problem(_ answer: LocalClient.Answer) -> String {
        guard let body = try? JSONDecoder().decode(ProblemBody.self, from: answer.body) else {
            return "the server answered \(answer.status)"
        }
        return "\(body.title): \(body.detail)"
    }

    /// What an answer to a resubmission says.
    static func outcome(
        of answer: LocalClient.Answer, at position: Int64, isDryRun: Bool
    ) -> ResubmitOutcome {
        let decoder = JSONDecoder()
        if isDryRun, let told = try? decoder.decode(Foretold.self, from: answer.body) {
            return ResubmitOutcome(
                position: position, kind: told.accepted == 1 ? .corrected : .refused,
                why: told.reasons.map(\.text).joined(separator: "; "))
        }
        guard let appended = try? decoder.decode(Appended.self, from: answer.body) else {
            return ResubmitOutcome(position: position, kind: .failed, why: problem(answer))
        }
        if appended.accepted == 1 {
            return ResubmitOutcome(
                position: position, kind: .corrected, newPosition: appended.position)
        }
        let reasons = appended.rejected.first?.reasons ?? []
        return ResubmitOutcome(
            position: position, kind: .rejected, newPosition: appended.rejected.first?.position,
            why: reasons.map(\.text).joined(separator: "; "))
    }

    /// Prints what came of all rows; whether every one was corrected.
    static func report(_ outcomes: [ResubmitOutcome], isDryRun: Bool, asJSON: Bool) -> Bool {
        func count(_ kind: ResubmitOutcome.Kind) -> Int { outcomes.count { $0.kind == kind } }
        let others = outcomes.filter { $0.kind != .corrected }
        if asJSON {
            Console.writeJSON { json in
                json.openObject()
                json.field("dry_run", isDryRun)
                json.field("rows", outcomes.count)
                json.field("corrected", count(.corrected))
                json.field("rejected", count(.rejected))
                json.field("refused", count(.refused))
                json.field("failed", count(.failed))
                json.key("others")
                json.openArray()
                for outcome in others {
                    json.openObject()
                    json.field("position", outcome.position)
                    if let line = outcome.line { json.field("line", line) }
                    json.field("outcome", outcome.kind.rawValue)
                    if let position = outcome.newPosition { json.field("new_position", position) }
                    json.field("why", outcome.why)
                    json.closeObject()
                }
                json.closeArray()
                json.closeObject()
            }
        } else {
            for outcome in others {
                let place = outcome.line.map { "line \($0), " } ?? ""
                Console.error("\(place)position \(outcome.position): \(outcome.kind.rawValue): "
                    + outcome.why)
            }
            let would = isDryRun ? "would be " : ""
            Console.write(
                "\(outcomes.count) rows: \(count(.corrected)) \(would)corrected, "
                    + "\(count(.rejected)) rejected again, \(count(.refused)) not sent, since they "
                    + "would be rejected, \(count(.failed)) failed\n")
        }
        return others.isEmpty
    }
}
