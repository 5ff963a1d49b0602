import DaybookCatalog
import Foundation
import TestSupport
import Testing

@Suite("The catalog")
struct CatalogTests {
    @Test("The shipped dictionary has three tables and an aggregate, with the ledger's rules")
    func shipped() throws {
        let catalog = try Fixtures.shipped()
        #expect(catalog.tables.map(\.name) == ["departments", "hired_employees", "jobs"])
        #expect(catalog.tables.map(\.index) == [0, 1, 2])
        #expect(
            catalog.constraints.map(\.name) == ["departments/id", "hired_employees/id", "jobs/id"])
        #expect(catalog.constraints.map(\.index) == [0, 1, 2])
        #expect(catalog.constraints.allSatisfy { $0.isInteger })

        let hires = try #require(catalog.table(named: "hired_employees"))
        #expect(
            hires.columns.map(\.name) == ["id", "name", "datetime", "department_id", "job_id"])
        #expect(
            hires.columns.map(\.type) == [.integer, .string, .timestamp, .integer, .integer])
        #expect(hires.columns.allSatisfy { !$0.isOptional && $0.defaultValue == nil })
        #expect(hires.columns[1].maxLength == 255)
        #expect(hires.columns[1].pattern?.text == #"\S+(\s+\S+)+"#)
        #expect(
            hires.slots.map(\.role) == [
                .unique, .reference(rejectMissing: true), .reference(rejectMissing: true),
            ])
        #expect(hires.slots.map(\.constraint) == [1, 0, 2])
        #expect(hires.slots.map(\.columns) == [[0], [3], [4]])
        #expect(hires.slots.allSatisfy { $0.isInteger })

        let aggregate = try #require(catalog.aggregate(named: "hires_by_quarter"))
        #expect(aggregate.table == "hired_employees")
        #expect(
            aggregate.groups.map(\.name) == ["year", "quarter", "department_id", "job_id"])
        #expect(aggregate.groups.map(\.function) == [.year, .quarter, nil, nil])
        #expect(
            aggregate.groups.map(\.column) == ["datetime", "datetime", "department_id", "job_id"])
        #expect(aggregate.measures.map(\.function) == [.count])
        #expect(aggregate.timeZone == "UTC")
    }

    @Test("Values are read by the column's type, not by what YAML takes them for")
    func values() throws {
        let payments = try #require(Fixtures.otherTrade().table(named: "payments"))
        func column(_ name: String) throws -> Column {
            try #require(payments.columns.first { $0.name == name })
        }
        #expect(try column("country").oneOf == [.string("NO"), .string("1.0"), .string("yes")])
        #expect(try column("country").defaultValue == .string("NO"))
        #expect(try column("amount").type == .decimal(precision: 12, scale: 2))
        #expect(try column("amount").minimum == .decimal(unscaled: 1))
        #expect(try column("amount").maximum == .decimal(unscaled: 999_999_999_999))
        #expect(try column("fee").defaultValue == .decimal(unscaled: -50))
        #expect(try column("due").defaultValue == .date(days: 19_782))
        #expect(try column("rate").defaultValue == .number(1e-7))
        #expect(try column("urgent").defaultValue == .boolean(false))
        #expect(try column("batch").aliases == ["run", "batch no"])
        #expect(try column("booked").isOptional)
        #expect(payments.unknownFields == .ignore && payments.rejectedRaw == .digest)
        #expect(payments.checks.map(\.comparison) == [.greaterOrEqual, .lessOrEqual])
        #expect(payments.checks.map(\.left) == [8, 5])
        #expect(payments.checks.map(\.right) == [7, 4])
        let reversals = try #require(Fixtures.otherTrade().table(named: "reversals"))
        #expect(
            reversals.columns[3].defaultValue == .timestamp(microseconds: 1_636_253_322_500_000))
    }

    @Test("Keys come first, then unique sets, then references, each with its constraint")
    func slots() throws {
        let catalog = try Fixtures.otherTrade()
        #expect(
            catalog.constraints.map(\.name) == [
                "accounts/iban", "accounts/ref", "accounts/holder,opened", "payments/batch,line",
                "reversals/batch,line",
            ])
        #expect(!catalog.constraints.contains { $0.isInteger })
        let payments = try #require(catalog.table(named: "payments"))
        #expect(
            payments.slots.map(\.role) == [
                .unique, .reference(rejectMissing: true), .reference(rejectMissing: false),
            ])
        #expect(payments.slots.map(\.constraint) == [3, 0, 0])
        #expect(payments.slots.map(\.columns) == [[0, 1], [2], [3]])
        let reversals = try #require(catalog.table(named: "reversals"))
        #expect(reversals.slots.map(\.constraint) == [4, 3])
        #expect(reversals.slots.map(\.columns) == [[0, 1], [0, 1]])
        #expect(try #require(catalog.table(named: "readings")).slots.isEmpty)
    }

    @Test("An aggregate has its functions, its condition and its zone")
    func aggregate() throws {
        let hourly = try #require(Fixtures.otherTrade().aggregate(named: "hourly"))
        #expect(hourly.groups.map(\.function) == [nil, .bucket(seconds: 5_400), .date])
        #expect(hourly.measures.map(\.function) == [.count, .min, .avg])
        #expect(hourly.measures.map(\.column) == [nil, "celsius", "celsius"])
        #expect(hourly.condition?.comparison == .greater)
        #expect(hourly.condition?.value == .number(-100))
        #expect(hourly.timeZone == "Europe/Oslo")
    }

    @Test("A key's string without a length gets the room that Postgres's index leaves")
    func keyWidth() throws {
        let catalog = try Fixtures.otherTrade()
        let accounts = try #require(catalog.table(named: "accounts"))
        #expect(accounts.columns.map(\.maxLength) == [34, 512, nil, nil])
        let readings = try #require(catalog.table(named: "readings"))
        #expect(readings.columns[0].maxLength == nil)
    }

    // MARK: Canonical text and version

    @Test("A catalog is read again, identical, from its own text")
    func roundTrip() throws {
        for catalog in [try Fixtures.shipped(), try Fixtures.otherTrade()] {
            let again = try CatalogLoader.load(text: catalog.text)
            #expect(again.text == catalog.text)
            #expect(again.version == catalog.version)
            // The text is not asked to vouch for itself: what others use is compared too.
            #expect(again.constraints == catalog.constraints)
            #expect(again.tables.map(\.avroSchema) == catalog.tables.map(\.avroSchema))
            for (left, right) in zip(again.tables, catalog.tables) {
                #expect(String(describing: left.slots) == String(describing: right.slots))
                #expect(String(describing: left.checks) == String(describing: right.checks))
                #expect(left.unknownFields == right.unknownFields)
                #expect(left.rejectedRaw == right.rejectedRaw)
                #expect(left.columns.map(rules) == right.columns.map(rules))
            }
            #expect(
                String(describing: again.aggregates) == String(describing: catalog.aggregates))
        }
    }

    /// All of a column, with the pattern as its text.
    private func rules(_ column: Column) -> String {
        String(
            describing: (
                column.name, column.doc, column.type, column.isOptional, column.defaultValue,
                column.maxLength, column.pattern?.text, column.minimum, column.maximum,
                column.oneOf, column.aliases
            ))
    }

    @Test("The version is the SHA-256 of the text, as sha256sum prints it")
    func versionOfText() throws {
        let catalog = try Fixtures.otherTrade()
        let sum = try runTool("sha256sum", [], input: Data(catalog.text.utf8))
        #expect(sum.text == "\(catalog.version)  -\n")
    }

    @Test("Comments, spacing, order of keys and of files do not change the version")
    func sameVersion() throws {
        let plain = """
            table: t
            key: [id]
            columns:
              - {name: id, type: integer, min: 1, doc: Number}
              - {name: amount, type: 'decimal(9,2)', default: 1.5}
            """
        let other = """
            # the same
            columns:
            - doc:    "Number"
              min: "1"
              type: integer
              name: id   # here too

            - {default: 1.50, optional: false, type: "decimal(9, 2)", name: 'amount'}
            key:
              - id
            table: 't'
            """
        let version = try CatalogLoader.load(files: [("a.yaml", plain)]).version
        #expect(try CatalogLoader.load(files: [("b.yml", other)]).version == version)
        let readings = (name: "c.yaml", text: Fixtures.readings)
        #expect(
            try CatalogLoader.load(files: [("a.yaml", plain), readings]).version
                == CatalogLoader.load(files: [readings, ("a.yaml", plain)]).version)
    }

    @Test("That rejected bytes are kept goes without saying: it changes no version")
    func defaultRejectedRaw() throws {
        let plain = "table: t\nkey: id\ncolumns: [{name: id, type: integer}]"
        let catalog = try CatalogLoader.load(text: plain)
        #expect(try #require(catalog.table(named: "t")).rejectedRaw == .full)
        #expect(!catalog.text.contains("rejectedRaw"))
        #expect(
            try CatalogLoader.load(text: plain + "\nrejectedRaw: full").version == catalog.version)
    }

    @Test(
        "Any rule, and a doc, changes the version",
        arguments: [
            ("min: 1", "min: 2"), ("key: [id]", "key: []"), ("default: 1.5", "default: 1.51"),
            ("doc: Number", "doc: Numbers"), ("decimal(9,2)", "decimal(9,3)"),
            ("table: t", "table: u"), ("name: amount", "name: amounts"),
            ("key: [id]", "key: [id]\nunique: [amount]"),
            ("key: [id]", "key: [id]\nunknownFields: ignore"),
            ("key: [id]", "key: [id]\nrejectedRaw: digest"),
            ("min: 1", "min: 1, optional: false, alias: number"),
        ])
    func otherVersion(_ from: String, _ to: String) throws {
        let plain = """
            table: t
            key: [id]
            columns:
              - {name: id, type: integer, min: 1, doc: Number}
              - {name: amount, type: 'decimal(9,2)', default: 1.5}
            """
        let changed = plain.replacingOccurrences(of: from, with: to)
        #expect(changed != plain)
        #expect(
            try CatalogLoader.load(files: [("t.yaml", changed)]).version
                != CatalogLoader.load(files: [("t.yaml", plain)]).version)
    }

    // MARK: Folders

    @Test("A folder is read by its .yaml and .yml files, not by what else is there")
    func folder() throws {
        let folder = try TemporaryFolder()
        try folder.write(Fixtures.accounts, to: "accounts.yaml")
        try folder.write(Fixtures.readings, to: "readings.yml")
        try folder.write("table: [", to: ".hidden.yaml")
        try folder.write("table: [", to: "notes.txt")
        try folder.write("table: [", to: "old/jobs.yaml")
        let catalog = try CatalogLoader.load(folder: folder.path)
        #expect(catalog.tables.map(\.name) == ["accounts", "readings"])
    }

    @Test("An empty folder, a missing one and a file of other bytes say what to do")
    func badFolders() throws {
        let folder = try TemporaryFolder()
        let empty = #expect(throws: CatalogError.self) {
            try CatalogLoader.load(folder: folder.path)
        }
        #expect(empty == .noDefinitions(folder: folder.path))
        #expect(try #require(empty).description.contains("`daybook init DIR`"))
        let missing = #expect(throws: CatalogError.self) {
            try CatalogLoader.load(folder: folder.path("nowhere"))
        }
        guard case .unreadable(folder.path("nowhere"), _) = missing else {
            Issue.record("\(String(describing: missing))")
            return
        }
        try Data([0x74, 0xFF]).write(to: URL(fileURLWithPath: folder.path("latin.yaml")))
        let latin = #expect(throws: CatalogError.self) {
            try CatalogLoader.load(folder: folder.path)
        }
        #expect(
            latin?.description
                == "\(folder.path("latin.yaml")):1:1: the file is not UTF-8; "
                + "save it in that encoding")
    }
}
