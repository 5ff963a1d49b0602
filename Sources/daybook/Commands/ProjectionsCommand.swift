import ArgumentParser
import DaybookProjections
import DaybookServer
import Foundation

/// `daybook projections`
struct ProjectionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "projections",
        abstract: "Say how far the projections are; pause one, or let it go on.",
        subcommands: [ProjectionsList.self, ProjectionsPause.self, ProjectionsResume.self],
        defaultSubcommand: ProjectionsList.self)
}

/// `daybook projections list`
struct ProjectionsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Every projection: its position, its state, and why it does not run.",
        discussion: "Example: daybook projections list --json")

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() async throws {
        let json = json
        try await ReadSide.use(settings) { side in
            let entries = try ProjectionControl(try side.connect()).list(try side.log())
            guard !json else {
                return Console.writeJSON { writer in
                    writer.openObject()
                    writer.key("projections")
                    writer.openObject()
                    for status in entries {
                        writer.key(status.name)
                        writer.openObject()
                        writer.field("position", status.position)
                        writer.field("state", status.state.rawValue)
                        writer.field("reason", status.reason)
                        writer.closeObject()
                    }
                    writer.closeObject()
                    writer.closeObject()
                }
            }
            let width = entries.map(\.name.count).max() ?? 0
            for status in entries {
                let name = status.name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                let reason = status.reason.map { ": \($0)" } ?? ""
                Console.write("\(name)position \(status.position), \(status.state)\(reason)\n")
            }
        }
    }
}

/// `daybook projections pause`
struct ProjectionsPause: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Let a projection stand still where it is; the others go on.",
        discussion: "Example: daybook projections pause hired_employees")

    @Argument(help: "A table, an aggregate, or `audit`.")
    var name: String

    @OptionGroup var settings: Settings

    func run() async throws {
        let name = name
        try await ReadSide.use(settings) { side in
            try ProjectionControl(try side.connect()).pause(name)
        }
        Console.write("\(name) is paused; `daybook projections resume \(name)` lets it go on\n")
    }
}

/// `daybook projections resume`
struct ProjectionsResume: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Let a projection go on that was paused, or that stopped at an event.",
        discussion: "Example: daybook projections resume hired_employees")

    @Argument(help: "A table, an aggregate, or `audit`.")
    var name: String

    @OptionGroup var settings: Settings

    func run() async throws {
        let name = name
        try await ReadSide.use(settings) { side in
            try ProjectionControl(try side.connect()).resume(name)
        }
        Console.write("\(name) goes on\n")
    }
}
