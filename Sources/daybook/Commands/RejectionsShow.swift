import ArgumentParser
import DaybookLedger
import DaybookLog
import DaybookServer
import Foundation

/// `daybook rejections show`
struct RejectionsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one rejection: its bytes, the reasons, its origin and its later life.",
        discussion: "Example: daybook rejections show 1042")

    @Argument(help: "Its position.")
    var position: Int64

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let position = position
        let (stored, life) = try await RejectionSide.use(settings) { side in
            let log = try side.side.log()
            let event = try await offPool { try StoredEvent.find(at: position, in: log) }
            guard case .rejected(let stored)? = event else {
                throw CommandFailure(
                    .usage,
                    "there is no rejection at position \(position): there is "
                        + (event?.description
                            ?? "nothing, the log ends at position \(log.durable.position)"))
            }
            return (stored, try await side.source.life(of: position, root: stored.root.position))
        }
        if json { return Console.writeJSON { $0.write(stored, life: life) } }
        Console.write(text(stored, life).map { $0 + "\n" }.joined())
    }

    private func text(_ stored: StoredRejection, _ life: RejectionLife) -> [String] {
        let batch = stored.batch
        let state = life.state?.rawValue ?? "not in Postgres yet"
        var lines = [
            "position    \(stored.position), row \(stored.index) of batch \(batch.id)",
            "table       \(batch.table)", "state       \(state)",
            "from        \(batch.source)" + (stored.line.map { ", line \($0)" } ?? "")
                + ", as \(batch.format)",
            "sent        \(JSONWriter.text(time: batch.receivedAt)) by \(batch.principal)",
        ]
        if let key = batch.idempotencyKey { lines.append("key         \(key)") }
        if !batch.requestDigest.isEmpty {
            let digest = batch.requestDigest.map { String(format: "%02x", $0) }.joined()
            lines.append("request     SHA-256 \(digest)")
        }
        lines.append("dictionary  \(batch.dictionary)")
        if stored.isRetry { lines.append("retry of    \(stored.root.position)") }
        if !life.retries.isEmpty {
            let places = life.retries.map(String.init).joined(separator: ", ")
            lines.append("retries     \(places)")
        }
        if let closing = life.closing {
            lines.append(
                "closed      \(closing.state.rawValue) by \(closing.principal) at "
                    + "\(JSONWriter.text(time: closing.receivedAt)), position \(closing.position)")
            if let note = closing.note { lines.append("note        \(note)") }
        }
        for reason in stored.rejection.reasons {
            let column = reason.column.map { " (\($0))" } ?? ""
            lines.append("reason      \(reason.code)\(column): \(reason.message)")
        }
        if stored.rejection.digest == nil {
            let raw = String(decoding: stored.rejection.raw, as: UTF8.self)
            lines.append("row         \(raw)")
        } else {
            lines.append("row         not kept: the dictionary says rejectedRaw: digest")
        }
        if let length = stored.rejection.rawLength {
            lines.append("            (cut; there were \(length) bytes)")
        }
        return lines.map(TextTable.line)
    }
}
