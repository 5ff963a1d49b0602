import ArgumentParser
import DaybookServer

/// `daybook clock`
struct ClockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock",
        abstract: "Say that the wall clock is right, after it jumped.",
        subcommands: [ClockConfirm.self])
}

/// `daybook clock confirm`
struct ClockConfirm: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "confirm",
        abstract: "Take the wall clock for right, so that appends that it held go on.",
        discussion: """
            Example: daybook clock confirm

            A clock that jumps forward by more than an hour holds all appends (503 clock-held), \
            for times in the log never go back. Set a wrong clock right, and they go on by \
            themselves; if it is right now, and was wrong before, say so by this command.
            """)

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    private struct Answer: Decodable {
        let was_held: Bool
        let jump_seconds: Int64?
    }

    func run() async throws {
        guard let client = LocalClient(dataFolder: settings.dataFolder) else {
            throw CommandFailure(
                .unreachable,
                "no server runs on this ledger, so no append waits; a start takes the clock for "
                    + "right")
        }
        let answer = try await client.send("POST", "/local/v1/clock/confirm")
        let found = try client.decode(Answer.self, from: answer)
        guard json else {
            return Console.write(
                found.was_held
                    ? "the clock is taken for right, after a jump of \(found.jump_seconds ?? 0) s; "
                        + "appends go on\n"
                    : "no append waits for the clock\n")
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("was_held", found.was_held)
            if let seconds = found.jump_seconds { json.field("jump_seconds", seconds) }
            json.closeObject()
        }
    }
}
