import ArgumentParser
import DaybookLog
import DaybookSegments
import DaybookServer

/// `daybook log cat`
struct LogCat: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat",
        abstract: "Print events as JSON, one a line, with the facts of their batches.",
        discussion: "Example: daybook log cat --from 100 --to 200 --table jobs --rejected")

    @Option(help: "The first position.")
    var from: Int64 = 0

    @Option(help: "The position before which to stop.")
    var to: Int64?

    @Option(help: "Only events of this table.")
    var table: String?

    @Flag(help: "Only rejected rows.")
    var rejected = false

    @Flag(help: "The lines are JSON with or without it.")
    var json = false

    @OptionGroup var settings: Settings

    /// How much is read from disk at once.
    private static let readByteLimit = 8 << 20

    func validate() throws {
        guard from >= 0, (to ?? from) >= from else {
            throw ValidationError("--from and --to are positions, 0 or more, in that order.")
        }
    }

    func run() throws {
        let log = try LogReader.open(folder: settings.dataFolder)
        let end = min(to ?? .max, log.durable.position)
        guard from < end else { return }
        let filter = EventFilter(positions: from..<end, table: table, isRejectedOnly: rejected)
        var events = EventText()
        var json = JSONWriter(capacity: LogCat.readByteLimit)
        var position = from
        while position < end {
            for block in try log.blocks(from: position, byteLimit: LogCat.readByteLimit) {
                do {
                    try events.write(block, filter: filter, to: &json)
                } catch {
                    throw CommandFailure(.corrupt, error.what)
                }
                Console.write(json.unsafeBytes)
                json.removeAll()
                position = block.endPosition
            }
        }
    }
}
