import ArgumentParser
import DaybookProjections
import DaybookServer
import Foundation

/// `daybook rebuild`
struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Make tables, aggregates or the audit anew from the log, beside the live ones.",
        discussion: """
            Example: daybook rebuild hired_employees --dry-run

            The new tables are filled and indexed in a schema of their own while appends and \
            readers go on, then compared with the live ones and swapped in by a rename. One that \
            was killed goes on where it was. The old tables stay in the schema daybook_old until \
            the next rebuild, --undo or --drop-old. Without a name everything is rebuilt, one \
            after the other.
            """)

    @Argument(help: "Tables, aggregates, or `audit`.")
    var names: [String] = []

    @Flag(help: "Build and compare, and throw the new tables away.")
    var dryRun = false

    @Flag(help: "Swap the tables of before the last rebuild in again.")
    var undo = false

    @Flag(help: "Drop the tables of before the last rebuild.")
    var dropOld = false

    @Option(help: "How long readers are waited for, in seconds.")
    var patience = 60.0

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard [dryRun, undo, dropOld].count(where: { $0 }) <= 1 else {
            throw ValidationError("--dry-run, --undo and --drop-old go one at a time.")
        }
        guard patience >= 0, patience <= 86_400 else {
            throw ValidationError("--patience is a number of seconds, up to a day.")
        }
    }

    func run() async throws {
        let (names, dryRun, undo, dropOld) = (names, dryRun, undo, dropOld)
        let (patience, json) = (patience, json)
        let outcomes = try await ReadSide.use(settings) { side in
            let all =
                side.catalog.tables.map(\.name) + side.catalog.aggregates.map(\.name)
                + [auditProjectionName]
            var outcomes: [RebuildOutcome] = []
            for name in names.isEmpty ? all : names {
                let rebuild = try RebuildCommand.rebuild(
                    name, side, isDryRun: dryRun, patienceSeconds: patience)
                let outcome: RebuildOutcome =
                    if undo {
                        .undone(name, try rebuild.undo())
                    } else if dropOld {
                        .dropped(name, try rebuild.dropOld())
                    } else {
                        .rebuilt(try rebuild.run())
                    }
                Console.endProgress()
                if !json { Console.write(outcome.text) }
                outcomes.append(outcome)
            }
            return outcomes
        }
        if json {
            Console.writeJSON { json in
                json.openObject()
                json.key("projections")
                json.openArray()
                for outcome in outcomes { outcome.write(to: &json) }
                json.closeArray()
                json.closeObject()
            }
        }
        // A comparison that found something says so by its status, as every check does.
        if dryRun, outcomes.contains(where: \.isDifferent) {
            throw CommandFailure(
                .failed,
                "the tables are not as the log says; without --dry-run new ones are "
                    + "swapped in")
        }
    }

    private static func rebuild(
        _ name: String, _ side: ReadSide, isDryRun: Bool, patienceSeconds: Double
    ) throws -> Rebuild {
        var options = Rebuild.Options(migrationsFolder: side.catalogFolder + "/sql/migrations")
        options.isDryRun = isDryRun
        options.patienceSeconds = patienceSeconds
        return try Rebuild(
            name, catalog: side.catalog, options: options, source: { try side.log() },
            connect: { try side.connect() }, onProgress: { Console.progress($0.text) })
    }
}

/// What came of one projection.
enum RebuildOutcome: Sendable {
    case rebuilt(RebuildReport)
    /// With the position at which the old tables stood.
    case undone(String, Int64)
    /// Whether there were any.
    case dropped(String, Bool)
}

extension RebuildOutcome {
    /// Whether the new tables were compared and are not what the live ones are.
    var isDifferent: Bool {
        guard case .rebuilt(let report) = self else { return false }
        return report.comparison?.isEmpty == false
    }

    /// What people read.
    var text: String {
        switch self {
        case .undone(let name, let position):
            "\(name): the old tables are live again, from position \(position) on the "
                + "projector applies what came since\n"
        case .dropped(let name, let isAny):
            "\(name): \(isAny ? "the old tables are dropped" : "there were no old tables")\n"
        case .rebuilt(let report):
            report.text(
                report.isSwapped ? "rebuilt and swapped in" : "built, compared, not swapped")
        }
    }

    func write(to json: inout JSONWriter) {
        json.openObject()
        switch self {
        case .undone(let name, let position):
            json.field("projection", name)
            json.field("undone", true)
            json.field("position", position)
        case .dropped(let name, let isAny):
            json.field("projection", name)
            json.field("dropped", isAny)
        case .rebuilt(let report): report.writeMembers(to: &json)
        }
        json.closeObject()
    }
}
