import Foundation
import TestSupport
import Testing

/// A way by which rows come in.
enum CaseWay: String, CaseIterable, Sendable {
    case json, ndjson, csv
    case ndjsonFile = "a file of NDJSON"
    case csvFile = "a file of CSV"

    /// Which lines of the case files are meant for it.
    var form: Character {
        switch self {
        case .json: "J"
        case .ndjson, .ndjsonFile: "N"
        case .csv, .csvFile: "C"
        }
    }
    var isFile: Bool { self == .ndjsonFile || self == .csvFile }
    var isCSV: Bool { form == "C" }

    /// The body that has these rows.
    func body(_ rows: [Data], header: Data?) -> Data {
        if self == .json {
            return Data("[".utf8) + Data(rows.joined(separator: Data(",\n".utf8))) + Data("]".utf8)
        }
        return Data(([header].compactMap(\.self) + rows).joined(separator: Data("\n".utf8)))
    }
}

/// What became of a batch: the codes of each row, and where it stands in the log.
private struct CaseOutcome {
    let position: Int
    let verdicts: [[String]]
    /// The kind of the problem, if nothing was taken.
    var error: String?
}

/// Sends cases to one ledger, and remembers what must be in its tables.
private final class CaseRun {
    let daybook: DaybookServer
    let way: CaseWay
    /// By table and position; nil where only that it is there is known.
    private(set) var stored: [String: [Int: String?]] = [:]
    private(set) var rowCount = 0
    private var fileCount = 0

    init(_ daybook: DaybookServer, _ way: CaseWay) {
        self.daybook = daybook
        self.way = way
    }

    /// Sends the lines of a group that are meant for this way as one batch.
    func send(_ group: CaseGroup) async throws {
        let lines = group.lines(of: way.form)
        if lines.isEmpty || (way.isFile && group.isAtomic) || (group.hasHeader && !way.isCSV) {
            return
        }
        let header = group.lines(of: "H").first?.bytes
        try #require(group.hasHeader == (header != nil), "\(lines[0].place)")
        let outcome = try await send(way.body(lines.map(\.bytes), header: header), of: group)
        #expect(
            outcome.error == nil && outcome.verdicts.count == lines.count,
            "\(lines[0].place): \(outcome)")
        guard outcome.verdicts.count == lines.count else { return }
        for (index, line) in lines.enumerated() {
            #expect(
                outcome.verdicts[index] == line.verdicts[0],
                "\(line.place), \(way.rawValue): \(line.sent.prefix(120))")
            #expect(
                line.verdicts[0].isEmpty == (line.stored?.isEmpty == false) || line.stored == "",
                "\(line.place): an accepted row says what is stored, and no other")
            if line.verdicts[0].isEmpty {
                stored[group.table, default: [:]][outcome.position + index] = line.stored ?? ""
            }
        }
        rowCount += lines.count
    }

    /// Sends a line of `bodies.txt`, which is a whole body.
    func send(body line: CaseLine, of group: CaseGroup) async throws {
        // A file has no limit of rows, and one without rows is no fault.
        if way.isFile, line.verdicts == [["malformed_batch"]] { return }
        let outcome = try await send(line.bytes, of: group)
        #expect(outcome.error == line.error, "\(line.place): \(line.sent.prefix(120))")
        #expect(
            outcome.verdicts == line.verdicts,
            "\(line.place), \(way.rawValue): \(line.sent.prefix(120))")
        for (index, codes) in outcome.verdicts.enumerated() where codes.isEmpty {
            stored[group.table, default: [:]][outcome.position + index] = .some(nil)
        }
        rowCount += outcome.verdicts.count
    }

    private func send(_ body: Data, of group: CaseGroup) async throws -> CaseOutcome {
        way.isFile ? try importFile(body, group) : try await post(body, group)
    }

    private func post(_ body: Data, _ group: CaseGroup) async throws -> CaseOutcome {
        let types: [CaseWay: String] = [.json: "application/json", .ndjson: "application/x-ndjson"]
        let csv = group.hasHeader ? "text/csv; header=present" : "text/csv"
        let answer = try await daybook.client.send(
            "POST", "/v1/\(group.table)\(group.isAtomic ? "?atomic=true" : "")",
            headers: ["content-type": types[way] ?? csv], body: body)
        struct Kind: Decodable { let type: String }
        guard let verdicts = try? answer.verdicts() else {
            let kind = try JSONDecoder().decode(Kind.self, from: answer.body).type
            return CaseOutcome(
                position: 0, verdicts: [], error: kind.split(separator: ":").last.map(String.init))
        }
        #expect(verdicts.rows == verdicts.accepted + verdicts.rejected.count)
        #expect(answer.status == (verdicts.accepted > 0 ? 200 : 400))
        #expect(answer.header("daybook-position") == "\(verdicts.position + verdicts.rows)")
        var codes = [[String]](repeating: [], count: verdicts.rows)
        for rejected in verdicts.rejected {
            codes[rejected.index] = rejected.reasons.map { CaseRun.text($0.code, $0.column) }
            #expect(rejected.position == verdicts.position + rejected.index)
            #expect(rejected.reasons.allSatisfy { !$0.message.isEmpty })
        }
        return CaseOutcome(position: verdicts.position, verdicts: codes)
    }

    private func importFile(_ body: Data, _ group: CaseGroup) throws -> CaseOutcome {
        fileCount += 1
        let path = daybook.folder.path("case\(fileCount).\(way.isCSV ? "csv" : "ndjson")")
        try body.write(to: URL(fileURLWithPath: path))
        let options = group.hasHeader ? ["--header"] : []
        let result = try daybook.run(["import", group.table, path, "--force", "--json"] + options)
        if result.status == 2 { return CaseOutcome(position: 0, verdicts: [], error: "bad-header") }
        try #require(result.status == 0, "\(result.errorText)")
        let summary = try JSONDecoder().decode(ImportSummary.self, from: result.output)
        struct Event: Decodable {
            let verdict: String
            let reasons: [Verdicts.Reason]?
        }
        let first = try #require(summary.first_position)
        let log = try daybook.run(
            ["log", "cat", "--from", "\(first)", "--to", "\(first + summary.rows)"])
        let events = try log.text.split(separator: "\n").map {
            try JSONDecoder().decode(Event.self, from: Data($0.utf8))
        }
        #expect(events.count == summary.rows)
        #expect(events.count { $0.verdict == "accepted" } == summary.accepted)
        return CaseOutcome(
            position: first,
            verdicts: events.map { ($0.reasons ?? []).map { CaseRun.text($0.code, $0.column) } })
    }

    private static func text(_ code: String, _ column: String?) -> String {
        column.map { "\(code)(\($0))" } ?? code
    }

    /// Asserts that every table has the rows of the cases, with their values, and no others.
    func expectStored() async throws {
        let tables = try daybook.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                + " AND relkind = 'r' ORDER BY 1"
        ).split(separator: "\n").map(String.init)
        #expect(tables.count == 8)
        for table in tables {
            try await daybook.waitUntilProjected(table)
            let expected = stored[table] ?? [:]
            let found = try rows(of: table)
            #expect(Set(found.keys) == Set(expected.keys), "\(table)")
            for (position, text) in expected {
                guard let text else { continue }
                #expect(found[position] == text, "\(way.rawValue), \(table), position \(position)")
            }
        }
    }

    /// A table's rows by position: `column=value` for every column that is not null.
    private func rows(of table: String) throws -> [Int: String] {
        let columns = try daybook.sql(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'public.\(table)'::regclass"
                + " AND attnum > 0 AND attname <> 'ledger_position' ORDER BY attnum"
        ).split(separator: "\n")
        let values = columns.map { column in
            "'\(column)=' || regexp_replace(\"\(column)\"::text, '^ | $', '␠', 'g')"
        }
        let text = "concat_ws(', ', \(values.joined(separator: ", ")))"
        let lines = try daybook.sql(
            "SET TIME ZONE 'UTC'; SELECT ledger_position || ' ' ||"
                + " encode(convert_to(\(text), 'UTF8'), 'hex') FROM \(table)")
        var rows: [Int: String] = [:]
        for line in lines.split(separator: "\n") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false)
            let digits = Array(parts[1].utf8)
            let bytes = stride(from: 0, to: digits.count, by: 2).compactMap {
                UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)
            }
            let position = try #require(Int(parts[0]))
            rows[position] = CaseNotation.text(String(decoding: bytes, as: UTF8.self))
        }
        return rows
    }
}

extension Integration {
    @Suite("Cases of rows") struct Cases {
        /// The dictionary of the cases, in a folder that Daybook takes.
        private func catalog(in folder: TemporaryFolder) throws -> String {
            let path = folder.path("catalog")
            let files = FileManager.default
            try files.createDirectory(atPath: path, withIntermediateDirectories: true)
            try files.copyItem(
                atPath: "\(CaseFile.folder)/projections", toPath: "\(path)/projections")
            try files.createDirectory(atPath: "\(path)/sql", withIntermediateDirectories: true)
            try files.copyItem(
                atPath: "\(packageRoot)/sql/migrations", toPath: "\(path)/sql/migrations")
            return path
        }

        @Test(
            "Every row of the case files has its codes in order, and Postgres its values",
            arguments: CaseWay.allCases)
        func rows(_ way: CaseWay) async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: catalog(in: folder)) { daybook in
                let run = CaseRun(daybook, way)
                for name in CaseFile.rows {
                    for group in try CaseFile(name).groups { try await run.send(group) }
                }
                for group in try CaseFile("bodies").groups {
                    for line in group.lines(of: way.form) {
                        try await run.send(body: line, of: group)
                    }
                }
                #expect(run.rowCount > 200, "the files are read")
                try await run.expectStored()
            }
        }
    }
}
