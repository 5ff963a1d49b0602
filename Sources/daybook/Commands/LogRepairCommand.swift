import ArgumentParser
import DaybookLedger
import DaybookLog
import DaybookSegments
import DaybookServer
import Foundation

/// `daybook log repair`
struct LogRepairCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Save what can be read of a damaged log; no server may be running.",
        discussion: """
            Example: daybook log repair --data data; daybook log repair --data data --apply

            Without --apply nothing is changed: it says what is lost and what can be saved, with \
            exit status 3 if there is damage. With --apply every event that can be read keeps its \
            position and its bytes; what is lost is recorded in the log for ever, as `gap` events \
            at the lost positions. The old files are kept beside the new ones, as \
            `*.repaired-1`. After a gap the tables must be made again: `daybook rebuild`. A copy \
            of the log or a backup that has the lost events is the better cure: see \
            docs/reliability.md.
            """)

    @Flag(help: "Do it.")
    var apply = false

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    private var stateFolder: String { settings.dataFolder + "/state" }

    func run() throws {
        guard FileManager.default.fileExists(atPath: settings.dataFolder + "/log") else {
            throw CommandFailure(
                .usage, "\(settings.dataFolder) is no ledger; say where it is with --data")
        }
        umask(0o077)
        let (repair, knew) = try open()
        let isUnfinished = repair.isUnfinished
        if isUnfinished, !apply {
            throw CommandFailure(
                .corrupt, "a repair was cut short; finish it with `daybook log repair --apply`")
        }
        let plan = apply ? try done(repair) : try repair.plan()
        Console.endProgress()
        let snapshot = apply ? try dropStaleSnapshot(knew) : false
        if json {
            write(plan)
        } else {
            report(plan, wasUnfinished: isUnfinished, droppedSnapshot: snapshot)
        }
        if !apply, !plan.isNothing {
            throw CommandFailure(
                .corrupt,
                "nothing was changed; copy \(settings.dataFolder)/log elsewhere, look for what is "
                    + "lost in a backup, and then run this with --apply")
        }
    }

    private func open() throws -> (LogRepair, TreeHead?) {
        let by = "local:" + NSUserName()
        var options = LogRepair.Options(clock: SystemClock.wall) { time in
            Ledger.batchID(receivedAt: time)
        } text: { gap, keptAs in
            var json = JSONWriter()
            json.openObject()
            json.field("file", gap.file)
            json.field("offset", gap.offset)
            json.field("what", gap.what)
            json.field("kept_as", keptAs)
            json.field("events", Int64(gap.positions.count))
            json.field("by", by)
            json.closeObject()
            return Array(json.unsafeBytes)
        }
        let lock = try DirectoryLock(folder: settings.dataFolder)
        let knew = SnapshotWitness.head(stateFolder: stateFolder)
        if let knew {
            options.evidence.append(
                Evidence(source: .snapshot, position: knew.position, root: knew.root))
        }
        return (LogRepair(folder: settings.dataFolder, lock: lock, options: options), knew)
    }

    private func done(_ repair: LogRepair) throws -> RepairPlan {
        try repair.apply { done, all in
            Console.progress("repair: \(all == 0 ? 100 : done * 100 / all) %")
        }
    }

    /// The snapshot of the keys is made anew if it was made of what the log does not have any
    /// more. Whether it was so.
    private func dropStaleSnapshot(_ knew: TreeHead?) throws -> Bool {
        guard let knew else { return false }
        let log = try LogReader.open(folder: settings.dataFolder)
        if knew.position <= log.durable.position,
            try log.blocks(from: knew.position - 1, byteLimit: 1).first?.head == knew
        {
            return false
        }
        try SnapshotWitness.remove(stateFolder: stateFolder)
        return true
    }

    private func report(_ plan: RepairPlan, wasUnfinished: Bool, droppedSnapshot: Bool) {
        if wasUnfinished { Console.write("a repair that was cut short is finished\n") }
        if plan.isNothing, !wasUnfinished { Console.write("nothing is damaged\n") }
        for fault in plan.faults {
            Console.write(
                "\(fault.file) at offset \(fault.offset), position \(fault.position): "
                    + "\(fault.what)\n")
        }
        if droppedSnapshot {
            Console.write("the keys will be made anew from the log at the next start\n")
        }
        if plan.isNothing { return }
        let (lost, saved) = (plan.lostEventCount, plan.savedEventCount)
        for gap in plan.gaps {
            let first = gap.positions.lowerBound
            Console.write(
                "\(apply ? "lost" : "cannot be read"): positions \(first)..<"
                    + "\(gap.positions.upperBound) (\(gap.positions.count) events)\n")
        }
        Console.write(
            "\(plan.untouchedPosition) events \(apply ? "stayed" : "stay") as they are, "
                + "\(saved) \(apply ? "were" : "can be") saved, \(lost) "
                + "\(apply ? "are" : "would be") recorded as lost\n")
        guard apply else { return }
        for name in plan.replacedFiles {
            Console.write("kept: log/\(name).repaired-*\n")
        }
        if lost > 0 {
            Console.write(
                """
                next: daybook rebuild, which makes the tables from the log as it is now; until \
                then they stand still. Then start the server.

                """)
        }
    }

    private func write(_ plan: RepairPlan) {
        Console.writeJSON { json in
            json.openObject()
            json.field("damaged", !plan.isNothing)
            json.field("applied", apply)
            json.field("untouched_position", plan.untouchedPosition)
            json.field("end_position", plan.endPosition)
            json.field("saved_events", plan.savedEventCount)
            json.field("lost_events", plan.lostEventCount)
            json.key("gaps")
            json.openArray()
            for gap in plan.gaps {
                json.openObject()
                json.field("first", gap.positions.lowerBound)
                json.field("end", gap.positions.upperBound)
                json.field("file", gap.file)
                json.field("offset", gap.offset)
                json.field("what", gap.what)
                json.closeObject()
            }
            json.closeArray()
            json.key("replaced_files")
            json.openArray()
            for name in plan.replacedFiles { json.string(name) }
            json.closeArray()
            json.closeObject()
        }
    }
}
