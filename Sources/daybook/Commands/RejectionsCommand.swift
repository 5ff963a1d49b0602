import ArgumentParser

/// `daybook rejections`
struct RejectionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejections",
        abstract: "Look at rejected rows, send them again, let them go.",
        subcommands: [RejectionsResubmit.self, RejectionsWaive.self])
}
