import ArgumentParser
import DaybookLog
import DaybookSegments
import DaybookServer

/// `daybook log cat`
struct LogCat: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat",
        abstract: "Print events as JSON, one a line, with the facts of their batches.",
        discussion: "Example: daybook log cat --from 100 --table jobs --verdict rejected --follow")

    @Option(help: "The first position.")
    var from: Int64 = 0

    @Option(help: "The position before which to stop.")
    var to: Int64?

    @Option(help: "Only events of this table.")
    var table: String?

    @Flag(help: "Only rejected rows: the same as --verdict rejected.")
    var rejected = false

    @Option(help: "Only events of this kind.")
    var verdict: EventVerdict?

    @Flag(help: "Go on with what is appended, until interrupted; needs a running server.")
    var follow = false

    @Flag(help: "The lines are JSON with or without it.")
    var json = false

    @OptionGroup var settings: Settings

    func validate() throws {
        guard from >= 0, (to ?? from) >= from else {
            throw ValidationError("--from and --to are positions, 0 or more, in that order.")
        }
        guard !rejected || verdict == nil || verdict == .rejected else {
            throw ValidationError("--rejected and --verdict contradict each other.")
        }
        guard !follow || to == nil else {
            throw ValidationError("--follow has no end; leave --to out.")
        }
    }

    func run() async throws {
        if follow { return try await followServer() }
        let log = try LogReader.open(folder: settings.dataFolder, acceptsDamage: true)
        let end = min(to ?? .max, log.durable.position)
        if from < end { try write(log, upTo: end) }
        // All that is good was printed; what should follow is not there.
        if let corruption = log.corruption, to ?? .max > end { throw LogError.corrupt(corruption) }
    }

    private func write(_ log: LogReader, upTo end: Position) throws {
        let filter = EventFilter(
            positions: from..<end, tables: table.map { [$0] }, verdict: wantedVerdict)
        var reader = EventReader(log, filter: filter)
        do throws(EventReadError) {
            while let piece = try reader.next() { piece.withUnsafeBytes { Console.write($0) } }
        } catch {
            switch error {
            case .log(let error): throw error
            case .text(let error): throw CommandFailure(.corrupt, error.what)
            }
        }
    }

    private var wantedVerdict: EventVerdict? { rejected ? .rejected : verdict }

    /// What the server sends as it becomes durable.
    private func followServer() async throws {
        guard let client = LocalClient(dataFolder: settings.dataFolder) else {
            throw CommandFailure(
                .unreachable,
                "no server runs on this ledger, so nothing is appended: start "
                    + "`daybook serve`, or leave --follow out")
        }
        var query = ["from": "\(from)", "follow": "true"]
        query["table"] = table
        query["verdict"] = wantedVerdict?.rawValue
        try await client.events(query) { Console.write($0) }
        throw CommandFailure(.unreachable, "the server has stopped; run the command again")
    }
}

extension EventVerdict: ExpressibleByArgument {}
