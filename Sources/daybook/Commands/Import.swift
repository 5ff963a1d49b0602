import ArgumentParser
import Crypto
import DaybookCatalog
import DaybookIntake
import DaybookServer
import Foundation

/// `daybook import TABLE FILE…`
struct Import: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take files into the ledger: every row accepted or rejected, and kept.",
        discussion: """
            Example: daybook import jobs jobs.csv --header

            The same file again is not imported again, and an import that was cut short goes on \
            where it ended. Rejected rows are no failure: they are in the log with their reasons.
            """)

    @Argument(help: "The table of the dictionary.")
    var table: String

    @Argument(help: "The files.", completion: .file())
    var files: [String]

    @Option(help: "csv or ndjson. By default the file's name says it: .ndjson, .jsonl, else csv.")
    var format: String?

    @Flag(help: "The first line of a CSV file names the columns.")
    var header = false

    @Flag(help: "Import a file again that was imported before.")
    var force = false

    @OptionGroup var settings: Settings

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard format == nil || format == "csv" || format == "ndjson" else {
            throw ValidationError("--format is csv or ndjson.")
        }
    }

    func run() async throws {
        let catalog = try CatalogLoader.load(folder: settings.catalogFolder() + "/projections")
        guard catalog.table(named: table) != nil else {
            let names = catalog.tables.map(\.name).joined(separator: ", ")
            throw CommandFailure(.usage, "the dictionary has no table \(table); it has \(names)")
        }
        for file in files where !FileManager.default.isReadableFile(atPath: file) {
            throw CommandFailure(.usage, "\(file) cannot be read; see that it exists and is yours")
        }
        let target = try await ImportTarget.find(settings)
        var summaries: [ImportSummary] = []
        do {
            for file in files {
                let summary = try await importFile(file, into: target)
                summaries.append(summary)
                if !json { report(summary) }
            }
        } catch {
            Console.endProgress()
            await target.abandon()
            throw error
        }
        try await target.finish()
        if json { Console.writeJSON { write(summaries, to: &$0) } }
    }

    private func importFile(
        _ path: String, into target: ImportTarget
    ) async throws -> ImportSummary {
        let name = URL(fileURLWithPath: path).lastPathComponent
        let (digest, byteCount) = try digest(of: path)
        let request = ImportRequest(
            table: table, fileName: name, format: format(of: name), hasHeader: header,
            digest: digest, isForced: force, principal: "local:" + NSUserName())
        let start = ContinuousClock.now
        let body = FileChunks(path: path) { count in
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            let percent = byteCount == 0 ? 100 : count * 100 / byteCount
            let speed = Double(count) / 1_000_000 / max(seconds, 0.001)
            Console.progress("\(name): \(percent) %, \(Int(speed)) MB/s")
        }
        let summary = try await target.importFile(request, byteCount: byteCount, body: body)
        Console.endProgress()
        return summary
    }

    private func format(of name: String) -> BatchFormat {
        if let format { return format == "csv" ? .csv : .ndjson }
        return name.hasSuffix(".ndjson") || name.hasSuffix(".jsonl") ? .ndjson : .csv
    }

    private func digest(of path: String) throws -> (digest: [UInt8], byteCount: Int64) {
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            var hash = SHA256()
            var byteCount: Int64 = 0
            while let data = try file.read(upToCount: 1 << 20), !data.isEmpty {
                hash.update(data: data)
                byteCount += Int64(data.count)
            }
            return (Array(hash.finalize()), byteCount)
        } catch {
            throw CommandFailure(.usage, "\(path): \(error.localizedDescription)")
        }
    }

    private func report(_ summary: ImportSummary) {
        guard !summary.isAlreadyImported else {
            Console.write("\(summary.file): imported before; nothing done (--force imports it)\n")
            return
        }
        let place = summary.firstPosition.map { ", from position \($0)" } ?? ""
        Console.write(
            "\(summary.file): \(summary.rows) rows for \(summary.table), "
                + "\(summary.accepted) accepted, \(summary.rejected) rejected\(place)\n")
    }

    /// One file: its summary. Several: the totals, and each in `files`.
    private func write(_ summaries: [ImportSummary], to json: inout JSONWriter) {
        json.openObject()
        if summaries.count == 1 {
            summaries[0].writeMembers(to: &json)
        } else {
            total(summaries).writeMembers(to: &json)
            json.key("files")
            json.openArray()
            for summary in summaries {
                json.openObject()
                summary.writeMembers(to: &json)
                json.closeObject()
            }
            json.closeArray()
        }
        json.closeObject()
    }

    private func total(_ summaries: [ImportSummary]) -> ImportSummary {
        ImportSummary(
            file: summaries.map(\.file).joined(separator: " "), table: table,
            rows: summaries.reduce(0) { $0 + $1.rows },
            accepted: summaries.reduce(0) { $0 + $1.accepted },
            rejected: summaries.reduce(0) { $0 + $1.rejected },
            blank: summaries.reduce(0) { $0 + $1.blank },
            firstPosition: summaries.compactMap(\.firstPosition).min(),
            lastPosition: summaries.compactMap(\.lastPosition).max(),
            isAlreadyImported: summaries.allSatisfy(\.isAlreadyImported))
    }
}
