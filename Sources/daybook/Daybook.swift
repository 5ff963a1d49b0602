import ArgumentParser
import Foundation

/// The program: its commands, and what its exit status means.
@main
struct Daybook: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "daybook",
        abstract: "A ledger of rows on their way into Postgres: what it took, it keeps.",
        discussion: """
            Example: daybook serve &  daybook import jobs jobs.csv  daybook status

            Every option has an environment variable (--data is DAYBOOK_DATA, and so on).
            Exit status: 0 done, 1 a check found something wrong, 2 wrong usage, \
            3 the log is corrupt or failed, 4 a service that is needed cannot be reached.
            """,
        version: "0.1.0",
        subcommands: [
            Serve.self, Import.self, Status.self, ReportCommand.self, RebuildCommand.self,
            Verify.self, BackupCommand.self, RestoreCommand.self, LedgerCommand.self,
            RejectionsCommand.self, Retract.self, Why.self, ProjectionsCommand.self,
            DictionaryCommand.self, Keys.self, Log.self, ProofCommand.self, ClockCommand.self,
            Init.self, SampleDataCommand.self, TortureCommand.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            fail(error)
        }
    }

    private static func fail(_ error: any Error) -> Never {
        let failure = CommandFailure(error)
        if let failure {
            Console.error("daybook: \(failure.message)")
            Foundation.exit(failure.status.rawValue)
        }
        // Help and version are "errors" that end well; the rest is wrong usage.
        let isWellEnded = exitCode(for: error) == .success
        if isWellEnded {
            Console.write(fullMessage(for: error) + "\n")
        } else {
            Console.error(fullMessage(for: error))
        }
        Foundation.exit(isWellEnded ? 0 : ExitStatus.usage.rawValue)
    }
}

/// What the program's exit status says.
enum ExitStatus: Int32 {
    case done = 0
    /// A check found something wrong, or a command could not do what it was asked.
    case failed = 1
    case usage = 2
    /// The log is corrupt, or it is not known what is in it.
    case corrupt = 3
    /// A service that is needed cannot be reached.
    case unreachable = 4
}
