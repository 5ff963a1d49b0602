import Foundation
import TestSupport
import Testing

/// Avro files of other programs, made from the rows of the HR history.
private enum ForeignFiles {
    /// Writes the hires of a CSV file as an Avro file by a Python library; fields that are empty
    /// there are null, short lines lack their last ones.
    static func write(
        _ csv: String, to path: String, library: String, codec: String, times: String = "text"
    ) throws {
        let result = try runTool(pythonPath, ["-c", script, csv, path, library, codec, times])
        guard result.status == 0 else { throw DaybookFailure(description: result.errorText) }
    }

    private static let script = """
        import csv, datetime, json, sys

        source, path, library, codec, times = sys.argv[1:]
        UTC = datetime.timezone.utc
        moment = {"type": "long", "logicalType": "timestamp-" + times} \\
            if times != "text" else "string"
        schema = {"type": "record", "name": "Anything", "namespace": "of.others", "fields": [
            {"name": "job_id", "type": ["int", "null"]},
            {"name": "ledger_position", "type": "long"},
            {"name": "name", "type": ["null", "string"]},
            {"name": "datetime", "type": ["null", moment]},
            {"name": "tags", "type": {"type": "array", "items": "string"}},
            {"name": "department_id", "type": ["null", "string", "int"]},
            {"name": "id", "type": ["null", "int"]}]}

        def rows():
            with open(source, newline="") as file:
                for number, line in enumerate(csv.reader(file)):
                    fields = [f or None for f in line] + [None] * 5
                    id, name, at, department, job = fields[:5]
                    try:
                        at = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
                    except (AttributeError, ValueError):
                        at = None
                    if at and times == "text":
                        at = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + ".0"
                    number = lambda text: int(text) if text and text.isdigit() else None
                    yield {"id": number(id), "name": name, "datetime": at, "tags": ["x"],
                           "department_id": number(department), "job_id": number(job),
                           "ledger_position": 7}

        with open(path, "wb") as file:
            if library == "fastavro":
                import fastavro
                fastavro.writer(file, schema, rows(), codec=codec)
            else:
                import avro.datafile, avro.io, avro.schema
                writer = avro.datafile.DataFileWriter(
                    file, avro.io.DatumWriter(), avro.schema.parse(json.dumps(schema)), codec=codec)
                for row in rows():
                    writer.append(row)
                writer.close()
        """
}

extension Integration {
    @Suite("Avro import") struct AvroImport {
        private static let table = """
            SELECT id, name, to_char(datetime AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            department_id, job_id FROM hired_employees ORDER BY id
            """

        private func importHires(
            _ path: String, _ daybook: DaybookServer, _ options: [String] = []
        ) throws -> ImportSummary {
            try daybook.json(
                ["import", "hired_employees", path] + options, as: ImportSummary.self)
        }

        private func prepare(_ daybook: DaybookServer, hireCount: Int) throws -> HRData {
            let data = try HRData(hireCount: hireCount, in: daybook.folder)
            for table in ["departments", "jobs"] {
                _ = try daybook.json(["import", table, data.file(table)], as: ImportSummary.self)
            }
            return data
        }

        private func expectHires(of daybook: DaybookServer, toBe data: HRData) throws {
            let hires = try daybook.sql(Self.table).split(separator: "\n").map(String.init)
            let expected = data.acceptedHires
            #expect(hires.count == expected.count)
            #expect(zip(hires, expected).first { $0 != $1 } == nil)
        }

        @Test("Files of other libraries give the table that the CSV gives")
        func files() async throws {
            try await withDaybook { daybook in
                let data = try prepare(daybook, hireCount: 1_999)
                var isFirst = true
                for library in ["fastavro", "avro"] {
                    for (codec, times) in [
                        ("null", "micros"), ("deflate", "millis"), ("zstandard", "text"),
                    ] {
                        let path = daybook.folder.path("\(library)-\(codec).avro")
                        try ForeignFiles.write(
                            data.file("hired_employees"), to: path, library: library,
                            codec: codec, times: times)
                        let summary = try importHires(path, daybook)
                        #expect(summary.rows == 1_999 && !summary.already_imported)
                        let accepted = isFirst ? data.acceptedHires.count : 0
                        #expect(summary.accepted == accepted, "\(library), \(codec)")
                        #expect(try importHires(path, daybook).already_imported)
                        isFirst = false
                    }
                }
                try await daybook.waitUntilProjected("hired_employees")
                try expectHires(of: daybook, toBe: data)
                try expectRejections(of: daybook, data)
            }
        }

        /// What is kept of refused rows: their number in the file, and one JSON object.
        private func expectRejections(of daybook: DaybookServer, _ data: HRData) throws {
            let refused = try daybook.sql(
                """
                SELECT line, source, convert_from(raw, 'UTF8')::json->>'ledger_position',
                  convert_from(raw, 'UTF8')::json->'tags'
                FROM daybook.rejections WHERE source = 'avro:fastavro-null.avro'
                ORDER BY position
                """)
            let expected = data.refusedHires.map {
                "\($0.line),avro:fastavro-null.avro,7,\"[\"\"x\"\"]\""
            }
            #expect(refused.split(separator: "\n").map(String.init) == expected)
        }

        @Test("Times as text are UTC, without a server too; a suffix is not needed with --format")
        func textTimes() async throws {
            try await withDaybook(start: false) { daybook in
                let data = try prepare(daybook, hireCount: 1_000)
                let path = daybook.folder.path("hires.of-others")
                try ForeignFiles.write(
                    data.file("hired_employees"), to: path, library: "fastavro",
                    codec: "zstandard")
                let summary = try importHires(path, daybook, ["--format", "avro"])
                #expect(summary.accepted == data.acceptedHires.count)
                #expect(try importHires(path, daybook, ["--format", "avro"]).already_imported)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees")
                try expectHires(of: daybook, toBe: data)
                let batches = try StockReaders.batches(of: daybook.segments)
                #expect(batches.contains { $0.source == "avro:hires.of-others" })
            }
        }

        @Test("An import that was killed in its middle goes on to the same end")
        func killed() async throws {
            try await withDaybook(start: false) { daybook in
                let data = try prepare(daybook, hireCount: 150_000)
                let path = daybook.folder.path("hires.avro")
                try ForeignFiles.write(
                    data.file("hired_employees"), to: path, library: "fastavro", codec: "deflate",
                    times: "micros")
                let log = try #require(try daybook.segments.last)
                func byteCount() throws -> Int {
                    let attributes = try FileManager.default.attributesOfItem(atPath: log)
                    return attributes[.size] as? Int ?? 0
                }
                let before = try byteCount()
                let import_ = try BackgroundProcess(
                    daybookBinary, ["import", "hired_employees", path],
                    environment: daybook.environment, folder: daybook.folder.path)
                try await wait("the log to grow") { try byteCount() > before + 100_000 }
                import_.signal(SIGKILL)
                #expect(import_.waitForExit(timeoutSeconds: 10) == 128 + SIGKILL)
                let summary = try importHires(path, daybook)
                #expect(summary.rows == 150_000 && !summary.already_imported)
                #expect(summary.accepted == data.acceptedHires.count)
                try await daybook.start()
                try await daybook.waitUntilProjected("hired_employees", timeoutSeconds: 120)
                try expectHires(of: daybook, toBe: data)
            }
        }

        @Test(
            "A damaged file exits 1 and names the byte, with and without a server",
            arguments: [true, false])
        func damaged(hasServer: Bool) async throws {
            try await withDaybook(start: hasServer) { daybook in
                let data = try prepare(daybook, hireCount: 20_000)
                let path = daybook.folder.path("hires.avro")
                try ForeignFiles.write(
                    data.file("hired_employees"), to: path, library: "fastavro",
                    codec: "null", times: "micros")
                let whole = try Data(contentsOf: URL(fileURLWithPath: path))
                try whole.dropLast(100).write(to: URL(fileURLWithPath: path))
                for _ in 0..<2 {
                    let result = try daybook.run(["import", "hired_employees", path])
                    #expect(result.status == 1, "\(result.errorText)")
                    #expect(result.errorText.contains("damaged at byte "), "\(result.errorText)")
                }
                // The same rows in a whole file: those of the first batches are there already.
                try whole.write(to: URL(fileURLWithPath: path))
                let summary = try importHires(path, daybook)
                #expect(!summary.already_imported && summary.rows == 20_000)
                #expect(summary.accepted > 0 && summary.accepted < data.acceptedHires.count)
                if !hasServer { try await daybook.start() }
                try await daybook.waitUntilProjected("hired_employees")
                try expectHires(of: daybook, toBe: data)
            }
        }

        @Test("What is no Avro file exits 2, and --header beside one", arguments: [true, false])
        func unusable(hasServer: Bool) async throws {
            try await withDaybook(start: hasServer) { daybook in
                let data = try prepare(daybook, hireCount: 100)
                let hires = data.file("hired_employees")
                let result = try daybook.run(
                    ["import", "hired_employees", hires, "--format", "avro"])
                #expect(result.status == 2)
                #expect(result.errorText.contains("no Avro"), "\(result.errorText)")
                let path = daybook.folder.path("hires.avro")
                try ForeignFiles.write(hires, to: path, library: "avro", codec: "null")
                let other = try daybook.run(["import", "departments", path, "--header"])
                #expect(other.status == 2 && other.errorText.contains("--header"))
                let wrong = try daybook.run(["import", "hired_employees", path + "x"])
                #expect(wrong.status == 2)
            }
        }
    }
}
