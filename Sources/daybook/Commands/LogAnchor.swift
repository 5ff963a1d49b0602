import ArgumentParser
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook log anchor`
struct LogAnchor: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "anchor",
        abstract: "Write a signed tree head into a folder that is not the ledger's.",
        discussion: """
            Example: daybook log anchor /mnt/elsewhere/shop

            Whoever changes the log after that is found by `daybook log verify --anchor`, even if \
            every checksum was made again. Nothing is written if the newest file says the same; \
            a log that contradicts the newest file is not anchored (exit status 3).
            """)

    @Argument(help: "The folder. It is made if it is missing.")
    var folder: String

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let log = try LogReader.open(folder: settings.dataFolder)
        guard BackupPlace.trustedKey(settings) != nil else {
            throw CommandFailure(
                .usage,
                "\(settings.dataFolder) has no ledger.key to sign with; start the ledger once")
        }
        let place = AnchorFolder(path: URL(fileURLWithPath: folder).standardizedFileURL.path)
        let (file, isNew) =
            switch try place.write(log, key: try BackupPlace.key(settings)) {
            case .written(let file): (file, true)
            case .unchanged(let file): (file, false)
            }
        let head = log.durable
        guard json else {
            return Console.write(
                "\(isNew ? "" : "nothing new since ")\(file): position \(head.position), "
                    + "\(head.size) batches, root \(head.root)\n")
        }
        Console.writeJSON { json in
            json.openObject()
            json.field("file", file)
            json.field("written", isNew)
            json.field("ledger", head.ledger.description)
            json.field("position", head.position)
            json.field("size", head.size)
            json.field("root", head.root.description)
            json.closeObject()
        }
    }
}
