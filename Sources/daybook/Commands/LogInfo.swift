import ArgumentParser
import DaybookLog
import DaybookSegments
import DaybookServer

/// `daybook log info`
struct LogInfo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Say what the log is: its ledger, its end, its root, its size.",
        discussion: "Example: daybook log info --json")

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let log = try LogReader.open(folder: settings.dataFolder, acceptsDamage: true)
        let head = log.durable
        let segments = log.segments
        let byteCount = segments.reduce(0) { $0 + $1.byteCount }
        guard json else {
            Console.write(
                """
                ledger    \(head.ledger)
                position  \(head.position)
                batches   \(head.size)
                root      \(head.root)
                segments  \(segments.count)
                bytes     \(byteCount)

                """)
            return
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("ledger", head.ledger.description)
            json.field("durable_position", head.position)
            json.field("batches", head.size)
            json.field("root", head.root.description)
            json.field("segments", segments.count)
            json.field("bytes", byteCount)
            json.key("last_received_at")
            if log.lastReceivedAt > 0 { json.time(log.lastReceivedAt) } else { json.null() }
            json.key("files")
            json.openArray()
            for segment in segments {
                json.openObject()
                json.field("name", segment.name)
                json.field("base_position", segment.basePosition)
                json.field("end_position", segment.endPosition)
                json.field("bytes", segment.byteCount)
                json.field("blocks", segment.blockCount)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}
