import ArgumentParser
import DaybookCatalog
import DaybookLedger
import DaybookLog
import DaybookSegments
import Foundation

/// `daybook dictionary check DIR`
struct DictionaryCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what would happen if a catalog's dictionary were put in force.",
        discussion: """
            Example: daybook dictionary check shop

            Compares it with the dictionary in force, looks whether every row of the log can be \
            read as it wants, and judges all rows again by its rules. A server may be running; \
            nothing is changed, and Postgres is not asked. Without a ledger it says whether the \
            dictionary loads. Rejected CSV rows are read with the \
            columns in the order of their time: a header of another order is not in the log.
            Exit status: 0 it can be put in force, 1 it is refused, 2 it does not load.
            """)

    @Argument(help: "A catalog folder, as `daybook init` makes one.")
    var folder: String

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var settings: Settings

    func run() throws {
        guard FileManager.default.fileExists(atPath: folder + "/projections") else {
            throw CommandFailure(
                .usage, "\(folder) has no folder projections/; make one with daybook init")
        }
        let catalog = try CatalogLoader.load(folder: folder + "/projections")
        guard let log = try openLog() else {
            let report = DictionaryReport(
                inForce: nil, version: catalog.version,
                comparison: CatalogComparison(from: nil, to: catalog), past: [])
            if json { return Console.writeJSON(report.write) }
            return Console.write(
                report.text + "there is no ledger in \(settings.dataFolder) yet\n")
        }
        let end = max(log.durable.position, 1)
        let fit = try DictionaryFit(
            of: catalog, over: log, writtenRecords: log.writtenRecords,
            segmentStarts: log.segmentStarts
        ) { Console.progress("looking for shared keys: \($0 * 100 / end) %") }
        let comparison = CatalogComparison(
            from: fit.inForce, to: catalog, obstacles: fit.obstacles)
        // Rows that cannot be read cannot be judged.
        let past = fit.unreadable.isEmpty ? try judgePast(catalog, log) : nil
        Console.endProgress()
        let report = DictionaryReport(
            inForce: fit.inForce?.version, version: catalog.version, comparison: comparison,
            past: past)
        if json { Console.writeJSON(report.write) } else { Console.write(report.text) }
        if comparison.isRefused {
            throw CommandFailure(.failed, "the dictionary cannot be put in force over this ledger")
        }
    }

    /// The log; nil if there is no ledger.
    private func openLog() throws -> LogReader? {
        do {
            return try LogReader.open(folder: settings.dataFolder)
        } catch LogError.notALedger {
            return nil
        }
    }

    private func judgePast(_ catalog: Catalog, _ log: LogReader) throws -> [PastVerdicts] {
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("daybook-check-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let start = ContinuousClock.now
        let end = log.durable.position
        var judgement = try PastJudgement(by: catalog, over: log, scratchFolder: scratch)
        return try judgement.run { position in
            let seconds = max((ContinuousClock.now - start) / .seconds(1), 0.001)
            let rate = Double(position) / seconds
            Console.progress(
                "judging again: \(position) of \(end) events, \(Int(rate)) events/s, "
                    + "\(Int(Double(end - position) / max(rate, 1))) s left")
        }
    }
}

extension DictionaryFit {
    /// What is in the way, by table.
    var obstacles: [String: [String]] {
        let all =
            unreadable.map { ($0.table, $0.description) }
            + shared.map { ($0.table, $0.description) }
        return Dictionary(grouping: all, by: \.0).mapValues { $0.map(\.1) }
    }
}
