import Avro
import DaybookLog

/// The decision to put a repair's new files in the place of the old ones.
///
/// It is a file of the log's folder, made when everything new is synced and verified. While it is
/// there the log is neither opened nor read: the renames that it lists are done, each of which can
/// be done again, and then it is removed. So a repair that is cut short at any place is either not
/// done at all, or finished by the next one.
struct RepairJournal: Equatable {
    static let name = "REPAIR"
    private static let title = "daybook repair 1"

    /// Old names and the names under which the files are kept.
    var kept: [Rename] = []
    /// Names of new files and those that they get.
    var placed: [Rename] = []

    struct Rename: Equatable {
        let from: String
        let to: String
    }

    /// - Throws: `.corrupt` if a repair was begun and must be finished first.
    static func refuse(_ names: [String]) throws(LogError) {
        guard names.contains(name) else { return }
        throw .corrupt(
            Corruption(
                file: name, offset: 0, position: 0,
                what: "a repair was cut short; `daybook log repair --apply` finishes it"))
    }

    /// Whether the folder has one. One that does not hold up was not decided on.
    static func read(_ disk: any LogDisk) throws -> RepairJournal? {
        guard try disk.names().contains(name) else { return nil }
        let window = FileWindow(try disk.open(name, .read))
        let bytes = try window.bytes(at: 0, count: 16 << 20)
        return RepairJournal(String(decoding: bytes, as: UTF8.self))
    }

    /// Decides: from here on the repair will be done.
    func write(to disk: any LogDisk) throws(DiskError) {
        let temporary = RepairJournal.name + OverlayDisk.suffix
        let file = try disk.open(temporary, .create)
        do {
            try Array(text.utf8).withUnsafeBytes { try file.writeAll($0, at: 0) }
        } catch let error as DiskError {
            throw error
        } catch {
            preconditionFailure("a disk throws DiskError only")
        }
        try file.sync()
        try disk.rename(temporary, to: RepairJournal.name)
        try disk.syncFolder()
    }

    /// Does what was decided, as far as it is not done, and removes the journal.
    func finish(_ disk: any LogDisk) throws(DiskError) {
        var names = Set(try disk.names())
        // All old names are free and durably so before a new file gets one of them: else a power
        // loss could keep the second rename and lose the first, and an old file with it.
        for step in kept where names.contains(step.from) && !names.contains(step.to) {
            try disk.rename(step.from, to: step.to)
        }
        try disk.syncFolder()
        names = Set(try disk.names())
        for step in placed where names.contains(step.from) {
            try disk.rename(step.from, to: step.to)
        }
        try disk.syncFolder()
        try disk.remove(RepairJournal.name)
        try disk.syncFolder()
    }

    private var body: String {
        ([RepairJournal.title] + kept.map { "keep \($0.from) \($0.to)" }
            + placed.map { "place \($0.from) \($0.to)" }).joined(separator: "\n") + "\n"
    }

    /// Lines of words; names have no spaces. The last line is the checksum of those before it.
    private var text: String { body + "sum \(RepairJournal.checksum(body))\n" }

    private static func checksum(_ text: String) -> UInt32 {
        Array(text.utf8).withUnsafeBytes { StoredChecksum.of($0, salt: []) }
    }

    init() {}

    private init?(_ text: String) {
        var lines = text.split(separator: "\n")
        guard lines.first ?? "" == RepairJournal.title, lines.popLast() != nil else { return nil }
        for line in lines.dropFirst() {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3 else { return nil }
            let step = Rename(from: words[1], to: words[2])
            if words[0] == "keep" { kept.append(step) } else { placed.append(step) }
        }
        guard self.text == text else { return nil }
    }
}
