import Avro
import DaybookLog

/// Repairs a damaged log: explicitly, while no server has it, and keeping what it removes.
///
/// What can be read is kept, byte for byte and at its positions; what cannot is recorded for ever,
/// by `gap` events at the very positions of what is lost. So positions stay dense, and every
/// reader goes on. The tree is another from the first gap on: proofs and databases that know the
/// old one say so. FORMAT.md, "Repair".
public final class LogRepair {
    /// What a repair asks of its caller.
    public struct Options: Sendable {
        /// The wall clock.
        public var clock: @Sendable () -> Microseconds
        /// Makes a batch's id, a UUIDv7 of the time.
        public var batchID: @Sendable (Microseconds) -> String
        /// The text of a gap's event, a JSON object; the second is the name that the damaged file
        /// is kept under.
        public var text: @Sendable (RepairPlan.Gap, String) -> [UInt8]
        /// What else knew how far the log had been durable, besides what is in its folder.
        public var evidence: [Evidence] = []
        /// Rows in one batch of a gap; each takes some eight bytes.
        var gapRowCountMax: Int64 = 1 << 20

        /// A repair that knows nothing but the log's folder.
        public init(
            clock: @escaping @Sendable () -> Microseconds,
            batchID: @escaping @Sendable (Microseconds) -> String,
            text: @escaping @Sendable (RepairPlan.Gap, String) -> [UInt8]
        ) {
            self.clock = clock
            self.batchID = batchID
            self.text = text
        }
    }

    private let disk: any LogDisk
    /// Held as long as the repair is.
    private let lock: DirectoryLock?
    private let options: Options

    /// The repair of a data directory whose lock the caller has taken.
    public init(folder: String, lock: DirectoryLock, options: Options) {
        self.lock = lock
        disk = SystemDisk(existingFolder: folder + "/log")
        self.options = options
    }

    init(disk: any LogDisk, options: Options) {
        lock = nil
        self.disk = disk
        self.options = options
    }

    /// What a repair would do; nothing is changed. Reads every byte of the log.
    ///
    /// - Throws: `.notALedger`; `.corrupt` if there is nothing to go on with, or two histories.
    public func plan() throws(LogError) -> RepairPlan {
        try checked { try Salvage(disk: disk, evidence: options.evidence).plan }
    }

    /// Whether a repair was cut short after it was decided.
    public var isUnfinished: Bool {
        (try? RepairJournal.read(disk)) ?? nil != nil
    }

    /// Finishes a repair that was cut short, if there is one, and repairs what is damaged.
    /// `progress` is told the events written again and all of them.
    ///
    /// The new log is complete, synced and verified before the first old file gets another name.
    ///
    /// - Returns: what was done.
    public func apply(
        progress: (Int64, Int64) -> Void = { _, _ in }
    ) throws(LogError) -> RepairPlan {
        try checked {
            if let journal = try RepairJournal.read(disk) { try journal.finish(disk) }
            try clear()
            let salvage = try Salvage(disk: disk, evidence: options.evidence)
            if salvage.plan.isNothing { return salvage.plan }
            let overlay = OverlayDisk(
                base: disk, visible: Set(salvage.sound.map(\.name)))
            let journal = try journal(salvage)
            try write(salvage, to: overlay, journal, progress)
            try verify(overlay, salvage)
            var decided = journal
            decided.placed = try disk.names().filter { $0.hasSuffix(OverlayDisk.suffix) }.sorted()
                .map { name in
                    RepairJournal.Rename(
                        from: name, to: String(name.dropLast(OverlayDisk.suffix.utf8.count)))
                }
            try decided.write(to: disk)
            try decided.finish(disk)
            return salvage.plan
        }
    }

    /// Removes what a repair left that was not decided on.
    private func clear() throws {
        for name in try disk.names() where name.hasSuffix(OverlayDisk.suffix) {
            try disk.remove(name)
        }
        if try disk.names().contains(RepairJournal.name) { try disk.remove(RepairJournal.name) }
        try disk.syncFolder()
    }

    /// Under which names the old files are kept: of this repair's own number.
    private func journal(_ salvage: Salvage) throws -> RepairJournal {
        let names = try disk.names()
        var number = 1
        while names.contains(where: { $0.hasSuffix(".repaired-\(number)") }) { number += 1 }
        var journal = RepairJournal()
        journal.kept = salvage.plan.replacedFiles.map { name in
            RepairJournal.Rename(from: name, to: "\(name).repaired-\(number)")
        }
        return journal
    }

    private func write(
        _ salvage: Salvage, to overlay: OverlayDisk, _ journal: RepairJournal,
        _ progress: (Int64, Int64) -> Void
    ) throws {
        guard let ledger = salvage.ledger,
            let schema = salvage.last?.segment.schema ?? salvage.runs.first?.segment.schema
        else {
            throw LogError.corrupt(
                Corruption(
                    file: salvage.plan.faults.first?.file ?? "log", offset: 0, position: 0,
                    what: "nothing of it can be read: restore it from a backup"))
        }
        if let last = salvage.last {
            let source = try disk.open(last.segment.name, .read)
            let copy = try overlay.open(last.segment.name, .create)
            try FileCopy.run(from: source, range: 0..<last.end, to: copy, at: 0)
            try copy.sync()
        }
        var engineOptions = SegmentLogOptions(schema: schema, clock: options.clock)
        engineOptions.ledger = ledger
        engineOptions.recentByteCount = 0
        let log = try SegmentLog(disk: overlay, options: engineOptions)
        precondition(
            log.durable.position == salvage.plan.untouchedPosition, "what stays is what is sound")
        var writer = RepairWriter(log: log, disk: disk, options: options, journal: journal)
        try writer.write(salvage, progress)
        try log.close()
    }

    /// A repair that is not sound in every byte is not done.
    private func verify(_ overlay: OverlayDisk, _ salvage: Salvage) throws {
        let found = try LogVerifier.run(disk: overlay)
        guard found.isSound, found.head?.position == salvage.plan.endPosition else {
            let problem = found.problems.first
            throw LogError.corrupt(
                Corruption(
                    file: problem?.segment ?? "log", offset: problem?.offset ?? 0,
                    position: problem?.position ?? 0,
                    what: "the repaired log does not verify, so nothing was changed: "
                        + (problem?.what ?? "it ends at another position")))
        }
    }

    private func checked<T>(_ body: () throws -> T) throws(LogError) -> T {
        do {
            return try body()
        } catch let error as DiskError {
            if error.call == "opendir" { throw .notALedger(error.file) }
            throw LogError(error)
        } catch SegmentFault.disk(let error) {
            throw LogError(error)
        } catch let error as LogError {
            throw error
        } catch {
            preconditionFailure("a repair throws disk and log errors only: \(error)")
        }
    }
}
