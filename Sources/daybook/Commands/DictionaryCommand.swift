import ArgumentParser

/// `daybook dictionary …`
struct DictionaryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dictionary",
        abstract: "Look at a data dictionary before it is put in force.",
        discussion: "Example: daybook dictionary check shop",
        subcommands: [DictionaryCheck.self])
}
