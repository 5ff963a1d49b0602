import ArgumentParser
import DaybookServer
import Foundation

/// `daybook rejections waive POSITION… --note TEXT`
struct RejectionsWaive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "waive",
        abstract: "Let rejected rows go that nobody will mend, and say why.",
        discussion: """
            Example: daybook rejections waive 4711 --note "tests of the old payroll system"

            The waiver is an event of the log, with your name. A rejection that is corrected or \
            waived already is left as it is: exit 1.
            """)

    @Argument(help: "The positions of the rejections.")
    var positions: [Int64]

    @Option(help: "Why.")
    var note: String

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard !positions.isEmpty else { throw ValidationError("Name at least one position.") }
        guard !note.allSatisfy(\.isWhitespace) else { throw ValidationError("--note says why.") }
    }

    func run() async throws {
        let body = try JSONEncoder().encode(["note": note])
        let positions = positions
        let outcomes = try await LocalServer.use(settings) { client in
            var outcomes: [(Int64, LocalClient.Answer)] = []
            for position in positions {
                outcomes.append(
                    (
                        position,
                        try await client.send(
                            "POST", "/v1/rejections/\(position)/waive",
                            contentType: "application/json", body: body)
                    ))
            }
            return outcomes
        }
        let refused = outcomes.filter { $0.1.status != 200 }
        if json {
            Console.writeJSON { json in
                json.openObject()
                json.field("waived", outcomes.count - refused.count)
                json.key("refused")
                json.openArray()
                for (position, answer) in refused {
                    json.openObject()
                    json.field("position", position)
                    json.field("why", ResubmitText.problem(answer))
                    json.closeObject()
                }
                json.closeArray()
                json.closeObject()
            }
        } else {
            for (position, answer) in outcomes where answer.status == 200 {
                Console.write("\(position): waived\n")
            }
            for (position, answer) in refused {
                Console.error("daybook: \(position): \(ResubmitText.problem(answer))")
            }
        }
        if !refused.isEmpty {
            throw CommandFailure(.failed, "\(refused.count) of them were left as they are")
        }
    }
}
