import ArgumentParser
import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer

/// `daybook log verify`
struct LogVerify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read every byte of the log and check it against its checksums and its tree.",
        discussion: """
            Example: daybook log verify --anchor /mnt/elsewhere/shop --key ledger.pub

            Exit status 3 if anything is wrong. Checksums find what broke, not what somebody \
            changed who made them again; an anchor finds that, below its position. With --anchor \
            the ranges are told apart.
            """)

    @Option(
        help: """
            A signed tree head, or a folder of them; may be repeated. See `daybook log anchor`.
            """)
    var anchor: [String] = []

    @Option(
        help: """
            The ledger's public key in PEM, kept elsewhere. Default: what ledger.key says, or the \
            log.
            """)
    var key: String?

    @Option(
        help: ArgumentHelp(
            "How many threads read. Default: as many as there are cores.", valueName: "threads"))
    var jobs: Int?

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard (1...256).contains(jobs ?? 1) else {
            throw ValidationError("--jobs is a number from 1 to 256.")
        }
        guard key == nil || !anchor.isEmpty else {
            throw ValidationError("--key is for anchors; say which with --anchor.")
        }
    }

    func run() throws {
        let anchors = try AnchorReport(anchor, key: key, settings)
        let found = try LogVerifier.run(
            folder: settings.dataFolder, anchors: anchors?.heads ?? [], jobs: jobs
        ) { done, all in
            Console.progress("verify: \(all == 0 ? 100 : done * 100 / all) %")
        }
        Console.endProgress()
        if json { write(found, anchors) } else { report(found, anchors) }
        if !found.isSound {
            throw CommandFailure(
                .corrupt,
                "the log is damaged or was changed in \(found.problems.count) places; keep a copy "
                    + "of it")
        }
    }

    private func report(_ found: LogVerification, _ anchors: AnchorReport?) {
        for problem in found.problems {
            Console.write(
                "\(problem.segment) at offset \(problem.offset), "
                    + "position \(problem.position): \(problem.what)\n")
        }
        Console.write(
            "\(found.segmentCount) segments, \(found.blockCount) blocks, "
                + "\(found.batchCount) batches, \(found.eventCount) events, root \(root(found))\n")
        if let anchors { Console.write(anchors.text(found)) }
    }

    private func root(_ found: LogVerification) -> String {
        found.head?.root.description ?? ""
    }

    private func write(_ found: LogVerification, _ anchors: AnchorReport?) {
        Console.writeJSON { json in
            json.openObject()
            json.field("ok", found.isSound)
            json.field("segments", found.segmentCount)
            json.field("blocks", found.blockCount)
            json.field("batches", found.batchCount)
            json.field("events", found.eventCount)
            json.field("root", root(found))
            anchors?.write(found, to: &json)
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
