import ArgumentParser

/// `daybook log …`
struct Log: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look into the log itself; a server may be running.",
        discussion: "Example: daybook log cat --table jobs --rejected | jq .reasons",
        subcommands: [LogInfo.self, LogCat.self, LogVerify.self, LogAnchor.self,
            LogRepairCommand.self,
        ])
}
