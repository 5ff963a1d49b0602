import Foundation
import TestSupport

/// The three files of the HR history, and which of its lines should be accepted.
struct HRData {
    let folder: String
    let departments: [String]
    let jobs: [String]
    let hires: [String]

    /// Where the files come from: the public data set if it is at hand, and always ours of the
    /// same shape and dirt.
    enum Origin: String, CaseIterable, Sendable {
        case published, made

        static var available: [Origin] { publishedFolder == nil ? [.made] : [.published, .made] }
    }

    /// `DAYBOOK_HR_DATA`, or the place beside the project where it is usually kept.
    private static var publishedFolder: String? {
        let given = ProcessInfo.processInfo.environment["DAYBOOK_HR_DATA"]
        let folder = given ?? "\(packageRoot)/../shared/data/hr"
        return FileManager.default.fileExists(atPath: "\(folder)/jobs.csv") ? folder : nil
    }

    init(_ origin: Origin, in folder: TemporaryFolder) throws {
        if origin == .published, let published = Self.publishedFolder {
            self.folder = published
        } else {
            self.folder = folder.path("hr")
            try Self.make(hireCount: 1_999, missingJobs: 16, shortLines: 54, in: folder)
        }
        departments = try Self.lines(of: "\(self.folder)/departments.csv")
        jobs = try Self.lines(of: "\(self.folder)/jobs.csv")
        hires = try Self.lines(of: "\(self.folder)/hired_employees.csv")
    }

    /// A history of any length, with as much dirt for its length as the published one has.
    init(hireCount: Int, in folder: TemporaryFolder) throws {
        self.folder = folder.path("hr")
        try Self.make(
            hireCount: hireCount, missingJobs: hireCount / 125, shortLines: hireCount / 37,
            in: folder)
        departments = try Self.lines(of: "\(self.folder)/departments.csv")
        jobs = try Self.lines(of: "\(self.folder)/jobs.csv")
        hires = try Self.lines(of: "\(self.folder)/hired_employees.csv")
    }

    /// The path of a table's file.
    func file(_ table: String) -> String { "\(folder)/\(table).csv" }

    /// A refused line: where it stands, from 1, why, and which column is to blame.
    struct Refused: Equatable {
        let line: Int
        let text: String
        let code: String
        let column: String
    }

    /// The hires that are whole, in the file's order.
    var acceptedHires: [String] {
        hires.filter { line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            return fields.count == 5 && !fields.contains("")
        }
    }

    /// The hires that are not, in the file's order.
    var refusedHires: [Refused] {
        hires.enumerated().compactMap { index, line in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            if fields.count != 5 {
                return Refused(line: index + 1, text: line, code: "wrong_field_count", column: "")
            }
            guard let empty = fields.firstIndex(of: "") else { return nil }
            let columns = ["id", "name", "datetime", "department_id", "job_id"]
            return Refused(
                line: index + 1, text: line, code: "missing_field", column: columns[empty])
        }
    }

    /// The simple files of this history hold no quotes, so a line is a record.
    private static func lines(of path: String) throws -> [String] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        precondition(!text.contains("\""), "a quoted field needs a CSV parser")
        return text.split(separator: "\n").map(String.init)
    }

    private static func make(
        hireCount: Int, missingJobs: Int, shortLines: Int, in folder: TemporaryFolder
    ) throws {
        var generator = SeededGenerator(seed: 2_021)
        let dirty = (0..<hireCount).shuffled(using: &generator).prefix(missingJobs + shortLines)
        let short = Set(dirty.suffix(shortLines))
        let withoutJob = Set(dirty.prefix(missingJobs))
        var hires = ""
        for index in 0..<hireCount {
            let day = Int.random(in: 1...28, using: &generator)
            let second = Int.random(in: 10...59, using: &generator)
            var fields = [
                "\(index + 1)", "Zoë \(String(index, radix: 36))",
                "2021-\(10 + index % 3)-\(day < 10 ? "0" : "")\(day)T08:30:\(second)Z",
                "\(Int.random(in: 1...12, using: &generator))",
                withoutJob.contains(index) ? "" : "\(Int.random(in: 1...183, using: &generator))",
            ]
            if short.contains(index) {
                fields.remove(at: Int.random(in: 1...4, using: &generator))
            }
            hires += fields.joined(separator: ",") + "\n"
        }
        try folder.write(
            (1...12).map { "\($0),Department \($0)\n" }.joined(), to: "hr/departments.csv")
        try folder.write((1...183).map { "\($0),Job \($0)\n" }.joined(), to: "hr/jobs.csv")
        try folder.write(hires, to: "hr/hired_employees.csv")
    }
}
