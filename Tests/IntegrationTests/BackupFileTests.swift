import Foundation
import TestSupport
import Testing

extension Integration {
    @Suite("Backup files") struct BackupFiles {
        /// Every type, each with nothing in it too, under a key of two columns.
        private static let ledgers = """
            table: entries
            key: [region, number]
            columns:
              - {name: region,   type: string}
              - {name: number,   type: integer}
              - {name: quantity, type: integer, optional: true}
              - {name: weight,   type: number, optional: true}
              - {name: amount,   type: "decimal(20,4)", optional: true}
              - {name: paid,     type: boolean, optional: true}
              - {name: note,     type: string, optional: true}
              - {name: day,      type: date, optional: true}
              - {name: moment,   type: timestamp, optional: true}
              - {name: mark,     type: uuid, optional: true}
            """

        private static let rows = #"""
            [{"region":"b","number":1},
             {"region":"ä","number":-9223372036854775808,"quantity":9223372036854775807,
              "weight":-1.7976931348623157e308,"amount":-9999999999999999.9999,"paid":false,
              "note":"","day":"0001-01-01","moment":"1969-12-31T23:59:59.999999Z",
              "mark":"00000000-0000-0000-0000-000000000000"},
             {"region":"B","number":10,"quantity":-1,"weight":5e-324,"amount":0.0001,"paid":true,
              "note":"two\nlines, \"quoted\" \\N \u0001 😀","day":"9999-12-31",
              "moment":"2024-02-29T12:00:00.000001+05:30",
              "mark":"ffffffff-ffff-4fff-bfff-ffffffffffff"},
             {"region":"B","number":9,"quantity":0,"weight":0.1,"amount":0,"note":"ZÜRICH"},
             {"region":"😀","number":0},{"region":"\uffff","number":0},{"region":" ","number":0}]
            """#

        private func catalog(in folder: TemporaryFolder) throws -> String {
            let path = try OtherTrade.catalog(in: folder)
            try folder.write(Self.ledgers, to: "catalog/projections/entries.yaml")
            return path
        }

        private func fill(_ daybook: DaybookServer) async throws {
            let entries = try await daybook.client.append(Self.rows, to: "entries")
            #expect(try entries.verdicts().rejected.isEmpty, "\(entries.text)")
            let readings = (0..<500).map { index in
                #"{"sensor":"t\#(index % 7)","at":"2024-01-01T00:00:00Z","value":\#(index)e-2}"#
            }
            let answer = try await daybook.client.append(
                "[\(readings.joined(separator: ","))]", to: "readings")
            #expect(try answer.verdicts().accepted == 500)
            try await daybook.waitUntilProjected("entries", "readings", "payments")
        }

        @Test(
            "Stock readers find in every file what psql has, in the order of the key",
            arguments: ["null", "deflate", "zstandard"])
        func stockReaders(codec: String) async throws {
            let folder = try TemporaryFolder()
            try await withDaybook(catalog: catalog(in: folder)) { daybook in
                try await fill(daybook)
                let made = try daybook.backUp("--codec", codec)
                #expect(made.tables.map(\.table) == ["entries", "payments", "readings"])
                #expect(made.tables.map(\.rows) == [7, 0, 500] && made.rows == 507)
                let order = [
                    "entries": "region COLLATE \"C\", number", "readings": "ledger_position",
                    "payments": "1",
                ]
                for entry in made.tables {
                    let path = "\(made.folder)/\(entry.file)"
                    let size = try FileManager.default.attributesOfItem(atPath: path)[.size]
                    #expect(size as? Int == entry.bytes)
                    let rows = try daybook.folder.write(
                        daybook.sql(
                            "SET timezone = 'UTC'; COPY (SELECT * FROM \(entry.table) ORDER BY"
                                + " \(order[entry.table] ?? "1"))"
                                + " TO STDOUT (FORMAT csv, HEADER, NULL '\\N')"),
                        to: "\(entry.table).csv")
                    for library in ["fastavro", "avro"] {
                        let script =
                            "\(packageRoot)/Tests/IntegrationTests/scripts/avro_rows.py"
                        let read = try runTool(pythonPath, [script, library, path, rows])
                        #expect(read.status == 0, "\(entry.table), \(codec): \(read.errorText)")
                        #expect(read.text == "\(entry.rows)\n")
                    }
                    // Avro's C library knows no zstandard.
                    if codec == "zstandard" { continue }
                    let cat = try runTool("avrocat", [path])
                    #expect(cat.status == 0, "\(cat.errorText)")
                    #expect(cat.text.split(separator: "\n").count == entry.rows)
                }
                let verified = try daybook.run(["backup", "verify", made.folder])
                #expect(verified.status == 0, "\(verified.text)")
                #expect(try daybook.run(["backup", "drill", made.folder]).status == 0)
            }
        }

        @Test("openssl verifies the manifest by the ledger's key, and no changed manifest")
        func signature() async throws {
            try await withDaybook { daybook in
                try await daybook.importHistory()
                let made = try daybook.backUp()
                let key = daybook.folder.path("ledger.pub")
                let pkey = ["pkey", "-in", "\(daybook.data)/ledger.key", "-pubout", "-out", key]
                #expect(try runTool("openssl", pkey).status == 0)
                func check(_ manifest: String) throws -> Int32 {
                    try runTool(
                        "openssl",
                        [
                            "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in",
                            manifest, "-sigfile", "\(made.folder)/manifest.sig",
                        ]
                    ).status
                }
                let manifest = "\(made.folder)/manifest.json"
                #expect(try check(manifest) == 0)
                let text = try String(contentsOfFile: manifest, encoding: .utf8)
                let changed = text.replacing(
                    "\"position\" : \(made.position)", with: "\"position\" : 1")
                #expect(changed != text)
                #expect(try check(daybook.folder.write(changed, to: "changed.json")) != 0)
                try Data(changed.utf8).write(to: URL(fileURLWithPath: manifest))
                let found = try daybook.run(["backup", "verify", made.folder])
                #expect(found.status == 1, "\(found.text)")
                #expect(found.text.contains("manifest.sig: the manifest is not what was signed"))
            }
        }

        @Test("Killed with -9, a backup leaves nothing that is seen, and the next one is whole")
        func killed() async throws {
            try await withDaybook { daybook in
                let data = try HRData(hireCount: 120_000, in: daybook.folder)
                for table in DaybookServer.tables {
                    _ = try daybook.json(
                        ["import", table, data.file(table)], as: ImportSummary.self)
                }
                try await daybook.waitUntilProjected("hired_employees", "hires_by_quarter")
                let vault = daybook.folder.path("vault")
                let files = FileManager.default
                var cutShort = 0
                for _ in 0..<8 {
                    let before = dates(of: "hired_employees.avro", in: vault)
                    let create = try BackgroundProcess(
                        daybookBinary, ["backup", "create", "--out", vault],
                        environment: daybook.environment, folder: daybook.folder.path)
                    // The table that takes longest is under way.
                    try await wait("a file of it") {
                        !dates(of: "hired_employees.avro", in: vault).subtracting(before).isEmpty
                    }
                    create.signal(SIGKILL)
                    let status = create.waitForExit(timeoutSeconds: 10)
                    if status == 128 + SIGKILL { cutShort += 1 }
                    let left = try files.contentsOfDirectory(atPath: vault)
                    let whole = left.filter { !$0.hasSuffix(".tmp") }
                    let halfCount = left.count - whole.count
                    #expect(halfCount <= 1, "what was left before is gone")
                    #expect(try names(in: daybook) == whole.sorted())
                    for name in whole {
                        #expect(files.fileExists(atPath: "\(vault)/\(name)/manifest.sig"))
                        try files.removeItem(atPath: "\(vault)/\(name)")
                    }
                }
                #expect(cutShort > 0)
                let made = try daybook.backUp()
                #expect(try names(in: daybook) == [made.backup])
                #expect(try files.contentsOfDirectory(atPath: vault) == [made.backup])
                #expect(try daybook.run(["backup", "verify", made.folder]).status == 0)
            }
        }

        /// When the files of a name were last written to, wherever they are in a folder.
        private func dates(of name: String, in folder: String) -> Set<Date> {
            let files = FileManager.default
            let all = files.enumerator(atPath: folder)?.allObjects as? [String] ?? []
            let facts = all.filter { $0.hasSuffix("/\(name)") }.compactMap { path in
                try? files.attributesOfItem(atPath: "\(folder)/\(path)")
            }
            return Set(facts.compactMap { $0[.modificationDate] as? Date })
        }

        private func names(in daybook: DaybookServer) throws -> [String] {
            struct List: Decodable {
                struct Entry: Decodable { let backup: String }
                let backups: [Entry]
            }
            return try daybook.json(
                ["backup", "list", "--out", daybook.folder.path("vault")], as: List.self
            ).backups.map(\.backup).sorted()
        }
    }
}
