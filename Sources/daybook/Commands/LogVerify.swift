import ArgumentParser
import DaybookLog
import DaybookSegments
import DaybookServer

/// `daybook log verify`
struct LogVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read every byte of the log and check it against its checksums and its tree.",
        discussion: "Example: daybook log verify --json    (exit status 3 if anything is wrong)")

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let found = try LogVerifier.run(folder: settings.dataFolder) { done, all in
            Console.progress("verify: \(all == 0 ? 100 : done * 100 / all) %")
        }
        Console.endProgress()
        if json { write(found) } else { report(found) }
        if !found.isSound {
            throw CommandFailure(
                .corrupt, "the log is damaged in \(found.problems.count) places; keep a copy of it")
        }
    }

    private func report(_ found: LogVerification) {
        for problem in found.problems {
            Console.write(
                "\(problem.segment) at offset \(problem.offset), "
                    + "position \(problem.position): \(problem.what)\n")
        }
        Console.write(
            "\(found.segmentCount) segments, \(found.blockCount) blocks, "
                + "\(found.batchCount) batches, \(found.eventCount) events, root \(root(found))\n")
    }

    private func root(_ found: LogVerification) -> String {
        found.head?.root.description ?? ""
    }

    private func write(_ found: LogVerification) {
        Console.writeJSON { json in
            json.openObject()
            json.field("ok", found.isSound)
            json.field("segments", found.segmentCount)
            json.field("blocks", found.blockCount)
            json.field("batches", found.batchCount)
            json.field("events", found.eventCount)
            json.field("root", root(found))
            json.key("problems")
            json.openArray()
            for problem in found.problems {
                json.openObject()
                json.field("segment", problem.segment)
                json.field("offset", problem.offset)
                json.field("position", problem.position)
                json.field("what", problem.what)
                json.closeObject()
            }
            json.closeArray()
            json.closeObject()
        }
    }
}
