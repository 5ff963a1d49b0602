import ArgumentParser
import DaybookLog
import Foundation

/// `daybook retract`
struct Retract: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take accepted rows back: they leave the tables, and their keys are free again.",
        discussion: """
            Example: daybook retract --import hires.csv --dry-run
            Example: daybook retract --import hires.csv --note "last year's file"
            Example: daybook retract --batch 01a203d9-4b6b-7c9f-91b7-3bad03fd5ffb --note twice
            Example: daybook retract hired_employees 4535 --note "never began"

            A file that is here is known by its bytes, another by its name or the SHA-256 that it \
            had. A key of several columns is given as one argument a column, in the dictionary's \
            order; before a negative number put --. Options may be repeated and put together: all \
            of it goes at once, or nothing.

            Rows that others refer to stay, unless those go too (--with-referring). The log keeps \
            the rows and gets one event more, with your name. Exit 1: nothing was retracted, and \
            why.
            """)

    @Argument(help: "A table, and the key of a row of it.")
    var row: [String] = []

    @Option(name: .customLong("batch"), help: "The id of a batch. May be repeated.")
    var batches: [String] = []

    @Option(
        name: .customLong("import"),
        help: "An imported file: its path, name, URL or SHA-256. May be repeated.",
        completion: .file())
    var imports: [String] = []

    @Option(help: "Why.")
    var note: String?

    @Flag(help: "Say what would go, and write nothing.")
    var dryRun = false

    @Flag(help: "Take back, too, the rows that refer to these, and those that refer to them.")
    var withReferring = false

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    /// How long to wait while another retraction is worked on.
    private static let busySeconds = 1.0

    func validate() throws {
        guard row.count != 1 else {
            throw ValidationError("After the table \(row[0]) say the key of a row of it.")
        }
        guard !row.isEmpty || !batches.isEmpty || !imports.isEmpty else {
            throw ValidationError("Say what is to go: TABLE KEY, --batch ID or --import FILE.")
        }
        guard let note else {
            if dryRun { return }
            throw ValidationError("--note says why.")
        }
        guard !note.allSatisfy(\.isWhitespace) else { throw ValidationError("--note says why.") }
        guard note.utf8.count <= Retraction.noteByteCount else {
            throw ValidationError("--note has at most \(Retraction.noteByteCount) bytes.")
        }
    }

    private struct Body: Encodable {
        struct Row: Encodable {
            let table: String
            let key: [String]
        }
        let batches: [String]
        let imports: [String]
        let rows: [Row]
        let note: String?
        let with_referring: Bool
    }

    func run() async throws {
        let rows = row.first.map { [Body.Row(table: $0, key: Array(row.dropFirst()))] } ?? []
        let body = try JSONEncoder().encode(
            Body(
                batches: batches, imports: try imports.map(Retract.name), rows: rows, note: note,
                with_referring: withReferring))
        let isDryRun = dryRun
        let (answer, failure) = try await LocalServer.use(settings) { client in
            let answer = try await Retract.send(body, isDryRun: isDryRun, client)
            return (answer, answer.status == 200 ? nil : Retract.failure(answer, client))
        }
        if json, failure == nil || failure?.status == .failed {
            answer.body.withUnsafeBytes { Console.write($0) }
            Console.write("\n")
        }
        if let failure { throw failure }
        if json { return }
        let done = try JSONDecoder().decode(RetractionText.Done.self, from: answer.body)
        Console.write(RetractionText.lines(done, next: next).joined(separator: "\n") + "\n")
    }

    private var next: String {
        imports.isEmpty
            ? "send the right rows, if there are any: the same keys are taken"
            : "daybook import TABLE FILE, of the right file; the same bytes again need --force"
    }

    /// What an import is called: the digest of a file that is here, else the text's last part.
    private static func name(_ text: String) throws -> String {
        let source = try ImportSource(text)
        guard case .path(let path) = source else { return source.name }
        var isFolder: ObjCBool = false
        let isThere = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        guard isThere, !isFolder.boolValue else { return source.name }
        return "\(try FileDigest(of: path).digest)"
    }

    private static func send(
        _ body: Data, isDryRun: Bool, _ client: LocalClient
    ) async throws -> LocalClient.Answer {
        Console.progress("looking through the log")
        defer { Console.endProgress() }
        while true {
            let answer = try await client.send(
                "POST", "/v1/retractions", query: ["dry_run": isDryRun ? "true" : nil],
                contentType: "application/json", body: body)
            guard answer.status == 429 else { return answer }
            Console.progress("another retraction is worked on")
            try await Task.sleep(for: .seconds(busySeconds))
        }
    }

    /// A refusal is no wrong usage: what was named was not there, or something is in the way.
    private static func failure(
        _ answer: LocalClient.Answer, _ client: LocalClient
    ) -> CommandFailure {
        guard [404, 409].contains(answer.status),
            let refusal = try? JSONDecoder().decode(RetractionText.Refusal.self, from: answer.body),
            !refusal.type.hasSuffix(":unknown-table")
        else { return client.failure(answer) }
        return CommandFailure(.failed, RetractionText.explanation(refusal))
    }
}
