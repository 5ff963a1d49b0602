import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Import limits") struct ImportLimits {
        /// `daybook import --json` with what a limit adds.
        struct Report: Decodable {
            let rows: Int
            let accepted: Int
            let rejected: Int
            let stopped: Bool
            let stopped_line: Int?
            let already_imported: Bool
            let first_position: Int?
            let checked: Counts?
            let rejections_by_code: [Code]
            let files: [Report]?

            struct Counts: Decodable, Equatable {
                let rows: Int
                let accepted: Int
                let rejected: Int
            }
            struct Code: Decodable, Equatable {
                let code: String
                let count: Int
                let first_lines: [Int]
            }
        }

        /// Jobs of 12,000 rows: lines 3, 6 and 8000 are wrong.
        private func rows(_ format: String) -> String {
            (1...12_000).map { id in
                switch (format, id) {
                case ("csv", 3): ",no id\n"
                case ("csv", 6), ("csv", 8_000): "\(id - 1),again\n"
                case ("csv", _): "\(id),job \(id)\n"
                case (_, 3): #"{"job":"no id"}"# + "\n"
                case (_, 6), (_, 8_000): #"{"id":\#(id - 1),"job":"again"}"# + "\n"
                default: #"{"id":\#(id),"job":"job \#(id)"}"# + "\n"
                }
            }.joined()
        }

        /// Writes the rows of an NDJSON file as an Avro file with fields that may be null.
        private static let toAvro = """
            import fastavro, json, sys
            schema = {"type": "record", "name": "Row", "fields": [
                {"name": "id", "type": ["null", "long"], "default": None},
                {"name": "job", "type": "string"}]}
            rows = [json.loads(line) for line in open(sys.argv[1])]
            with open(sys.argv[2], "wb") as file:
                fastavro.writer(file, schema, rows, codec="deflate")
            """

        private func write(_ format: String, _ daybook: DaybookServer) throws -> String {
            let path = daybook.folder.path("jobs.\(format)")
            if format == "avro" {
                let source = daybook.folder.path("jobs.ndjson")
                try rows("ndjson").write(toFile: source, atomically: true, encoding: .utf8)
                let result = try runTool(pythonPath, ["-c", Self.toAvro, source, path])
                #expect(result.status == 0, "\(result.errorText)")
            } else {
                try rows(format).write(toFile: path, atomically: true, encoding: .utf8)
            }
            return path
        }

        private func report(
            _ arguments: [String], exits status: Int32, _ daybook: DaybookServer
        ) throws -> Report {
            let result = try daybook.run(["import", "jobs", "--json"] + arguments)
            #expect(result.status == status, "\(result.errorText)")
            let report = try JSONDecoder().decode(Report.self, from: result.output)
            #expect(report.rows == report.accepted + report.rejected)
            return report
        }

        @Test(
            "Over its limit nothing of a file is kept, or what comes before with --keep-good",
            arguments: ["csv", "ndjson", "avro"], [true, false])
        func limits(format: String, hasServer: Bool) async throws {
            try await withDaybook(start: hasServer) { daybook in
                let file = try write(format, daybook)
                let first = daybook.folder.path("departments.csv")
                try "1,one\n".write(toFile: first, atomically: true, encoding: .utf8)
                _ = try daybook.json(["import", "departments", first], as: Report.self)
                let before = try daybook.status().durable_position
                let codes = [
                    Report.Code(code: "duplicate_key", count: 2, first_lines: [6, 8_000]),
                    Report.Code(code: "missing_field", count: 1, first_lines: [3]),
                ]

                let refused = try report([file, "--max-rejects", "2"], exits: 1, daybook)
                #expect(refused.stopped && refused.stopped_line == 8_000)
                #expect(refused.rows == 0 && refused.first_position == nil)
                #expect(refused.checked == .init(rows: 12_000, accepted: 11_997, rejected: 3))
                #expect(refused.rejections_by_code == codes)
                let share = try report([file, "--max-rejects", "0.02%"], exits: 1, daybook)
                #expect(share.stopped && share.stopped_line == nil && share.rows == 0)
                #expect(try daybook.status().durable_position == before)

                let kept = try report(
                    [file, "--max-rejects", "1", "--keep-good"], exits: 1, daybook)
                #expect(kept.stopped && kept.stopped_line == 6 && kept.rows == 5_000)
                #expect(try daybook.status().durable_position == before + 5_000)

                let text = try daybook.run(["import", "jobs", file, "--max-rejects", "2"])
                #expect(text.status == 1)
                #expect(text.text.contains("2 duplicate_key: lines 6, 8000"), "\(text.text)")
                #expect(text.errorText.contains("5000 rows that an earlier run left in the log"))

                let done = try report([file, "--max-rejects", "0.025%"], exits: 0, daybook)
                #expect(!done.stopped && done.rows == 12_000 && done.checked == nil)
                #expect(done.rejections_by_code == codes)
                let again = try report([file, "--max-rejects", "0"], exits: 0, daybook)
                #expect(again.already_imported && again.rejections_by_code == codes)
            }
        }

        @Test("Of several files the first over its limit is the last that is read")
        func severalFiles() async throws {
            try await withDaybook(start: false) { daybook in
                let texts = ["1,one\nx,bad\n", "2,two\ny,bad\nz,bad\n", "3,three\n"]
                let files = try texts.indices.map { index in
                    let path = daybook.folder.path("\(index).csv")
                    try texts[index].write(toFile: path, atomically: true, encoding: .utf8)
                    return path
                }
                let all = try report(files + ["--max-rejects", "1"], exits: 1, daybook)
                #expect(all.rows == 2 && all.rejected == 1 && all.stopped)
                #expect(all.stopped_line == 3 && all.files?.map(\.rows) == [2, 0])
                let codes = [Report.Code(code: "wrong_type", count: 3, first_lines: [])]
                #expect(all.rejections_by_code == codes)
                let rest = try report(files, exits: 0, daybook)
                #expect(rest.rows == 6 && rest.rejected == 3)
            }
        }

        @Test(
            "A limit that is none exits 2, and says how one looks",
            arguments: [
                ["--max-rejects", "-1"], ["--max-rejects", "2.5"], ["--max-rejects", "ten"],
                ["--max-rejects", "101%"], ["--keep-good"],
            ])
        func wrongLimits(options: [String]) async throws {
            try await withDaybook(start: false) { daybook in
                let file = daybook.folder.path("jobs.csv")
                try "1,one\n".write(toFile: file, atomically: true, encoding: .utf8)
                let result = try daybook.run(["import", "jobs", file] + options)
                #expect(result.status == 2 && result.errorText.contains("2.5%"))
            }
        }
    }
}
