import ArgumentParser
import Foundation

/// `daybook sample-data DIR`
struct SampleDataCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sample-data",
        abstract: "Make departments.csv, jobs.csv and hired_employees.csv, dirt included.",
        discussion: "Example: daybook sample-data sample --rows 10000 --seed 7 --dirt 0.1")

    @Argument(help: "The folder to write to; it is made if missing.")
    var folder: String

    @Option(help: "How many hires.")
    var rows = 2000

    @Option(help: "The same seed makes the same files.")
    var seed: UInt64 = 1

    @Option(help: "The part of hires that have a column missing or an empty job, 0 to 1.")
    var dirt = 0.035

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard rows >= 0 else { throw ValidationError("--rows cannot be negative.") }
        guard (0...1).contains(dirt) else { throw ValidationError("--dirt is from 0 to 1.") }
    }

    func run() throws {
        let sample = SampleData(rowCount: rows, seed: seed, dirt: dirt)
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try sample.write(to: folder)
        } catch {
            throw CommandFailure(.failed, "\(folder): \(error.localizedDescription)")
        }
        if json {
            Console.writeJSON {
                $0.openObject()
                $0.field("folder", folder)
                $0.field("departments", SampleData.departments.count)
                $0.field("jobs", SampleData.jobs.count)
                $0.field("hired_employees", rows)
                $0.closeObject()
            }
        } else {
            Console.write(
                "\(folder): \(SampleData.departments.count) departments, "
                    + "\(SampleData.jobs.count) jobs, \(rows) hires\n")
        }
    }
}
